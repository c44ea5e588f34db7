/**
 * Rows of floats to blocks of 4- or 8-bit codes and back. Plain arrays in and out: no files, no graphs.
 *
 * A block is some neighbours of one row. A symmetric block stands for (code − 2^(bits − 1)) · scale, its
 * scale a half. An asymmetric one stands for (code − zero) · scale: zero counts in sixteenths, and the
 * scale is one of 255 steps of its row, so that both take the two bytes of a half. Codes are chosen for the
 * rounded scales.
 */
import { halfBits, halfValue } from '../float16.js';

export type QuantisedBits = 4 | 8;

export interface BlockLayout {
  bits: QuantisedBits;
  /** Values that share a scale; a power of two, at least 16. */
  blockSize: number;
}

/** Of [rows, K]: blocks [rows, ⌈K/B⌉, B·bits/8], the others [rows, ⌈K/B⌉] but for the steps. */
export interface SymmetricRows {
  blocks: Uint8Array;
  /** Bits of halves. */
  scales: Uint16Array;
}

export interface AsymmetricRows {
  blocks: Uint8Array;
  /** In steps of the row. */
  scales: Uint8Array;
  /** [rows] */
  steps: Float32Array;
  /** The code that stands for zero, in parts of {@link ZERO_PARTS}. */
  zeros: Uint8Array;
}

/** The code of zero is known to a sixteenth: off by a thirty-second of a step, a tenth of the rounding. */
export const ZERO_PARTS = 16;

/** Largest scale of a row, in its steps. */
const TOP_SCALE = 255;

/**
 * Shares of the widest value that are tried as the end of a block's range. Smaller than 1 clips that
 * value and spaces the others more finely; which is best is decided by the squared error.
 *
 * Source of the idea: the scale search of llama.cpp's k-quants (ggml-quants.c, make_qx_quants).
 */
const RANGE_SHARES = [1, 0.94, 0.88, 0.82];

/**
 * @param values float32 [rows, columns]; the last block of a row is filled up with zeros
 */
export function quantiseSymmetric(
  values: Float32Array,
  { rows, columns }: { rows: number; columns: number },
  { bits, blockSize }: BlockLayout,
): SymmetricRows {
  const perRow = Math.ceil(columns / blockSize);
  const blockBytes = (blockSize * bits) / 8;
  const blocks = new Uint8Array(rows * perRow * blockBytes);
  const scales = new Uint16Array(rows * perRow);
  const codes = new Uint8Array(blockSize);
  const zero = 2 ** (bits - 1);
  for (let row = 0; row < rows; row += 1) {
    for (let b = 0; b < perRow; b += 1) {
      const from = row * columns + b * blockSize;
      const to = Math.min(from + blockSize, (row + 1) * columns);
      const at = row * perRow + b;
      fitSymmetric(values, from, to, bits);
      scales[at] = fit.scale;
      const scale = halfValue(fit.scale);
      encode(values, from, to, scale, -zero * scale, bits, codes);
      pack(codes, bits, blocks, at * blockBytes);
    }
  }
  return { blocks, scales };
}

/**
 * In four bits.
 *
 * @param values float32 [rows, columns]
 * @param blockSize a divisor of `columns`
 */
export function quantiseAsymmetric(
  values: Float32Array,
  { rows, columns }: { rows: number; columns: number },
  blockSize: number,
): AsymmetricRows {
  const perRow = columns / blockSize;
  const blockBytes = blockSize / 2;
  const blocks = new Uint8Array(rows * perRow * blockBytes);
  const scales = new Uint8Array(rows * perRow);
  const zeros = new Uint8Array(rows * perRow);
  const steps = new Float32Array(rows);
  const codes = new Uint8Array(blockSize);
  for (let row = 0; row < rows; row += 1) {
    const start = row * columns;
    steps[row] = widestRange(values, start, start + columns, blockSize) / 15 / TOP_SCALE;
    const step = steps[row]!;
    for (let b = 0; b < perRow; b += 1) {
      const from = start + b * blockSize;
      const at = row * perRow + b;
      fitAsymmetric(values, from, from + blockSize, step);
      scales[at] = fit.scale;
      zeros[at] = fit.zero;
      const scale = fit.scale * step;
      encode(values, from, from + blockSize, scale, (-fit.zero / ZERO_PARTS) * scale, 4, codes);
      pack(codes, 4, blocks, at * blockBytes);
    }
  }
  return { blocks, scales, steps, zeros };
}

/**
 * @param quantised of each block: its scale, and what code 0 stands for where it is not symmetric
 * @returns float32 [rows, columns]
 */
export function dequantiseRows(
  quantised: { blocks: Uint8Array; scales: Float32Array; lows?: Float32Array | undefined },
  { rows, columns, bits, blockSize }: BlockLayout & { rows: number; columns: number },
): Float32Array {
  const { blocks, scales, lows } = quantised;
  const perRow = Math.ceil(columns / blockSize);
  const values = new Float32Array(rows * columns);
  const zero = 2 ** (bits - 1);
  for (let row = 0; row < rows; row += 1) {
    for (let b = 0; b < perRow; b += 1) {
      const at = row * perRow + b;
      const scale = scales[at]!;
      const low = lows ? lows[at]! : -zero * scale;
      const to = Math.min((b + 1) * blockSize, columns);
      for (let column = b * blockSize, i = at * blockSize; column < to; column += 1, i += 1) {
        const code = bits === 8 ? blocks[i]! : (blocks[i >> 1]! >> (4 * (i & 1))) & 15;
        values[row * columns + column] = code * scale + low;
      }
    }
  }
  return values;
}

/** Root-mean-square error, of the root-mean-square weight, up to which a weight counts as held: halves cost 0.02 %, bfloat16 0.2 %. */
const HELD = 0.004;

/**
 * Whether four symmetric bits hold these rows as they are, because they were trained so.
 *
 * @param values float32 [rows, columns]
 */
export function isHeldSymmetrically(
  values: Float32Array,
  { rows, columns }: { rows: number; columns: number },
  blockSize: number,
): boolean {
  const layout: BlockLayout = { bits: 4, blockSize };
  const { blocks, scales } = quantiseSymmetric(values, { rows, columns }, layout);
  const held = dequantiseRows(
    { blocks, scales: Float32Array.from(scales, halfValue) },
    { rows, columns, ...layout },
  );
  let error = 0;
  let size = 0;
  for (let i = 0; i < values.length; i += 1) {
    error += (values[i]! - held[i]!) ** 2;
    size += values[i]! ** 2;
  }
  return error <= HELD ** 2 * size;
}

/** What the last fit chose, as it is stored. One for all blocks: there are hundreds of millions. */
const fit = { scale: 0, zero: 0 };

function fitSymmetric(values: Float32Array, from: number, to: number, bits: QuantisedBits): void {
  const zero = 2 ** (bits - 1);
  let widest = 0;
  let size = 0;
  for (let i = from; i < to; i += 1) {
    const value = values[i]!;
    const magnitude = value < 0 ? -value : value;
    if (magnitude > size) {
      size = magnitude;
      widest = value;
    }
  }
  // Eight bits are fine enough for the plain range; with four, the widest value takes the code −8, which
  // has no counterpart above, and the range is searched.
  if (bits === 8) {
    fit.scale = halfBits(size / (zero - 1));
    return;
  }
  let minError = Number.POSITIVE_INFINITY;
  const attempt = (scale: number) => {
    const value = halfValue(scale);
    const error = squaredError(values, from, to, value, -zero * value, bits);
    if (error < minError) {
      minError = error;
      fit.scale = scale;
    }
  };
  for (let n = 0; n < RANGE_SHARES.length; n += 1)
    attempt(halfBits((widest / -zero) * RANGE_SHARES[n]!));
  // Weights that were trained in four bits lie on the even grid of codes −7 … 7. Written as halves, their
  // widest value may be rounded, and with it the scale by one half.
  const even = halfBits(size / (zero - 1));
  for (let scale = Math.max(0, even - 1); scale <= even + 1; scale += 1) attempt(scale);
}

/** Of the blocks of a row, each with zero in its range. */
function widestRange(values: Float32Array, start: number, end: number, blockSize: number): number {
  let widest = 0;
  for (let from = start; from < end; from += blockSize) {
    let [low, high] = [0, 0];
    for (let i = from; i < from + blockSize; i += 1) {
      const value = values[i]!;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (high - low > widest) widest = high - low;
  }
  return widest;
}

function fitAsymmetric(values: Float32Array, from: number, to: number, step: number): void {
  let low = 0;
  let high = 0;
  for (let i = from; i < to; i += 1) {
    const value = values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  fit.scale = 0;
  fit.zero = 0;
  // A row of zeros, or of numbers too small for a step.
  if (high === low || step === 0) return;
  const middle = (low + high) / 2;
  let minError = Number.POSITIVE_INFINITY;
  for (let n = 0; n < RANGE_SHARES.length; n += 1) {
    const steps = Math.round((((high - low) / 15) * RANGE_SHARES[n]!) / step);
    const code = steps < 1 ? 1 : steps > TOP_SCALE ? TOP_SCALE : steps;
    const scale = code * step;
    // Code 0 stands for the low end, code 15 for the high one: their middle is code 7.5.
    const parts = Math.round((7.5 - middle / scale) * ZERO_PARTS);
    const zero = parts < 0 ? 0 : parts > 255 ? 255 : parts;
    const error = squaredError(values, from, to, scale, (-zero / ZERO_PARTS) * scale, 4);
    if (error < minError) {
      minError = error;
      fit.scale = code;
      fit.zero = zero;
    }
  }
}

/** @param low what code 0 stands for */
function encode(
  values: Float32Array,
  from: number,
  to: number,
  scale: number,
  low: number,
  bits: QuantisedBits,
  codes: Uint8Array,
): void {
  const top = 2 ** bits - 1;
  // A scale too small for a half is zero: then all codes stand for the same.
  const inverse = scale === 0 ? 0 : 1 / scale;
  codes.fill(2 ** (bits - 1));
  for (let i = from; i < to; i += 1) {
    const code = Math.floor((values[i]! - low) * inverse + 0.5);
    codes[i - from] = code < 0 ? 0 : code > top ? top : code;
  }
}

function squaredError(
  values: Float32Array,
  from: number,
  to: number,
  scale: number,
  low: number,
  bits: QuantisedBits,
): number {
  const top = 2 ** bits - 1;
  const inverse = scale === 0 ? 0 : 1 / scale;
  let sum = 0;
  for (let i = from; i < to; i += 1) {
    const value = values[i]! - low;
    const code = Math.floor(value * inverse + 0.5);
    const error = value - (code < 0 ? 0 : code > top ? top : code) * scale;
    sum += error * error;
  }
  return sum;
}

function pack(codes: Uint8Array, bits: QuantisedBits, blocks: Uint8Array, at: number): void {
  if (bits === 8) {
    blocks.set(codes, at);
    return;
  }
  for (let i = 0; i < codes.length; i += 2) {
    blocks[at + i / 2] = codes[i]! | (codes[i + 1]! << 4);
  }
}
