/**
 * Keys or values of one layer in one of three types: float32, halves, or eight bits with a scale for each row
 * of a head. Plain arrays, [kvHeads, length, headDim], scales [kvHeads, length].
 */
import { float16ToFloat32, float32ToFloat16 } from './float16.js';

/** What keys and values are held in, in memory and in stored contexts. */
export type KvDtype = 'fp32' | 'fp16' | 'int8';

export const KV_DTYPES: readonly KvDtype[] = ['fp32', 'fp16', 'int8'];

/** A value is code · scale of its row. */
export interface Int8Rows {
  codes: Int8Array;
  scales: Float32Array;
}

/** Halves are their bits. */
export type KvRows = Float32Array | Uint16Array | Int8Rows;

const TOP_CODE = 127;

export function kvDtypeOf(rows: KvRows): KvDtype {
  if (rows instanceof Float32Array) return 'fp32';
  return rows instanceof Uint16Array ? 'fp16' : 'int8';
}

export function kvFromFloat32(values: Float32Array, dtype: KvDtype, headDim: number): KvRows {
  if (dtype === 'fp32') return values;
  if (dtype === 'fp16') return float32ToFloat16(values);
  const codes = new Int8Array(values.length);
  const scales = new Float32Array(values.length / headDim);
  for (const row of scales.keys()) {
    scales[row] = encodeRow(values, row * headDim, headDim, codes, row * headDim);
  }
  return { codes, scales };
}

export function kvToFloat32(rows: KvRows, headDim: number): Float32Array {
  if (rows instanceof Float32Array) return rows;
  if (rows instanceof Uint16Array) return float16ToFloat32(rows);
  const { codes, scales } = rows;
  return Float32Array.from(codes, (code, n) => code * scales[Math.floor(n / headDim)]!);
}

/**
 * Writes one row as codes, the farthest value at ±127.
 *
 * @returns the scale
 */
export function encodeRow(
  source: Float32Array,
  from: number,
  headDim: number,
  codes: Int8Array,
  to: number,
): number {
  let size = 0;
  for (let d = 0; d < headDim; d += 1) {
    const value = source[from + d]!;
    const magnitude = value < 0 ? -value : value;
    if (magnitude > size) size = magnitude;
  }
  const scale = Math.fround(size / TOP_CODE);
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let d = 0; d < headDim; d += 1) codes[to + d] = Math.round(source[from + d]! * inverse);
  return scale;
}

/** How many numbers there are, scales left out. */
export function kvLength(rows: KvRows): number {
  return 'codes' in rows ? rows.codes.length : rows.length;
}

export function kvByteLength(rows: KvRows): number {
  return 'codes' in rows ? rows.codes.byteLength + rows.scales.byteLength : rows.byteLength;
}

/** Bytes of one row of one head. */
export function kvRowBytes(dtype: KvDtype, headDim: number): number {
  return { fp32: 4 * headDim, fp16: 2 * headDim, int8: headDim + 4 }[dtype];
}

/** Float32 is stored as halves. */
export function storedKvDtype(dtype: KvDtype): 'fp16' | 'int8' {
  return dtype === 'int8' ? 'int8' : 'fp16';
}

/** Memory behind the rows, to be handed to another thread. */
export function kvMemory(rows: KvRows): ArrayBuffer[] {
  const arrays = 'codes' in rows ? [rows.codes, rows.scales] : [rows];
  return arrays.map(({ buffer }) => buffer as ArrayBuffer);
}
