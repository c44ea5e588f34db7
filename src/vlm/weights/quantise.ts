/**
 * Rows of floats to blocks of 4- or 8-bit codes and back. Plain arrays in and out: no files, no graphs.
 *
 * A block is some neighbours of one row. A symmetric block stands for (code − 2^(bits − 1)) · scale, an
 * asymmetric one for code · scale + minimum. Scales and minima are halves, and codes are chosen for the
 * rounded ones.
 */
import { halfBits, halfValue } from '../float16.js';

export type QuantisedBits = 4 | 8;

export interface BlockLayout {
  bits: QuantisedBits;
  /** Values that share a scale; a power of two, at least 16. */
  blockSize: number;
}

export interface QuantiseOptions extends BlockLayout {
  /** Blocks have a minimum of their own; else their values lie around zero. */
  asymmetric: boolean;
}

/** Of [rows, K]: blocks [rows, ⌈K/B⌉, B·bits/8], scales and minima [rows, ⌈K/B⌉]. */
export interface QuantisedRows {
  blocks: Uint8Array;
  /** Bits of halves. */
  scales: Uint16Array;
  minima: Uint16Array | undefined;
}

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
export function quantiseRows(
  values: Float32Array,
  { rows, columns }: { rows: number; columns: number },
  { bits, blockSize, asymmetric }: QuantiseOptions,
): QuantisedRows {
  const perRow = Math.ceil(columns / blockSize);
  const blockBytes = (blockSize * bits) / 8;
  const blocks = new Uint8Array(rows * perRow * blockBytes);
  const scales = new Uint16Array(rows * perRow);
  const minima = asymmetric ? new Uint16Array(rows * perRow) : undefined;
  const codes = new Uint8Array(blockSize);
  const zero = 2 ** (bits - 1);
  for (let row = 0; row < rows; row += 1) {
    for (let b = 0; b < perRow; b += 1) {
      const from = row * columns + b * blockSize;
      const to = Math.min(from + blockSize, (row + 1) * columns);
      const at = row * perRow + b;
      if (minima) {
        fitAsymmetric(values, from, to, bits);
        minima[at] = fit.minimum;
      } else {
        fitSymmetric(values, from, to, bits);
      }
      scales[at] = fit.scale;
      const scale = halfValue(fit.scale);
      const low = minima ? halfValue(fit.minimum) : -zero * scale;
      encode(values, from, to, scale, low, bits, codes);
      pack(codes, bits, blocks, at * blockBytes);
    }
  }
  return { blocks, scales, minima };
}

/**
 * @param quantised scales and minima as float32
 * @returns float32 [rows, columns]
 */
export function dequantiseRows(
  quantised: { blocks: Uint8Array; scales: Float32Array; minima: Float32Array | undefined },
  { rows, columns, bits, blockSize }: BlockLayout & { rows: number; columns: number },
): Float32Array {
  const { blocks, scales, minima } = quantised;
  const perRow = Math.ceil(columns / blockSize);
  const values = new Float32Array(rows * columns);
  const zero = 2 ** (bits - 1);
  for (let row = 0; row < rows; row += 1) {
    for (let b = 0; b < perRow; b += 1) {
      const at = row * perRow + b;
      const scale = scales[at]!;
      const low = minima ? minima[at]! : -zero * scale;
      const to = Math.min((b + 1) * blockSize, columns);
      for (let column = b * blockSize, i = at * blockSize; column < to; column += 1, i += 1) {
        const code = bits === 8 ? blocks[i]! : (blocks[i >> 1]! >> (4 * (i & 1))) & 15;
        values[row * columns + column] = code * scale + low;
      }
    }
  }
  return values;
}

/** What the last fit chose, as bits of halves. One for all blocks: there are hundreds of millions. */
const fit = { scale: 0, minimum: 0 };

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
  for (let n = 0; n < RANGE_SHARES.length; n += 1) {
    const scale = halfBits((widest / -zero) * RANGE_SHARES[n]!);
    const value = halfValue(scale);
    const error = squaredError(values, from, to, value, -zero * value, bits);
    if (error < minError) {
      minError = error;
      fit.scale = scale;
    }
  }
}

function fitAsymmetric(values: Float32Array, from: number, to: number, bits: QuantisedBits): void {
  const steps = 2 ** bits - 1;
  let low = values[from]!;
  let high = low;
  for (let i = from + 1; i < to; i += 1) {
    const value = values[i]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const middle = (low + high) / 2;
  let minError = Number.POSITIVE_INFINITY;
  for (let n = 0; n < RANGE_SHARES.length; n += 1) {
    const scale = halfBits(((high - low) / steps) * RANGE_SHARES[n]!);
    // Code 0 stands for the low end, code `steps` for the high one: their middle is code steps / 2.
    const minimum = halfBits(middle - (steps / 2) * halfValue(scale));
    const error = squaredError(values, from, to, halfValue(scale), halfValue(minimum), bits);
    if (error < minError) {
      minError = error;
      fit.scale = scale;
      fit.minimum = minimum;
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
