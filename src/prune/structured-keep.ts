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
  const n = scores.length;
  const { count, scope = 'document', minPerPage = 0, lines = [], minPerLine = 0 } = options;
  assertRowCount(count);
  assertRowCount(minPerLine);
  if (count > n) {
    throw new ShapeError('kept rows', `[K], K ≤ ${n}`, [count], 'Ask for at most as many rows.');
  }
  const bad = scores.findIndex((score) => Number.isNaN(score));
  if (bad >= 0) {
    throw new GlyphpressError('GP_TENSOR_VALUE', {
      message: `Expected a number as score of row ${bad}, got NaN`,
      hint: 'A NaN score comes from NaN or overflow in the model; check its weights and dtype.',
      details: { tensor: 'scores', row: bad, value: 'NaN' },
    });
  }
  const byPage = scope === 'page' || options.pageWeights !== undefined;
  const pages: PageRun[] =
    byPage || minPerPage > 0 ? pageRuns(options.pageOfRow, n) : [{ page: 0, start: 0, end: n }];
  const pageBudget = options.pageWeights
    ? densityBudgets(pages, options.pageWeights, count, minPerPage)
    : // Also checks the floors where the document is the scope.
      pageBudgets(pages, count, minPerPage);
  const runs = byPage ? pages : [{ page: 0, start: 0, end: n }];
  const budgets = byPage ? pageBudget : [count];

  const order = Array.from({ length: n }, (_, row) => row);
  order.sort((a, b) => scores[b]! - scores[a]! || a - b || 0);
  // ∞ − ∞ is NaN, which `||` passes on to the row order, as for any other tie.
  const rank = new Uint32Array(n);
  order.forEach((row, at) => {
    rank[row] = at;
  });

  const kept = new Uint8Array(n);
  const left = [...budgets];
  const runOf = (row: number) => {
    if (runs.length === 1) return 0;
    let [low, high] = [0, runs.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (row < runs[middle]!.end) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const take = (row: number): boolean => {
    if (kept[row]) return true;
    const run = runOf(row);
    if (left[run] === 0) return false;
    kept[row] = 1;
    left[run]!--;
    return true;
  };

  if (minPerPage > 0) {
    const floors = pages.map(({ start, end }) => Math.min(minPerPage, end - start));
    const pageAt = new Int32Array(n);
    pages.forEach(({ start, end }, i) => {
      pageAt.fill(i, start, end);
    });
    for (const row of order) if (floors[pageAt[row]!]!-- > 0) take(row);
  }
  if (minPerLine > 0) {
    const shortFirst = [...lines.keys()].sort(
      (a, b) => lines[a]!.length - lines[b]!.length || a - b,
    );
    for (const line of shortFirst) {
      const rows = [...lines[line]!].sort((a, b) => rank[a]! - rank[b]!);
      let missing = Math.min(minPerLine, rows.length);
      for (const row of rows) if (kept[row]) missing--;
      for (const row of rows) {
        if (missing <= 0) break;
        if (kept[row]) continue;
        if (!take(row)) throw lineFloorError(lines.length, minPerLine, count);
        missing--;
      }
    }
  }
  for (const row of order) {
    if (!take(row) || !options.beside) continue;
    for (const neighbour of options.beside(row)) take(neighbour);
  }
  const result = new Int32Array(count);
  for (let row = 0, k = 0; row < n; row++) if (kept[row]) result[k++] = row;
  return result;
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
