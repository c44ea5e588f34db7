/** Named presets and plans: where every search starts, and what its result is compared with. */

import { hasTextStructure, namedPlan, type PrunePlan } from '../prune/index.js';
import { PRESETS, type RawRenderConfig } from '../render/index.js';
import { AXES, FREE_PAGE, PALETTES } from './axes.js';
import { holds } from './domain.js';
import type { Point } from './point.js';
import { repairPoint } from './repair.js';
import { type Settings, samePoint, settingsId } from './settings.js';
import { Space } from './space.js';
import type { Candidate } from './trial.js';

/** Glyph's published English config, which a result has to beat. */
export const GLYPH_CONFIG_EN = 'glyph-72';

/** Plans that are tried on the model's own rendering. */
const PLANS = ['lossless', 'balanced'] as const;

/** Families that presets name and that another bundled one stands in for. */
const STAND_INS: Readonly<Record<string, string>> = { Verdana: 'DejaVu Sans' };

/**
 * @param trained the rendering that the model was trained to read, if it names one
 * @param layers decoder layers; null where nothing can be dropped
 */
export function referenceCandidates(
  space: Space,
  trained: RawRenderConfig | null,
  layers: number | null,
): Candidate[] {
  const own = trained ?? PRESETS.default!;
  const named: [name: string, settings: Settings][] = [
    ...(trained ? [['model', configOnly(trained)] as [string, Settings]] : []),
    ...Object.entries(PRESETS).map(([name, config]): [string, Settings] => [
      name,
      configOnly(config),
    ]),
    ...(layers === null ? [] : PLANS).map((name): [string, Settings] => [
      name,
      { config: own, plan: namedPlan(name, layers!)!, sidecar: 0 },
    ]),
  ];
  // A preset keeps its name where it is what the model was trained on.
  const byId = new Map<string, [string, Settings]>();
  for (const [name, settings] of named) byId.set(settingsId(settings), [name, settings]);
  return [...byId.values()].map(([name, settings]) => candidate(name, settings, space));
}

const configOnly = (config: RawRenderConfig): Settings => ({
  config,
  plan: { decoder: [] },
  sidecar: 0,
});

function candidate(name: string, settings: Settings, space: Space): Candidate {
  const projected = projection(settings);
  const inside = repairPoint(projected, space).point;
  const anywhere = repairPoint(projected, new Space()).point!;
  const isOutside = inside === null || !samePoint(inside, anywhere);
  return {
    point: inside ?? anywhere,
    settings,
    name,
    ...(isOutside && { outside: true }),
    by: 'preset',
    parents: [],
  };
}

function encoderAxes(encoder: PrunePlan['encoder']): Point {
  if (!encoder || encoder.method === 'blank') return { blank: encoder !== undefined };
  return {
    blank: encoder.blank === 'drop',
    'encoder-keep': encoder.keepRatio,
    'encoder-method': encoder.method,
    'encoder-text-aware': hasTextStructure(encoder),
  };
}

/** The point that comes nearest to a config: a start for crossing, not the config itself. */
function projection({ config, plan, sidecar }: Settings): Point {
  const number = (key: keyof RawRenderConfig, fallback: number) => Number(config[key] ?? fallback);
  const size = number('font-size', 9);
  const page = String(config['page-size'] ?? 'A4');
  const isListed = holds(AXES.page!.domain, page);
  const [width, height] = isListed ? [0, 0] : page.split(',').map(Number);
  const palette = Object.entries(PALETTES).find(([, [text]]) => text === config['font-color']);
  return {
    page: isListed ? page : FREE_PAGE,
    ...(!isListed && { 'page-width': width!, 'page-height': height! }),
    dpi: number('dpi', 72),
    'margin-x': number('margin-x', 20),
    'margin-y': number('margin-y', 20),
    'font-family':
      STAND_INS[String(config['font-family'])] ?? String(config['font-family'] ?? 'DejaVu Sans'),
    'font-size': size,
    leading: number('line-height', size + 1) - size,
    alignment: String(config.alignment ?? 'JUSTIFY'),
    palette: palette?.[0] ?? 'document',
    'horizontal-scale': number('horizontal-scale', 1),
    'newline-markup': String(config['newline-markup'] ?? '<br/>'),
    'auto-crop-width': config['auto-crop-width'] === true,
    'auto-crop-last-page': config['auto-crop-last-page'] === true,
    'grid-lock': config['grid-lock'] === true,
    columns: number('columns', 1),
    reflow: config.reflow === true,
    'line-breaking': String(config['line-breaking'] ?? 'word'),
    'line-overlap': number('line-overlap', 0),
    ...encoderAxes(plan.encoder),
    ...Object.fromEntries(
      plan.decoder.slice(0, 3).map(({ keepRatio }, i) => [`v2drop-${i + 1}-keep`, keepRatio ?? 1]),
    ),
    sidecar,
  };
}
