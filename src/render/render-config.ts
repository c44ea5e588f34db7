/** Parses and checks a render config; every message names key, value and allowed range. */

import path from 'node:path';
import { didYouMean } from '../did-you-mean.js';
import { GlyphpressError } from '../errors.js';
import { sha256Hex } from '../sha256.js';
import { normalColor } from './color.js';
import { checkTogether } from './config-rules.js';
import {
  type Alignment,
  CONFIG_KEYS,
  type ConfigKey,
  type KeySpec,
  type LineBreaking,
  PAPER_SIZES_PT,
  type RenderConfig,
} from './config-schema.js';
import { DEFAULT_VISUAL_TOKEN_PX } from './grid.js';
import { isDrawableMarkup, isLineBreakMarkup } from './newline-markup.js';

export type RawRenderConfig = Partial<Record<ConfigKey, unknown>>;

const DEFAULT_FONT_FAMILY = 'DejaVu Sans';

/**
 * @param raw a parsed JSON object with the keys of {@link CONFIG_KEYS}
 * @param baseDir folder that a relative `font-path` starts from
 * @throws {GlyphpressError} GP_CONFIG_UNKNOWN_KEY, GP_CONFIG_VALUE, GP_CONFIG_CONFLICT
 */
export function parseRenderConfig(raw: unknown, baseDir = process.cwd()): RenderConfig {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw new GlyphpressError('GP_CONFIG_SYNTAX', {
      message: `Expected the render config to be a JSON object, got ${describe(raw)}`,
      hint: 'Write {"dpi": 72, …}; `glyphpress render --help` lists the keys.',
    });
  }
  const given = new Map(Object.entries(raw));
  for (const [key, value] of given) checkKey(key, value);

  const get = <T>(key: ConfigKey, fallback: T): T =>
    given.has(key) ? (given.get(key) as T) : fallback;
  const [pageWidthPt, pageHeightPt] = toPageSize(get<unknown>('page-size', 'A4'));
  const fontSizePt = get('font-size', 9);
  const fontPath = get<string | null>('font-path', null);
  const newlineMarkup = get('newline-markup', '<br/>');
  const gridLock = get('grid-lock', false);
  const visualTokenPx = get('visual-token-size', DEFAULT_VISUAL_TOKEN_PX);
  const config: RenderConfig = {
    pageWidthPt,
    pageHeightPt,
    dpi: get('dpi', 72),
    marginXPt: get('margin-x', 20),
    marginYPt: get('margin-y', 20),
    fontPath: fontPath === null ? null : path.resolve(baseDir, fontPath),
    fontFamily: get('font-family', DEFAULT_FONT_FAMILY),
    fontSizePt,
    lineHeightPt: get('line-height', fontSizePt + 1),
    fontColor: normalColor(get('font-color', '#000000')),
    alignment: get<Alignment>('alignment', 'JUSTIFY'),
    horizontalScale: get('horizontal-scale', 1),
    firstLineIndentPt: get('first-line-indent', 0),
    leftIndentPt: get('left-indent', 0),
    rightIndentPt: get('right-indent', 0),
    spaceBeforePt: get('space-before', 0),
    spaceAfterPt: get('space-after', 0),
    borderWidthPt: get('border-width', 0),
    borderPaddingPt: get('border-padding', 0),
    paraBorderColor: normalColor(get('para-border-color', '#FFFFFF')),
    pageBgColor: normalColor(get('page-bg-color', '#FFFFFF')),
    paraBgColor: normalColor(get('para-bg-color', '#FFFFFF')),
    newlineMarkup,
    autoCropWidth: get('auto-crop-width', false),
    autoCropLastPage: get('auto-crop-last-page', false),
    cropMultiplePx: get('crop-multiple', gridLock ? visualTokenPx : 1),
    visualTokenPx,
    gridLock,
    columns: get('columns', 1),
    columnGapPt: get('column-gap', 8),
    reflow: get('reflow', false),
    lineBreaking: get<LineBreaking>('line-breaking', 'word'),
    lineOverlapPt: get('line-overlap', 0),
    ...(get<boolean>('line-numbers', false) && { lineNumbers: true }),
    tabSize: get('tab-size', 4),
    paragraphLines: get('paragraph-lines', isLineBreakMarkup(newlineMarkup) ? 1 : 30),
  };
  checkTogether(config, given.has('font-path') && given.has('font-family'));
  return config;
}

/**
 * A stable name for a config: equal settings give equal ids, wherever the config file lies. (What
 * a font file holds is part of the renderer's fingerprint, not of this id.)
 */
export function renderConfigId(config: RenderConfig): string {
  const { visualTokenPx, ...rest } = config;
  const portable = {
    ...rest,
    fontPath: config.fontPath && path.basename(config.fontPath),
    // Configs of the usual size keep the ids that they had before there was another.
    ...(visualTokenPx !== DEFAULT_VISUAL_TOKEN_PX && { visualTokenPx }),
  };
  const canonical = JSON.stringify(
    Object.fromEntries(Object.entries(portable).sort(([a], [b]) => (a < b ? -1 : 1))),
  );
  return sha256Hex(canonical).slice(0, 16);
}

function checkKey(key: string, value: unknown): void {
  const spec: KeySpec | undefined = Object.hasOwn(CONFIG_KEYS, key)
    ? CONFIG_KEYS[key as ConfigKey]
    : undefined;
  if (!spec) {
    throw new GlyphpressError('GP_CONFIG_UNKNOWN_KEY', {
      message: `Unknown key "${key}" in the render config.${didYouMean(key, Object.keys(CONFIG_KEYS))}`,
      hint: `Known keys: ${Object.keys(CONFIG_KEYS).join(', ')}.`,
      details: { key, value },
    });
  }
  const allowed = allowedValues(spec);
  if (!fits(spec, key, value)) throw badValue(key, value, allowed, spec.about);
}

function fits({ form }: KeySpec, key: string, value: unknown): boolean {
  switch (form.kind) {
    case 'number':
      return isNumberWithin(form, value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'choice':
      return typeof value === 'string' && form.values.includes(value);
    case 'color':
      return typeof value === 'string' && /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(value);
    case 'string':
      return (
        isTextUpTo(form.maxLength, value) && (key !== 'newline-markup' || isDrawableMarkup(value))
      );
    case 'page-size': {
      const size = readPageSize(value);
      return size?.every((side) => side >= form.minPt && side <= form.maxPt) ?? false;
    }
  }
}

function isNumberWithin(
  { min, max, integer }: { min: number; max: number; integer?: boolean },
  value: unknown,
): boolean {
  if (typeof value !== 'number' || (integer && !Number.isInteger(value))) return false;
  return value >= min && value <= max;
}

const isTextUpTo = (maxLength: number, value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= maxLength;

export function allowedValues({ form }: KeySpec): string {
  switch (form.kind) {
    case 'number':
      return `${form.integer ? 'an integer' : 'a number'} from ${form.min} to ${form.max} (${form.unit})`;
    case 'boolean':
      return 'true or false';
    case 'choice':
      return form.values.join(', ');
    case 'color':
      return '#RGB or #RRGGBB';
    case 'string':
      return `a text of 1 to ${form.maxLength} characters`;
    case 'page-size':
      return `"width,height" with sides from ${form.minPt} to ${form.maxPt} pt, or ${Object.keys(PAPER_SIZES_PT).join(', ')}`;
  }
}

function readPageSize(value: unknown): readonly [number, number] | null {
  if (typeof value === 'string' && Object.hasOwn(PAPER_SIZES_PT, value))
    return PAPER_SIZES_PT[value]!;
  const sides =
    typeof value === 'string'
      ? value.split(',').map((side) => (side.trim() ? Number(side) : NaN))
      : value;
  if (!Array.isArray(sides) || sides.length !== 2) return null;
  if (!sides.every((side) => typeof side === 'number' && Number.isFinite(side))) return null;
  return [sides[0], sides[1]];
}

function toPageSize(value: unknown): readonly [number, number] {
  return readPageSize(value)!;
}

function badValue(key: string, value: unknown, allowed: string, about: string): GlyphpressError {
  return new GlyphpressError('GP_CONFIG_VALUE', {
    message: `Render config "${key}" is ${describe(value)}; allowed: ${allowed}`,
    hint: `${key}: ${about}.`,
    details: { key, value, allowed },
  });
}

function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
