/**
 * Rows by score, but text is not a bag of cells: floors for text lines, and kept cells bring the ones
 * beside them along.
 */
import { GlyphpressError, ShapeError } from '../errors.js';
import { type PageRun, pageBudgets, pageRuns, type ScopeOptions } from './contract.js';
import { densityBudgets } from './page-density.js';
import { assertRowCount } from './retained-count.js';

export interface StructureOptions extends ScopeOptions {
  /** Rows to keep in all, 0 ≤ count ≤ N. */
  count: number;
  /** One weight a page: the budget is split by page in their proportion, whatever the scope. */
  pageWeights?: readonly number[];
  /** Rows of each text line, ascending. A row may be in several. */
  lines?: readonly Int32Array[];
  /** Rows that each line keeps at least (or all, if it has fewer). @defaultValue 0 */
  minPerLine?: number;
  /** The rows beside a row, nearest first; a kept row brings them along while there is room. */
  beside?: (row: number) => readonly number[];
}

/**
 * Keep the rows with the highest scores under floors and with neighbours; of equal scores the lower
 * row wins. Without lines and neighbours this is `keepHighest`.
 *
 * 1. Every page takes its best rows up to minPerPage.
 * 2. Every line, short ones first, takes its best rows until it has minPerLine: what a short line
 *    keeps often serves the longer ones in the same cells.
 * 3. The rest goes to rows by score, each followed by the rows beside it.
 *
 * @param scores float32 [N]; ±Infinity is allowed, NaN is not
 * @returns row indices [count], ascending
 * @throws {GlyphpressError} GP_PRUNE_PLAN if floors exceed the budget; GP_TENSOR_VALUE for NaN
 * @throws {ShapeError} if count or pageOfRow do not fit
 * Cost: O(N log N) time.
 */
export function keepStructured(scores: Float32Array, options: StructureOptions): Int32Array {
  assertKeepable(scores, options);
  const { minPerPage = 0, minPerLine = 0, beside } = options;
  const order = rowsByScore(scores);
  const pages = pagesOf(scores.length, options);
  const kept = new KeptRows(scores.length, budgetsOf(scores.length, pages, options));
  if (minPerPage > 0) keepPageFloors(kept, order, pages, minPerPage);
  if (minPerLine > 0) keepLineFloors(kept, order, options);
  for (const row of order) {
    if (kept.take(row) && beside) for (const neighbour of beside(row)) kept.take(neighbour);
  }
  return kept.rows();
}

function assertKeepable(scores: Float32Array, { count, minPerLine = 0 }: StructureOptions): void {
  assertRowCount(count);
  assertRowCount(minPerLine);
  if (count > scores.length) {
    const expected = `[K], K ≤ ${scores.length}`;
    throw new ShapeError('kept rows', expected, [count], 'Ask for at most as many rows.');
  }
  const bad = scores.findIndex((score) => Number.isNaN(score));
  if (bad < 0) return;
  throw new GlyphpressError('GP_TENSOR_VALUE', {
    message: `Expected a number as score of row ${bad}, got NaN`,
    hint: 'A NaN score comes from NaN or overflow in the model; check its weights and dtype.',
    details: { tensor: 'scores', row: bad, value: 'NaN' },
  });
}

/** Rows from the highest score to the lowest; of equal scores the lower row first. */
function rowsByScore(scores: Float32Array): number[] {
  const order = Array.from(scores.keys());
  // ∞ − ∞ is NaN, which `||` passes on to the row order, as for any other tie.
  return order.sort((a, b) => scores[b]! - scores[a]! || a - b);
}

const wholeRun = (n: number): PageRun[] => [{ page: 0, start: 0, end: n }];

const isSplitByPage = ({ scope, pageWeights }: StructureOptions) =>
  scope === 'page' || pageWeights !== undefined;

function pagesOf(n: number, options: StructureOptions): PageRun[] {
  const needsPages = isSplitByPage(options) || (options.minPerPage ?? 0) > 0;
  return needsPages ? pageRuns(options.pageOfRow, n) : wholeRun(n);
}

interface Budget extends PageRun {
  left: number;
}

/** How many rows may come from where, in row order. @throws {GlyphpressError} GP_PRUNE_PLAN for floors beyond them */
function budgetsOf(n: number, pages: readonly PageRun[], options: StructureOptions): Budget[] {
  const { count, minPerPage = 0, pageWeights } = options;
  const counts = pageWeights
    ? densityBudgets(pages, pageWeights, count, minPerPage)
    : pageBudgets(pages, count, minPerPage);
  if (!isSplitByPage(options)) return wholeRun(n).map((run) => ({ ...run, left: count }));
  return pages.map((run, i) => ({ ...run, left: counts[i]! }));
}

/** Rows taken so far, never more than the budgets allow. */
class KeptRows {
  readonly #kept: Uint8Array;

  constructor(
    n: number,
    private readonly budgets: readonly Budget[],
  ) {
    this.#kept = new Uint8Array(n);
  }

  has(row: number): boolean {
    return this.#kept[row] === 1;
  }

  /** @returns whether the row is kept now */
  take(row: number): boolean {
    if (this.has(row)) return true;
    const budget = this.#budgetOf(row);
    if (budget.left === 0) return false;
    this.#kept[row] = 1;
    budget.left--;
    return true;
  }

  /** Ascending. */
  rows(): Int32Array {
    return Int32Array.from(this.#kept.keys()).filter((row) => this.has(row));
  }

  #budgetOf(row: number): Budget {
    let [low, high] = [0, this.budgets.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (row < this.budgets[middle]!.end) high = middle;
      else low = middle + 1;
    }
    return this.budgets[low]!;
  }
}

function keepPageFloors(
  kept: KeptRows,
  order: readonly number[],
  pages: readonly PageRun[],
  minPerPage: number,
): void {
  const missing = pages.map(({ start, end }) => Math.min(minPerPage, end - start));
  const pageAt = new Int32Array(order.length);
  pages.forEach(({ start, end }, i) => {
    pageAt.fill(i, start, end);
  });
  for (const row of order) if (missing[pageAt[row]!]!-- > 0) kept.take(row);
}

/** @throws {GlyphpressError} GP_PRUNE_PLAN if the budget does not hold them */
function keepLineFloors(
  kept: KeptRows,
  order: readonly number[],
  { lines = [], minPerLine = 0, count }: StructureOptions,
): void {
  const rank = new Uint32Array(order.length);
  order.forEach((row, at) => {
    rank[row] = at;
  });
  const shortFirst = lines.toSorted((a, b) => a.length - b.length);
  for (const line of shortFirst) {
    const keptOfLine = line.reduce((sum, row) => sum + (kept.has(row) ? 1 : 0), 0);
    const missing = Math.max(0, Math.min(minPerLine, line.length) - keptOfLine);
    const best = Array.from(line)
      .filter((row) => !kept.has(row))
      .sort((a, b) => rank[a]! - rank[b]!);
    for (const row of best.slice(0, missing))
      if (!kept.take(row)) throw lineFloorError(lines.length, minPerLine, count);
  }
}

function lineFloorError(lines: number, minPerLine: number, count: number): GlyphpressError {
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Expected floors within the budget, got minPerLine ${minPerLine} on ${lines} text lines, with ${count} rows to keep`,
    hint: 'Lower minPerLine, raise keepRatio, or leave the split over pages to the lines (scope "document").',
    details: { path: 'minPerLine', value: minPerLine, lines, budget: count },
  });
}

/**
 * The rows beside a row in its row of cells, nearest first, the one before it (where its text comes
 * from) before the one behind it.
 *
 * @param cellOfRow int32 [N], cell of each row in its page's grid
 * @param pageOfRow int32 [N]
 * @param colsOfPage width of each page's grid, by page number
 * @param reach cells to each side
 */
export function rowsBeside(
  cellOfRow: Int32Array,
  pageOfRow: Int32Array,
  colsOfPage: (page: number) => number,
  reach: number,
): (row: number) => number[] {
  const place = (page: number, cell: number) => `${page}:${cell}`;
  const rowAt = new Map<string, number>();
  cellOfRow.forEach((cell, row) => {
    rowAt.set(place(pageOfRow[row]!, cell), row);
  });
  return (row) => {
    const page = pageOfRow[row]!;
    const cell = cellOfRow[row]!;
    const cols = colsOfPage(page);
    const col = cell % cols;
    const rows: number[] = [];
    for (let step = 1; step <= reach; step++) {
      for (const at of [col - step, col + step]) {
        if (at < 0 || at >= cols) continue;
        const neighbour = rowAt.get(place(page, cell - col + at));
        if (neighbour !== undefined) rows.push(neighbour);
      }
    }
    return rows;
  };
}
