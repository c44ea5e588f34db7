/** Rules that no single key of a render config can break: invalid mixes, as Glyph's sampling excludes them too. */

import { GlyphpressError } from '../errors.js';
import type { ConfigKey, RenderConfig } from './config-schema.js';

/** What one software canvas holds, and what the image decoder takes, with room to spare. */
const MAX_PAGE_PIXELS = 64_000_000;

/** Three digits before a line and the gap behind them, in units of the type size. */
const LINE_NUMBER_ROOM = 1.8;

/** A side may miss a whole number of cells by this share of one. */
const CELL_TOLERANCE = 1e-6;

interface Conflict {
  keys: ConfigKey[];
  message: string;
  hint: string;
}

/** @returns what is wrong, null for nothing */
type Rule = (config: RenderConfig) => Conflict | null;

const linesOverlap: Rule = ({ lineHeightPt, fontSizePt }) =>
  lineHeightPt >= fontSizePt
    ? null
    : {
        keys: ['line-height', 'font-size'],
        message: `line-height ${lineHeightPt} is below font-size ${fontSizePt}: lines would overlap`,
        hint: `Set line-height to ${fontSizePt} or more.`,
      };

const columnIsNarrow: Rule = (config) => {
  const columnPt = columnWidthPt(config);
  if (columnPt >= 2 * config.fontSizePt) return null;
  return {
    keys: [
      ...(['page-size', 'margin-x', 'columns', 'column-gap'] as const),
      ...(['left-indent', 'right-indent', 'line-overlap', 'font-size'] as const),
    ],
    message: `Only ${columnPt.toFixed(1)} pt are left for a line of ${config.fontSizePt}-pt type`,
    hint: 'Widen the page, or lower margins, indents, overlap or columns.',
  };
};

const numbersHaveNoRoom: Rule = (config) => {
  const numberPt = LINE_NUMBER_ROOM * config.fontSizePt;
  const roomPt = leftOfColumnPt(config) + config.leftIndentPt;
  if (!config.lineNumbers || roomPt >= numberPt) return null;
  return {
    keys: ['line-numbers', 'margin-x', 'column-gap', 'left-indent'],
    message: `line-numbers needs ${numberPt.toFixed(1)} pt before each line, and there are ${roomPt.toFixed(1)}`,
    hint: `Raise ${config.columns > 1 ? 'margin-x and column-gap' : 'margin-x'} to ${Math.ceil(numberPt)} or more.`,
  };
};

const overlapHasNoStart: Rule = ({ lineOverlapPt, alignment }) =>
  lineOverlapPt <= 0 || ['LEFT', 'JUSTIFY'].includes(alignment)
    ? null
    : {
        keys: ['line-overlap', 'alignment'],
        message: `line-overlap needs lines that start at the left, not alignment ${alignment}`,
        hint: 'Set alignment to LEFT or JUSTIFY, or line-overlap to 0.',
      };

const firstLineIsFull: Rule = (config) => {
  const columnPt = columnWidthPt(config);
  if (Math.abs(config.firstLineIndentPt) <= columnPt - config.fontSizePt) return null;
  return {
    keys: ['first-line-indent'],
    message: `first-line-indent ${config.firstLineIndentPt} pt leaves no room on a line of ${columnPt.toFixed(1)} pt`,
    hint: 'Lower first-line-indent.',
  };
};

const firstLineHangsOut: Rule = (config) => {
  const roomPt = config.leftIndentPt + leftOfColumnPt(config);
  if (-config.firstLineIndentPt <= roomPt) return null;
  return {
    keys: ['first-line-indent', 'left-indent', 'margin-x'],
    message: `first-line-indent ${config.firstLineIndentPt} pt hangs over the ${roomPt} pt left of the text`,
    hint: 'Raise left-indent by as much as the first line hangs.',
  };
};

const pageIsHuge: Rule = ({ pageWidthPt, pageHeightPt, dpi }) => {
  const pixels = (pageWidthPt * pageHeightPt * dpi ** 2) / 72 ** 2;
  if (pixels <= MAX_PAGE_PIXELS) return null;
  return {
    keys: ['page-size', 'dpi'],
    message: `A page would have ${Math.round(pixels / 1e6)} million pixels; at most ${MAX_PAGE_PIXELS / 1e6} million are drawn`,
    hint: 'Lower dpi or page-size.',
  };
};

const noLineFits: Rule = ({ pageHeightPt, marginYPt, lineHeightPt }) =>
  pageHeightPt - 2 * marginYPt >= lineHeightPt
    ? null
    : {
        keys: ['page-size', 'margin-y', 'line-height'],
        message: 'Not one line fits between the top and the bottom margin',
        hint: 'Raise the page height, or lower margin-y or line-height.',
      };

const cropCutsCells: Rule = ({ gridLock, cropMultiplePx, visualTokenPx }) =>
  !gridLock || cropMultiplePx % visualTokenPx === 0
    ? null
    : {
        keys: ['grid-lock', 'crop-multiple'],
        message: `grid-lock needs pages of whole cells, but crop-multiple is ${cropMultiplePx}`,
        hint: `Set crop-multiple to ${visualTokenPx}, or leave it out.`,
      };

const pageCutsCells: Rule = ({ gridLock, pageWidthPt, pageHeightPt, dpi, visualTokenPx }) => {
  const sides = [pageWidthPt, pageHeightPt].map((side) => (side * dpi) / 72);
  const isWhole = (cells: number) => Math.abs(cells - Math.round(cells)) <= CELL_TOLERANCE;
  if (!gridLock || sides.every((side) => isWhole(side / visualTokenPx))) return null;
  return {
    keys: ['grid-lock', 'page-size', 'dpi'],
    message: `grid-lock needs a page of whole ${visualTokenPx}-px cells, got ${sides.map((side) => side.toFixed(1)).join(' × ')} px`,
    hint: 'For example page-size "588,840" at 72 dpi.',
  };
};

/** In this order: of several conflicts the first is told. */
const RULES: readonly Rule[] = [
  ...[linesOverlap, columnIsNarrow, numbersHaveNoRoom, overlapHasNoStart, firstLineIsFull],
  ...[firstLineHangsOut, pageIsHuge, noLineFits, cropCutsCells, pageCutsCells],
];

/** @throws {GlyphpressError} GP_CONFIG_CONFLICT */
export function checkTogether(config: RenderConfig, twoFonts: boolean): void {
  if (twoFonts) {
    throw conflictError({
      keys: ['font-path', 'font-family'],
      message: 'font-path and font-family name two fonts',
      hint: 'Keep one of them.',
    });
  }
  for (const rule of RULES) {
    const conflict = rule(config);
    if (conflict) throw conflictError(conflict);
  }
}

function conflictError({ keys, message, hint }: Conflict): GlyphpressError {
  return new GlyphpressError('GP_CONFIG_CONFLICT', { message, hint, details: { keys } });
}

/** What is left of a column for a line. */
function columnWidthPt(config: RenderConfig): number {
  const gapsPt = (config.columns - 1) * config.columnGapPt;
  const columnPt = (config.pageWidthPt - 2 * config.marginXPt - gapsPt) / config.columns;
  return columnPt - config.leftIndentPt - config.rightIndentPt - config.lineOverlapPt;
}

/** Free paper at the left of every column. */
function leftOfColumnPt({ columns, marginXPt, columnGapPt }: RenderConfig): number {
  return columns > 1 ? Math.min(marginXPt, columnGapPt) : marginXPt;
}
