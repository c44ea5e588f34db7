/** Where to look, by what the model attends to: cells of pages → sentences and lines of the source. */

import type { AttendedCells, PageGrid } from '../../vlm/index.js';
import type { ScoredPlace } from './expand-places.js';
import type { ExpansionSource } from './expansion-source.js';
import { unitsTouched } from './text-units.js';

type Cells = Pick<PageGrid, 'rows' | 'cols'>;

/** Attention over the cells of one page. */
export interface AttendedPage {
  grid: Cells;
  /** [rows · cols], row-major; over all pages it sums to 1. */
  share: Float32Array;
}

/** Every head counts alike, however much of its attention goes to text. */
export function attendedPages(
  heads: readonly AttendedCells[],
  grids: readonly Cells[],
): AttendedPage[] {
  const pages = grids.map((grid) => ({ grid, share: new Float32Array(grid.rows * grid.cols) }));
  for (const { image, cell, share } of heads) {
    const sum = share.reduce((total, value) => total + value, 0);
    if (sum === 0) continue;
    for (const [n, value] of share.entries())
      pages[image[n]!]!.share[cell[n]!]! += value / (sum * heads.length);
  }
  return pages;
}

/**
 * A cell is shared out among the parts of lines that lie in it, by area; a unit gets what its parts get.
 * The square root keeps long sentences from winning by length, and short ones by chance.
 *
 * @param pages those of all documents of the source, in their order
 */
export function attendedPlaces(
  source: ExpansionSource,
  pages: readonly AttendedPage[],
): ScoredPlace[] {
  const mass = new Float64Array(source.units.length);
  const area = new Float64Array(source.units.length);
  const records = source.pages.flatMap((ofDocument, document) =>
    ofDocument.map((page) => ({ document, page })),
  );
  for (const [index, { document, page }] of records.entries()) {
    const { grid, share } = pages[index]!;
    const size = { width: page.widthPx / grid.cols, height: page.heightPx / grid.rows };
    for (const line of page.lines) {
      const length = line.end - line.start;
      for (const { row, col, part } of cellsUnder(line, size, grid)) {
        const at = (px: number) =>
          line.start +
          Math.round((Math.min(Math.max(px - line.x, 0), line.width) / line.width) * length);
        const range = source.rangeOf(document, {
          start: at(col * size.width),
          end: Math.max(at((col + 1) * size.width), at(col * size.width) + 1),
        });
        const touched = unitsTouched(source.units, range);
        if (!touched) continue;
        const each = part / (touched.last - touched.first + 1);
        for (let unit = touched.first; unit <= touched.last; unit++) {
          mass[unit]! += each * share[row * grid.cols + col]!;
          area[unit]! += each;
        }
      }
    }
  }
  return source.units.flatMap((unit, n) =>
    mass[n]! > 0 ? [{ ...unit, score: mass[n]! / Math.sqrt(area[n]!) }] : [],
  );
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Cells that a line covers, with the share of each that it covers. */
function* cellsUnder(
  { x, y, width, height }: Box,
  size: { width: number; height: number },
  grid: Cells,
) {
  if (width <= 0) return;
  const overlap = (from: number, to: number, cell: number, side: number) =>
    Math.max(0, Math.min(to, (cell + 1) * side) - Math.max(from, cell * side)) / side;
  const last = (end: number, side: number, count: number) =>
    Math.min(count - 1, Math.floor((end - 1e-6) / side));
  for (
    let row = Math.floor(y / size.height);
    row <= last(y + height, size.height, grid.rows);
    row++
  ) {
    const tall = overlap(y, y + height, row, size.height);
    for (
      let col = Math.floor(x / size.width);
      col <= last(x + width, size.width, grid.cols);
      col++
    ) {
      const part = tall * overlap(x, x + width, col, size.width);
      if (part > 0) yield { row, col, part };
    }
  }
}
