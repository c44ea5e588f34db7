/** Scores that run on in reading order: what follows a token that stands out stands out with it. */

import { ShapeError } from '../errors.js';

/** Where rows stand on their pages. */
export interface RowPlaces {
  /** int32 [N], the page of each row, non-decreasing. */
  pageOfRow: Int32Array;
  /** int32 [N], the cell of each row in its page's grid, ascending within a page. */
  cellOfRow: Int32Array;
  /** Width of a page's grid, in cells. */
  colsOfPage: (page: number) => number;
}

/**
 * Each score becomes the sum of how far it and those of the `trail` cells before it in reading order
 * lie above the median. A question names a subject, and the answer stands behind it: tokens that
 * change because the question speaks of them lend their rank to those that follow, and a long match
 * weighs more than a short one.
 *
 * A row of cells may hold several text lines. Before its first cell comes the end of the same row (an
 * earlier line of it) or of the row above (its last line), whichever has the larger sum. Pages stand
 * alone. Cells that were dropped before count as the median.
 *
 * @param scores float32 [N]
 * @param trail cells before a cell that count, at least 0
 * @returns float32 [N]
 * @throws {ShapeError} if places do not fit the scores
 * Cost: O(N · trail) time, and one float a cell.
 */
export function trailingScores(
  scores: Float32Array,
  trail: number,
  places: RowPlaces,
): Float32Array {
  const { pageOfRow, cellOfRow, colsOfPage } = places;
  const n = scores.length;
  for (const [name, rows] of [
    ['pageOfRow', pageOfRow],
    ['cellOfRow', cellOfRow],
  ] as const) {
    if (rows.length === n) continue;
    throw new ShapeError(name, `[${n}]`, [rows.length], 'Gather it by the rows that are left.');
  }
  const usual = median(scores);
  const summed = new Float32Array(n);
  for (let start = 0; start < n; ) {
    const page = pageOfRow[start]!;
    let end = start;
    while (end < n && pageOfRow[end] === page) end++;
    const cols = colsOfPage(page);
    const above = new Map<number, number>();
    for (let row = start; row < end; row++) above.set(cellOfRow[row]!, scores[row]! - usual);
    const at = (cell: number) => above.get(cell) ?? 0;
    for (let row = start; row < end; row++) {
      const cell = cellOfRow[row]!;
      const col = cell % cols;
      let own = at(cell);
      for (let step = 1; step <= Math.min(trail, col); step++) own += at(cell - step);
      const wrapped = trail - col;
      if (wrapped > 0) {
        const last = cell - col + cols - 1;
        const same = sumBack(at, last, Math.min(wrapped, cols));
        const before = cell < cols ? 0 : sumBack(at, last - cols, Math.min(wrapped, cols));
        own += cell < cols ? same : Math.max(same, before);
      }
      summed[row] = own;
    }
    start = end;
  }
  return summed;
}

function sumBack(at: (cell: number) => number, last: number, count: number): number {
  let sum = 0;
  for (let step = 0; step < count; step++) sum += at(last - step);
  return sum;
}

function median(values: Float32Array): number {
  if (values.length === 0) return 0;
  const sorted = values.slice().sort();
  return sorted[sorted.length >> 1]!;
}
