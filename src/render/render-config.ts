/** Parses and checks a render config; every message names key, value and allowed range. */

import path from 'node:path';
import { didYouMean } from '../did-you-mean.js';
import { GlyphpressError } from '../errors.js';
import { sha256Hex } from '../sha256.js';
import { normalColor } from './color.js';
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

/** What one software canvas holds, and what the image decoder takes, with room to spare. */
const MAX_PAGE_PIXELS = 64_000_000;

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

/** Three digits before a line and the gap behind them, in units of the type size. */
const LINE_NUMBER_ROOM = 1.8;

/** Rules that no single key can break (the invalid mixes that Glyph's sampling also excludes). */
function checkTogether(config: RenderConfig, twoFonts: boolean): void {
  const conflict = (keys: ConfigKey[], message: string, hint: string) =>
    new GlyphpressError('GP_CONFIG_CONFLICT', { message, hint, details: { keys } });
  if (twoFonts) {
    throw conflict(
      ['font-path', 'font-family'],
      'font-path and font-family name two fonts',
      'Keep one of them.',
    );
  }
  if (config.lineHeightPt < config.fontSizePt) {
    throw conflict(
      ['line-height', 'font-size'],
      `line-height ${config.lineHeightPt} is below font-size ${config.fontSizePt}: lines would overlap`,
      `Set line-height to ${config.fontSizePt} or more.`,
    );
  }
  const columnPt =
    (config.pageWidthPt - 2 * config.marginXPt - (config.columns - 1) * config.columnGapPt) /
      config.columns -
    config.leftIndentPt -
    config.rightIndentPt -
    config.lineOverlapPt;
  if (columnPt < 2 * config.fontSizePt) {
    throw conflict(
      [
        'page-size',
        'margin-x',
        'columns',
        'column-gap',
        'left-indent',
        'right-indent',
        'line-overlap',
        'font-size',
      ],
      `Only ${columnPt.toFixed(1)} pt are left for a line of ${config.fontSizePt}-pt type`,
      'Widen the page, or lower margins, indents, overlap or columns.',
    );
  }
  const numberPt = LINE_NUMBER_ROOM * config.fontSizePt;
  const besidePt =
    config.columns > 1 ? Math.min(config.marginXPt, config.columnGapPt) : config.marginXPt;
  if (config.lineNumbers && besidePt + config.leftIndentPt < numberPt) {
    throw conflict(
      ['line-numbers', 'margin-x', 'column-gap', 'left-indent'],
      `line-numbers needs ${numberPt.toFixed(1)} pt before each line, and there are ${(besidePt + config.leftIndentPt).toFixed(1)}`,
      `Raise ${config.columns > 1 ? 'margin-x and column-gap' : 'margin-x'} to ${Math.ceil(numberPt)} or more.`,
    );
  }
  if (config.lineOverlapPt > 0 && !['LEFT', 'JUSTIFY'].includes(config.alignment)) {
    throw conflict(
      ['line-overlap', 'alignment'],
      `line-overlap needs lines that start at the left, not alignment ${config.alignment}`,
      'Set alignment to LEFT or JUSTIFY, or line-overlap to 0.',
    );
  }
  if (Math.abs(config.firstLineIndentPt) > columnPt - config.fontSizePt) {
    throw conflict(
      ['first-line-indent'],
      `first-line-indent ${config.firstLineIndentPt} pt leaves no room on a line of ${columnPt.toFixed(1)} pt`,
      'Lower first-line-indent.',
    );
  }
  const roomLeftPt =
    config.leftIndentPt +
    (config.columns > 1 ? Math.min(config.marginXPt, config.columnGapPt) : config.marginXPt);
  if (-config.firstLineIndentPt > roomLeftPt) {
    throw conflict(
      ['first-line-indent', 'left-indent', 'margin-x'],
      `first-line-indent ${config.firstLineIndentPt} pt hangs over the ${roomLeftPt} pt left of the text`,
      'Raise left-indent by as much as the first line hangs.',
    );
  }
  const pixels = (config.pageWidthPt * config.pageHeightPt * config.dpi ** 2) / 72 ** 2;
  if (pixels > MAX_PAGE_PIXELS) {
    throw conflict(
      ['page-size', 'dpi'],
      `A page would have ${Math.round(pixels / 1e6)} million pixels; at most ${MAX_PAGE_PIXELS / 1e6} million are drawn`,
      'Lower dpi or page-size.',
    );
  }
  if (config.pageHeightPt - 2 * config.marginYPt < config.lineHeightPt) {
    throw conflict(
      ['page-size', 'margin-y', 'line-height'],
      'Not one line fits between the top and the bottom margin',
      'Raise the page height, or lower margin-y or line-height.',
    );
  }
  if (config.gridLock && config.cropMultiplePx % config.visualTokenPx !== 0) {
    throw conflict(
      ['grid-lock', 'crop-multiple'],
      `grid-lock needs pages of whole cells, but crop-multiple is ${config.cropMultiplePx}`,
      `Set crop-multiple to ${config.visualTokenPx}, or leave it out.`,
    );
  }
  if (config.gridLock) {
    const sides = [config.pageWidthPt, config.pageHeightPt].map((side) => (side * config.dpi) / 72);
    if (
      sides.some(
        (side) =>
          Math.abs(side / config.visualTokenPx - Math.round(side / config.visualTokenPx)) > 1e-6,
      )
    ) {
      throw conflict(
        ['grid-lock', 'page-size', 'dpi'],
        `grid-lock needs a page of whole ${config.visualTokenPx}-px cells, got ${sides.map((s) => s.toFixed(1)).join(' × ')} px`,
        'For example page-size "588,840" at 72 dpi.',
      );
    }
  }
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
