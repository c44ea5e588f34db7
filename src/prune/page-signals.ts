/**
 * What the pixels of a page tell about its cells, before any model has seen them: which hold no ink,
 * how much ink and how many edges the others hold, which text lines run through them.
 */
import { createHash } from 'node:crypto';
import { ShapeError } from '../errors.js';

/** A decoded page: rows from the top, channels interleaved. */
export interface PagePixels {
  data: Uint8Array;
  widthPx: number;
  heightPx: number;
  /** @defaultValue 1 */
  channels?: number;
}

/** Visual tokens of a page, row by row. */
export interface CellGrid {
  rows: number;
  cols: number;
}

/** Where they lie: squares of a page that was brought to the model's size. */
export interface PlacedGrid extends CellGrid {
  /** Side of a cell. */
  cellPx: number;
  /** Size that the page is brought to. */
  widthPx: number;
  heightPx: number;
}

/** A text line on the page, in page pixels. */
export interface PageLine {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface PageSignals {
  grid: CellGrid;
  /** [cells] 1 where every pixel that the cell is made from has the colour of the page. */
  blank: Uint8Array;
  /** float32 [cells], mean distance of the pixels from the colour of the page, 0 to 1. */
  ink: Float32Array;
  /** float32 [cells], mean length of the Sobel gradient, 0 to about 1.4. */
  edges: Float32Array;
  /** [cells], equal for cells with equal pixels; none unless they were asked for. */
  hashes: string[];
  /** For each text line the inked cells that it runs through, ascending; lines without any are left out. */
  lines: Int32Array[];
}

/** Pixels beside a cell that a bicubic filter of scale 1 mixes into it. */
const FILTER_REACH = 2;

/**
 * @param lines text lines from the span map; without them every row of cells counts as a line
 * @param options.hashes of each cell; only the search for repetitions reads them. @defaultValue true
 * @throws {ShapeError} if the pixels are not [height, width, channels] or the grid has no cell
 * Cost: O(pixels) time, about 20 ms for 0.5 megapixels, nearly all of it for edges.
 */
export function pageSignals(
  page: PagePixels,
  grid: PlacedGrid,
  lines?: readonly PageLine[],
  { hashes: withHashes = true }: { hashes?: boolean } = {},
): PageSignals {
  const grey = greyPixels(page);
  const background = mostFrequent(grey);
  const cells = cellCount(grid);
  const blank = new Uint8Array(cells);
  const ink = new Float32Array(cells);
  const edges = new Float32Array(cells);
  const hashes: string[] = [];
  for (let cell = 0; cell < cells; cell++) {
    const box = cellBox(cell, page, grid);
    ink[cell] = meanInk(grey, page, box, background);
    edges[cell] = meanGradient(grey, page, box);
    blank[cell] = isBlank(grey, page, box, background) ? 1 : 0;
    if (withHashes) hashes.push(pixelHash(grey, page, box));
  }
  return { grid, blank, ink, edges, hashes, lines: lineCells(page, grid, blank, lines) };
}

/**
 * The cells of a page that hold no ink, without the other signals: a fraction of their cost.
 *
 * @returns [cells] 1 where a cell is blank, as in {@link PageSignals}
 * @throws {ShapeError} as {@link pageSignals}
 */
export function blankCells(page: PagePixels, grid: PlacedGrid): Uint8Array {
  const grey = greyPixels(page);
  const background = mostFrequent(grey);
  return Uint8Array.from({ length: cellCount(grid) }, (_, cell) =>
    isBlank(grey, page, cellBox(cell, page, grid), background) ? 1 : 0,
  );
}

/** @returns how many cells of the page hold no ink */
export function countBlank({ blank }: Pick<PageSignals, 'blank'>): number {
  return blank.reduce((sum, flag) => sum + flag, 0);
}

function cellCount({ rows, cols }: CellGrid): number {
  const cells = rows * cols;
  if (Number.isSafeInteger(cells) && cells >= 1) return cells;
  throw new ShapeError('grid', '[rows, cols]', [rows, cols], 'Give a grid with cells.');
}

/** Where the page is resampled, ink just outside of a cell gets into it. */
function isBlank(grey: Uint8Array, page: PagePixels, box: Box, background: number): boolean {
  return isPlain(grey, page, widened(box, page), background);
}

interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
  /** Pixels beside it that get into the cell; null where the page goes to the model as it is. */
  reach: { x: number; y: number } | null;
}

/** Pixels of the page for one that the model sees. */
function scaleOf(page: PagePixels, grid: PlacedGrid): { x: number; y: number } {
  return { x: page.widthPx / grid.widthPx, y: page.heightPx / grid.heightPx };
}

function cellBox(cell: number, page: PagePixels, grid: PlacedGrid): Box {
  const { cols, cellPx } = grid;
  const { x, y } = scaleOf(page, grid);
  const [row, col] = [Math.floor(cell / cols), cell % cols];
  const from = (n: number, scale: number) => Math.floor(n * cellPx * scale);
  const to = (n: number, scale: number, limit: number) =>
    Math.min(limit, Math.max(1, Math.ceil((n + 1) * cellPx * scale)));
  return {
    left: from(col, x),
    right: to(col, x, page.widthPx),
    top: from(row, y),
    bottom: to(row, y, page.heightPx),
    reach: x === 1 && y === 1 ? null : { x: filterReach(x), y: filterReach(y) },
  };
}

/** Where the page is made smaller, the filter grows with it. */
const filterReach = (scale: number) => FILTER_REACH * Math.max(1, Math.ceil(scale));

/** By the reach of a bicubic filter. */
function widened(box: Box, { widthPx, heightPx }: PagePixels): Box {
  if (!box.reach) return box;
  const { x, y } = box.reach;
  return {
    left: Math.max(0, box.left - x),
    top: Math.max(0, box.top - y),
    right: Math.min(widthPx, box.right + x),
    bottom: Math.min(heightPx, box.bottom + y),
    reach: null,
  };
}

function greyPixels({ data, widthPx, heightPx, channels = 1 }: PagePixels): Uint8Array {
  if (
    !(widthPx >= 1 && heightPx >= 1 && channels >= 1) ||
    data.length !== widthPx * heightPx * channels
  ) {
    throw new ShapeError(
      'page pixels',
      `[${heightPx}, ${widthPx}, ${channels}]`,
      [data.length],
      'Pass the decoded page, rows from the top, channels interleaved.',
    );
  }
  if (channels === 1) return data;
  const grey = new Uint8Array(widthPx * heightPx);
  for (let i = 0; i < grey.length; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += data[i * channels + c]!;
    grey[i] = sum / channels;
  }
  return grey;
}

/** The colour of the page: text covers far less of it. */
function mostFrequent(grey: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (let i = 0; i < grey.length; i++) counts[grey[i]!]!++;
  return counts.indexOf(Math.max(...counts));
}

function isPlain(grey: Uint8Array, { widthPx }: PagePixels, box: Box, background: number): boolean {
  for (let y = box.top; y < box.bottom; y++) {
    for (let i = y * widthPx + box.left; i < y * widthPx + box.right; i++) {
      if (grey[i] !== background) return false;
    }
  }
  return true;
}

function meanInk(grey: Uint8Array, { widthPx }: PagePixels, box: Box, background: number): number {
  let sum = 0;
  for (let y = box.top; y < box.bottom; y++) {
    for (let i = y * widthPx + box.left; i < y * widthPx + box.right; i++)
      sum += Math.abs(grey[i]! - background);
  }
  return sum / (255 * (box.right - box.left) * (box.bottom - box.top));
}

/** Sobel, scaled so that an edge from white to black has length 1. Pixels beyond the page repeat its rim. */
function meanGradient(grey: Uint8Array, { widthPx, heightPx }: PagePixels, box: Box): number {
  let sum = 0;
  for (let y = box.top; y < box.bottom; y++) {
    const above = Math.max(0, y - 1) * widthPx;
    const here = y * widthPx;
    const below = Math.min(heightPx - 1, y + 1) * widthPx;
    for (let x = box.left; x < box.right; x++) {
      const left = Math.max(0, x - 1);
      const right = Math.min(widthPx - 1, x + 1);
      const gx =
        grey[above + right]! +
        2 * grey[here + right]! +
        grey[below + right]! -
        grey[above + left]! -
        2 * grey[here + left]! -
        grey[below + left]!;
      const gy =
        grey[below + left]! +
        2 * grey[below + x]! +
        grey[below + right]! -
        grey[above + left]! -
        2 * grey[above + x]! -
        grey[above + right]!;
      sum += Math.sqrt(gx * gx + gy * gy);
    }
  }
  return sum / (4 * 255 * (box.right - box.left) * (box.bottom - box.top));
}

function pixelHash(grey: Uint8Array, { widthPx }: PagePixels, box: Box): string {
  const hash = createHash('sha1');
  for (let y = box.top; y < box.bottom; y++)
    hash.update(grey.subarray(y * widthPx + box.left, y * widthPx + box.right));
  return hash.digest('base64');
}

function lineCells(
  page: PagePixels,
  grid: PlacedGrid,
  blank: Uint8Array,
  lines: readonly PageLine[] | undefined,
): Int32Array[] {
  const { rows, cols, cellPx } = grid;
  const scale = scaleOf(page, grid);
  const [cellWidth, cellHeight] = [cellPx * scale.x, cellPx * scale.y];
  const spans = lines ?? [];
  const boxes = lines
    ? spans.map(({ x, y, width, height }) => ({
        // A line that ends at a cell's edge does not run through the next cell.
        fromRow: Math.floor(y / cellHeight + 1e-6),
        toRow: Math.ceil((y + height) / cellHeight - 1e-6),
        fromCol: Math.floor(x / cellWidth + 1e-6),
        toCol: Math.ceil((x + width) / cellWidth - 1e-6),
      }))
    : Array.from({ length: rows }, (_, row) => ({
        fromRow: row,
        toRow: row + 1,
        fromCol: 0,
        toCol: cols,
      }));
  return boxes
    .map(({ fromRow, toRow, fromCol, toCol }) => {
      const cells: number[] = [];
      for (let row = Math.max(0, fromRow); row < Math.min(rows, toRow); row++) {
        for (let col = Math.max(0, fromCol); col < Math.min(cols, toCol); col++)
          if (!blank[row * cols + col]) cells.push(row * cols + col);
      }
      return Int32Array.from(cells);
    })
    .filter((cells) => cells.length > 0);
}
