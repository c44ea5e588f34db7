/**
 * Boilerplate: runs of cells with the very pixels of an earlier page (running headers, footers,
 * licence blocks, form letters) tell nothing new. Recognised by pixels alone, so only what a
 * rendering draws alike counts: text that starts elsewhere in a cell is other pixels.
 */
import type { PageSignals } from './page-signals.js';

/**
 * Cells side by side that must be equal. One cell may be equal by chance ("the", or a rule), and a
 * token also carries some of what stands before its cell.
 */
export const REPEAT_RUN = 4;

/**
 * Which cells repeat an earlier page: they lie in a run of {@link REPEAT_RUN} inked cells of one row
 * that stood side by side, in the same columns, in any row of an earlier page.
 *
 * @param pages in reading order
 * @returns for each page [cells], 1 where the cell repeats. The first occurrence is never marked, nor
 *   a repetition on the page itself.
 */
export function repeatedCells(
  pages: readonly Pick<PageSignals, 'grid' | 'blank' | 'hashes'>[],
): Uint8Array[] {
  const earlier = new Set<string>();
  return pages.map(({ grid: { rows, cols }, blank, hashes }) => {
    const repeated = new Uint8Array(rows * cols);
    const found: string[] = [];
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col + REPEAT_RUN <= cols; col++) {
        const first = row * cols + col;
        const cells = Array.from({ length: REPEAT_RUN }, (_, i) => first + i);
        if (cells.some((cell) => blank[cell])) continue;
        const run = `${col}:${cells.map((cell) => hashes[cell]).join('')}`;
        found.push(run);
        if (earlier.has(run)) for (const cell of cells) repeated[cell] = 1;
      }
    }
    for (const run of found) earlier.add(run);
    return repeated;
  });
}
