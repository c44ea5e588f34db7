/**
 * The patches of an image: their order, their rotary tables, their windows, their places in a learned
 * position table. All of it depends on the size of the image alone, and is made by the host.
 *
 * Source: transformers 5.24.0, vision_utils.py and the vision rotary embeddings of modeling_glm4v.py
 * (Qwen's are the same) and modeling_pixtral.py.
 */
import { inverseFrequencies } from '../decoders/rope.js';

/**
 * Patches in the order that towers take them: those of a cell follow each other, cells row by row.
 * Patches at the right and lower rim that fill no cell come last; they are seen, but give no token.
 */
export function* patchOrder(
  gridH: number,
  gridW: number,
  mergeSize: number,
): Generator<[row: number, column: number]> {
  const wholeH = gridH - (gridH % mergeSize);
  const wholeW = gridW - (gridW % mergeSize);
  for (let blockRow = 0; blockRow < wholeH; blockRow += mergeSize) {
    for (let blockColumn = 0; blockColumn < wholeW; blockColumn += mergeSize) {
      for (let inRow = 0; inRow < mergeSize; inRow += 1) {
        for (let inColumn = 0; inColumn < mergeSize; inColumn += 1) {
          yield [blockRow + inRow, blockColumn + inColumn];
        }
      }
    }
  }
  for (let row = 0; row < gridH; row += 1) {
    for (let column = row < wholeH ? wholeW : 0; column < gridW; column += 1) yield [row, column];
  }
}

/** Frequencies of a 2-D rotary embedding: the first half turns by the row, the second by the column. */
export interface AxialFrequencies {
  row: Float32Array;
  column: Float32Array;
}

/** Both axes take the same frequencies, those of a head half as wide. */
export function sharedAxialFrequencies(theta: number, headDim: number): AxialFrequencies {
  const frequencies = inverseFrequencies(theta, headDim / 2);
  return { row: frequencies, column: frequencies };
}

/** The frequencies of a whole head in turn: even ones for rows, odd ones for columns (Pixtral). */
export function alternatingAxialFrequencies(theta: number, headDim: number): AxialFrequencies {
  const frequencies = inverseFrequencies(theta, headDim);
  return {
    row: frequencies.filter((_, i) => i % 2 === 0),
    column: frequencies.filter((_, i) => i % 2 === 1),
  };
}

/** @returns float32 [patches, headDim / 2] each, in `patchOrder`; angles are float32 products */
export function axialRotary(
  gridH: number,
  gridW: number,
  mergeSize: number,
  frequencies: AxialFrequencies,
): { cos: Float32Array; sin: Float32Array } {
  const quarter = frequencies.row.length;
  const cos = new Float32Array(gridH * gridW * 2 * quarter);
  const sin = new Float32Array(cos.length);
  let at = 0;
  for (const [row, column] of patchOrder(gridH, gridW, mergeSize)) {
    for (let i = 0; i < 2 * quarter; i += 1) {
      const angle = Math.fround(
        i < quarter ? row * frequencies.row[i]! : column * frequencies.column[i - quarter]!,
      );
      cos[at] = Math.cos(angle);
      sin[at] = Math.sin(angle);
      at += 1;
    }
  }
  return { cos, sin };
}

/** Raster index of each patch, in `patchOrder`. */
export function rasterIndices(gridH: number, gridW: number, mergeSize: number): BigInt64Array {
  return BigInt64Array.from(patchOrder(gridH, gridW, mergeSize), ([row, column]) =>
    BigInt(row * gridW + column),
  );
}

/**
 * Weights that resample `side` table entries to `length` places: float32 [length, side], rows sum to 1.
 * Keys' cubic with a = −0.75 at half-pixel centres; taps beyond the border count for the border entry.
 */
export function bicubicWeights(length: number, side: number): Float32Array {
  const f = Math.fround;
  const weights = new Float32Array(length * side);
  for (let n = 0; n < length; n += 1) {
    // As grid_sample gets it: a float32 coordinate in [−1, 1], then back to table units.
    const normalised = f(f(f(f(n + 0.5) / length) * 2) - 1);
    const source = f(f(f(f(normalised + 1) * side) - 1) / 2);
    const floor = Math.floor(source);
    for (let tap = -1; tap <= 2; tap += 1) {
      const entry = Math.min(Math.max(floor + tap, 0), side - 1);
      weights[n * side + entry]! += keys(source - floor - tap);
    }
  }
  return weights;
}

/** As `bicubicWeights`, linear between neighbours, with the first and last place on the border entries. */
export function linearWeights(length: number, side: number): Float32Array {
  const f = Math.fround;
  const weights = new Float32Array(length * side);
  for (let n = 0; n < length; n += 1) {
    const source = f(f(n * (side - 1)) / Math.max(length - 1, 1));
    const floor = Math.floor(source);
    const share = f(source - floor);
    weights[n * side + floor]! += 1 - share;
    weights[n * side + Math.min(floor + 1, side - 1)]! += share;
  }
  return weights;
}

function keys(x: number): number {
  const a = -0.75;
  const d = Math.abs(x);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

/** Which patches attend to each other where attention stays within windows. */
export interface PatchWindows {
  /** [windows · length]: index in `patchOrder`; places beyond a window's end repeat its first patch */
  places: BigInt64Array;
  /** [windows] */
  lengths: Int32Array;
  /** [patches]: place of each patch */
  patches: BigInt64Array;
}

/**
 * Square windows of `side` × `side` cells, from the upper left; those at the right and lower rim are smaller.
 *
 * @param gridH in patches, a multiple of mergeSize, as gridW
 */
export function patchWindows(
  gridH: number,
  gridW: number,
  mergeSize: number,
  side: number,
): PatchWindows {
  const [rows, cols] = [gridH / mergeSize, gridW / mergeSize];
  const cell = mergeSize ** 2;
  const length = side ** 2 * cell;
  const windowCols = Math.ceil(cols / side);
  const windows: number[][] = Array.from({ length: Math.ceil(rows / side) * windowCols }, () => []);
  for (let n = 0; n < rows * cols; n += 1) {
    const [row, col] = [Math.floor(n / cols), n % cols];
    const window = windows[Math.floor(row / side) * windowCols + Math.floor(col / side)]!;
    for (let patch = n * cell; patch < (n + 1) * cell; patch += 1) window.push(patch);
  }
  const places = new BigInt64Array(windows.length * length);
  const patches = new BigInt64Array(gridH * gridW);
  for (const [w, window] of windows.entries()) {
    for (let n = 0; n < length; n += 1) places[w * length + n] = BigInt(window[n] ?? window[0]!);
    for (const [n, patch] of window.entries()) patches[patch] = BigInt(w * length + n);
  }
  return { places, lengths: Int32Array.from(windows, (window) => window.length), patches };
}
