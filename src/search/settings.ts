/** A point → what the pipeline takes: render config, prune plan, sidecar budget. */

import { type PrunePlan, parsePrunePlan, planId } from '../prune/index.js';
import {
  DEFAULT_VISUAL_TOKEN_PX,
  parseRenderConfig,
  type RawRenderConfig,
  type RenderConfig,
  renderingId,
} from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import { AXES, DECODER_DROPS, FREE_PAGE, INDENTS, PALETTES } from './axes.js';
import { canonicalPoint, type Point } from './point.js';

export interface Settings {
  /** As a file for `--config`. */
  config: RawRenderConfig;
  /** As a file for `--plan`. */
  plan: PrunePlan;
  /** For `--sidecar`, in text tokens. */
  sidecar: number;
}

/** @throws {GlyphpressError} of the config or the plan that the point does not make */
export function parsedConfig({ config }: Settings): RenderConfig {
  return parseRenderConfig(config);
}

/** Equal ids: the same pages, the same drops, the same sidecar. */
export function settingsId(settings: Settings): string {
  const parts = [renderingId(parsedConfig(settings)), planId(settings.plan), settings.sidecar];
  return sha256Hex(parts.join(' ')).slice(0, 16);
}

/**
 * @param point with a value for every axis
 * @param layers decoder layers of the model; null where a server reads the pages and nothing is dropped
 */
export function settingsOf(point: Point, layers: number | null): Settings {
  return {
    config: configOf(point),
    plan: layers === null ? { decoder: [] } : planOf(point, layers),
    sidecar: Number(point.sidecar),
  };
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits));

function configOf(point: Point): RawRenderConfig {
  const number = (axis: string) => Number(point[axis]);
  const size = number('font-size');
  const locked = point['grid-lock'] === true;
  const [first, left] = INDENTS[String(point.indent)]!;
  const [text, page, para] = PALETTES[String(point.palette)]!;
  const columns = number('columns');
  const border = number('border');
  return {
    'page-size': pageSize(point, locked),
    dpi: number('dpi'),
    'margin-x': number('margin-x'),
    'margin-y': number('margin-y'),
    'font-family': String(point['font-family']),
    'font-size': size,
    'line-height': rounded(size + number('leading'), 4),
    'font-color': text,
    alignment: String(point.alignment),
    'horizontal-scale': number('horizontal-scale'),
    'first-line-indent': rounded(first * size, 3),
    'left-indent': rounded(left * size, 3),
    'space-before': number('space-before'),
    'space-after': number('space-after'),
    ...(border > 0 && { 'border-width': border, 'border-padding': 2, 'para-border-color': text }),
    'page-bg-color': page,
    'para-bg-color': para,
    'newline-markup': String(point['newline-markup']),
    'auto-crop-width': point['auto-crop-width'],
    'auto-crop-last-page': point['auto-crop-last-page'],
    'grid-lock': locked,
    ...(columns > 1 && { columns, 'column-gap': number('column-gap') }),
    reflow: point.reflow,
    'line-breaking': point['line-breaking'],
    'line-overlap': number('line-overlap'),
  };
}

/** The sides in pt; with grid lock the nearest ones of whole cells. */
function pageSize(point: Point, locked: boolean): string {
  const { pageWidthPt, pageHeightPt } = parseRenderConfig({
    'page-size':
      point.page === FREE_PAGE ? `${point['page-width']},${point['page-height']}` : point.page,
  });
  const dpi = Number(point.dpi);
  const side = (pt: number) => {
    if (!locked) return pt;
    const cells = Math.max(1, Math.round((pt * dpi) / 72 / DEFAULT_VISUAL_TOKEN_PX));
    return rounded((cells * DEFAULT_VISUAL_TOKEN_PX * 72) / dpi, 8);
  };
  return `${side(pageWidthPt)},${side(pageHeightPt)}`;
}

function planOf(point: Point, layers: number): PrunePlan {
  const keep = Number(point['encoder-keep']);
  const dropsBlank = point.blank === true;
  const ranked = {
    method: String(point['encoder-method']),
    keepRatio: keep,
    ...(dropsBlank && { blank: 'drop' }),
    ...(point['encoder-text-aware'] === true && { minPerLine: 1, neighbours: 1 }),
  };
  return parsePrunePlan(
    {
      ...(keep < 1 ? { encoder: ranked } : dropsBlank && { encoder: { method: 'blank' } }),
      decoder: decoderDrops(point, layers),
    },
    { layers },
  );
}

/** Drops that fall on one layer are one drop: what the first keeps of what the second keeps. */
function decoderDrops(point: Point, layers: number) {
  const byLayer = new Map<number, number>();
  for (const n of DECODER_DROPS) {
    const keep = Number(point[`v2drop-${n}-keep`]);
    if (keep >= 1 || layers < 2) continue;
    const depth = Number(point[`v2drop-${n}-depth`]);
    const layer = Math.max(1, Math.min(layers - 1, Math.round(depth * layers)));
    byLayer.set(layer, (byLayer.get(layer) ?? 1) * keep);
  }
  return [...byLayer]
    .sort(([a], [b]) => a - b)
    .map(([layer, keep]) => ({ layer, keepRatio: rounded(keep, 6), method: 'v2drop' }));
}

/** Axes that have no effect at their default value, so that equal settings are equal points. */
export function withoutIdleAxes(point: Point): Point {
  const defaults = (...axes: string[]) =>
    Object.fromEntries(axes.map((axis) => [axis, AXES[axis]!.defaultValue]));
  return {
    ...point,
    ...(point.page !== FREE_PAGE && defaults('page-width', 'page-height')),
    ...(point.columns === 1 && defaults('column-gap')),
    ...(point['encoder-keep'] === 1 && defaults('encoder-method', 'encoder-text-aware')),
    ...Object.assign(
      {},
      ...DECODER_DROPS.filter((n) => point[`v2drop-${n}-keep`] === 1).map((n) =>
        defaults(`v2drop-${n}-depth`),
      ),
    ),
  };
}

/** Whether a point differs from another one in what it says, not in how it is written. */
export const samePoint = (a: Point, b: Point) => canonicalPoint(a) === canonicalPoint(b);
