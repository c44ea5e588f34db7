/**
 * The encoder drop of a plan, on pages: first what the pixels decide (blank cells, repetitions of
 * earlier pages), then the ranking among what is left, with what it owes to text lines.
 */
import { GlyphpressError, ShapeError } from '../errors.js';
import { APET_DEFAULTS, approximationErrors } from './apet.js';
import { dropAfterEncoder } from './apply-plan.js';
import { inkedCells } from './blank.js';
import { gatherRows, matrixRows, pageRuns } from './contract.js';
import type { CellGrid, PageSignals } from './page-signals.js';
import {
  dropSeed,
  type EncoderDrop,
  hasTextStructure,
  type PrunePlan,
  type RankedDrop,
} from './prune-plan.js';
import { seededRandom } from './random.js';
import { repeatedCells } from './repeats.js';
import { budgetedCount } from './retained-count.js';
import { keepStructured, rowsBeside } from './structured-keep.js';
import { tokenNorms } from './token-norm.js';

/** A page behind the vision encoder. */
export interface EncodedPage {
  grid: CellGrid;
  /** float32 [cells, D] */
  tokens: Float32Array;
  /** Needed by plans for which {@link needsSignals} is true. */
  signals?: PageSignals;
}

export interface KeptPage {
  /** Cells that stay, ascending. */
  kept: Int32Array;
  /** float32 [kept, D] */
  tokens: Float32Array;
}

/** Whether a plan reads the pixels of pages, not their tokens alone. */
export function needsSignals({ encoder }: PrunePlan): boolean {
  if (!encoder) return false;
  if (dropsBlank(encoder) || encoder.repeats === 'drop') return true;
  return (
    encoder.method !== 'blank' &&
    (encoder.method === 'edges' || Boolean(encoder.minPerLine) || encoder.pageShare === 'ink')
  );
}

const dropsBlank = (encoder: EncoderDrop) => encoder.method === 'blank' || encoder.blank === 'drop';

/**
 * The cells that the content of the pages leaves to a plan, page by page. A page keeps at least one,
 * except one that repeats earlier pages as a whole; the document keeps at least one.
 *
 * @throws {GlyphpressError} GP_PRUNE_PLAN if the plan reads pixels that are not there
 */
export function cellsLeftByContent(
  pages: readonly { grid: CellGrid; signals?: PageSignals }[],
  { encoder }: PrunePlan,
): Int32Array[] {
  const all = ({ grid }: { grid: CellGrid }) =>
    Int32Array.from({ length: grid.rows * grid.cols }, (_, cell) => cell);
  if (!encoder || !(dropsBlank(encoder) || encoder.repeats === 'drop')) return pages.map(all);
  const signals = pages.map((page, i) => signalsOf(page, i));
  const repeated = encoder.repeats === 'drop' ? repeatedCells(signals) : null;
  return signals.map((page, i) => {
    const cells = dropsBlank(encoder) ? inkedCells(page) : all(page);
    return repeated && i > 0 ? cells.filter((cell) => !repeated[i]![cell]) : cells;
  });
}

/**
 * Carry out the encoder drop of a plan on pages.
 *
 * @returns for each page its kept cells and their tokens; exactly
 *   `predictEncodedTokens(visualTokens, plan, dropped by content)` in all
 * @throws {GlyphpressError} GP_PRUNE_PLAN if floors exceed the budget or pixels are missing
 * @throws {ShapeError} if tokens do not fit the grids
 */
export function dropEncodedPages(
  pages: readonly EncodedPage[],
  dim: number,
  plan: PrunePlan,
): KeptPage[] {
  pages.forEach(({ grid, tokens }, i) => {
    if (matrixRows(`tokens of page ${i}`, tokens, dim) === grid.rows * grid.cols) return;
    throw new ShapeError(
      `tokens of page ${i}`,
      `[${grid.rows * grid.cols}, ${dim}]`,
      [tokens.length],
      'Pass the tokens of all cells.',
    );
  });
  const left = cellsLeftByContent(pages, plan);
  const { encoder } = plan;
  if (!encoder || encoder.method === 'blank') {
    return pages.map(({ tokens }, i) => {
      const kept = left[i]!;
      const whole = kept.length * dim === tokens.length;
      return { kept, tokens: whole ? tokens : gatherRows(tokens, dim, kept) };
    });
  }

  const rows = left.reduce((sum, cells) => sum + cells.length, 0);
  const tokens = new Float32Array(rows * dim);
  const pageOfRow = new Int32Array(rows);
  const cellOfRow = new Int32Array(rows);
  let at = 0;
  pages.forEach((page, i) => {
    const cells = left[i]!;
    tokens.set(gatherRows(page.tokens, dim, cells), at * dim);
    pageOfRow.fill(i, at, at + cells.length);
    cellOfRow.set(cells, at);
    at += cells.length;
  });
  const chosen =
    !hasTextStructure(encoder) && (encoder.method === 'apet' || encoder.method === 'random')
      ? dropAfterEncoder(tokens, dim, plan, pageOfRow)
      : rankPages(pages, tokens, dim, { ...plan, encoder }, pageOfRow, cellOfRow);
  return splitByPage(chosen, dim, pageOfRow, cellOfRow, pages.length);
}

function rankPages(
  pages: readonly EncodedPage[],
  tokens: Float32Array,
  dim: number,
  plan: PrunePlan & { encoder: RankedDrop },
  pageOfRow: Int32Array,
  cellOfRow: Int32Array,
): { keptRows: Int32Array; tokens: Float32Array } {
  const { encoder } = plan;
  const { minPerLine = 0, neighbours = 0 } = encoder;
  const keptRows = keepStructured(scoresOf(pages, tokens, dim, plan, pageOfRow, cellOfRow), {
    count: budgetedCount(pageOfRow.length, { keepRatio: encoder.keepRatio }),
    pageOfRow,
    ...(encoder.scope && { scope: encoder.scope }),
    ...(encoder.minPerPage !== undefined && { minPerPage: encoder.minPerPage }),
    ...(encoder.pageShare === 'ink' && { pageWeights: inkOfPages(pages, pageOfRow, cellOfRow) }),
    ...(minPerLine > 0 && { lines: lineRows(pages, pageOfRow, cellOfRow), minPerLine }),
    ...(neighbours > 0 && {
      beside: rowsBeside(cellOfRow, pageOfRow, (page) => pages[page]!.grid.cols, neighbours),
    }),
  });
  return { keptRows, tokens: gatherRows(tokens, dim, keptRows) };
}

function scoresOf(
  pages: readonly EncodedPage[],
  tokens: Float32Array,
  dim: number,
  plan: PrunePlan & { encoder: RankedDrop },
  pageOfRow: Int32Array,
  cellOfRow: Int32Array,
): Float32Array {
  const { encoder } = plan;
  const seed = dropSeed(plan, 0);
  switch (encoder.method) {
    case 'norm':
      return tokenNorms(tokens, dim);
    case 'edges':
      return Float32Array.from(
        cellOfRow,
        (cell, row) => signalsOf(pages[pageOfRow[row]!]!, pageOfRow[row]!).edges[cell]!,
      );
    case 'random': {
      const words = seededRandom(seed);
      // 24 bits, so that no two words round to one float.
      return Float32Array.from(cellOfRow, () => words() >>> 8);
    }
    case 'apet': {
      const { errors, basisRows } = approximationErrors(tokens, dim, {
        ...encoder,
        pageOfRow,
        seed,
      });
      if ((encoder.basis ?? APET_DEFAULTS.basis) === 'always-keep')
        for (const row of basisRows) errors[row] = Number.POSITIVE_INFINITY;
      return errors;
    }
  }
}

function inkOfPages(
  pages: readonly EncodedPage[],
  pageOfRow: Int32Array,
  cellOfRow: Int32Array,
): number[] {
  return pageRuns(pageOfRow, pageOfRow.length).map(({ page, start, end }) => {
    const { ink } = signalsOf(pages[page]!, page);
    let sum = 0;
    for (let row = start; row < end; row++) sum += ink[cellOfRow[row]!]!;
    return sum;
  });
}

/** The rows that each text line still has. */
function lineRows(
  pages: readonly EncodedPage[],
  pageOfRow: Int32Array,
  cellOfRow: Int32Array,
): Int32Array[] {
  const rowOfCell = pages.map(({ grid }) => new Int32Array(grid.rows * grid.cols).fill(-1));
  cellOfRow.forEach((cell, row) => {
    rowOfCell[pageOfRow[row]!]![cell] = row;
  });
  return pages
    .flatMap((page, i) =>
      signalsOf(page, i).lines.map((cells) =>
        Int32Array.from(cells, (cell) => rowOfCell[i]![cell]!).filter((row) => row >= 0),
      ),
    )
    .filter((rows) => rows.length > 0);
}

function splitByPage(
  { keptRows, tokens }: { keptRows: Int32Array; tokens: Float32Array },
  dim: number,
  pageOfRow: Int32Array,
  cellOfRow: Int32Array,
  pages: number,
): KeptPage[] {
  let taken = 0;
  return Array.from({ length: pages }, (_, page) => {
    const from = taken;
    while (taken < keptRows.length && pageOfRow[keptRows[taken]!] === page) taken++;
    return {
      kept: keptRows.slice(from, taken).map((row) => cellOfRow[row]!),
      tokens: tokens.slice(from * dim, taken * dim),
    };
  });
}

function signalsOf(page: { grid: CellGrid; signals?: PageSignals }, index: number): PageSignals {
  if (page.signals) return page.signals;
  throw new GlyphpressError('GP_PRUNE_PLAN', {
    message: `The plan reads the pixels of pages, and those of page ${index + 1} are not there`,
    hint: 'Pass the signals of every page, or a plan that ranks tokens alone.',
    details: { path: 'encoder', page: index },
  });
}
