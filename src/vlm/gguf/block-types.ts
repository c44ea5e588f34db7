/**
 * The quantised blocks of GGUF files, taken apart into codes, scales and minima as our own quantised weights have
 * them. Only the order of codes changes; a scale that the file holds as a product is rounded to a half.
 *
 * Source of the layouts: llama.cpp, ggml/src/ggml-common.h (block_q4_0 … block_q6_K) and, for the scales of
 * k-quants, get_scale_min_k4 of ggml-quants.c.
 */
import { halfBits, halfValue } from '../float16.js';
import type { QuantisedBits } from '../weights/quantise.js';

export interface BlockType {
  /** Values in a block of the file, and its bytes. */
  values: number;
  bytes: number;
  /** Of the weight that comes of it. */
  bits: QuantisedBits;
  blockSize: 16 | 32;
  hasMinimum: boolean;
  unpack(source: DataView, into: UnpackedBlock): void;
}

/** One block of the file. Scales and minima are bits of halves, one for each `blockSize` values. */
export interface UnpackedBlock {
  codes: Uint8Array;
  scales: Uint16Array;
  minima: Uint16Array;
}

const half = (view: DataView, at: number) => view.getUint16(at, true);

/** Nibbles of 16 bytes: value i and value i + 16 in one. */
const nibble = (view: DataView, at: number, i: number) =>
  i < 16 ? view.getUint8(at + i) & 15 : view.getUint8(at + i - 16) >> 4;

const fifthBit = (view: DataView, at: number, i: number) =>
  ((view.getUint32(at, true) >>> i) & 1) << 4;

/** Blocks of 32 with one scale, and perhaps a minimum. */
function plain(
  bytes: number,
  bits: QuantisedBits,
  hasMinimum: boolean,
  code: (view: DataView, i: number) => number,
): BlockType {
  return {
    values: 32,
    bytes,
    bits,
    blockSize: 32,
    hasMinimum,
    unpack(view, { codes, scales, minima }) {
      scales[0] = half(view, 0);
      if (hasMinimum) minima[0] = half(view, 2);
      for (let i = 0; i < 32; i += 1) codes[i] = code(view, i);
    },
  };
}

/** Scale and minimum of the n-th 32 values, six bits each, from the twelve bytes at 4. */
function scaleAndMinimum(view: DataView, n: number): [scale: number, minimum: number] {
  const byte = (i: number) => view.getUint8(4 + i);
  if (n < 4) return [byte(n) & 63, byte(n + 4) & 63];
  return [
    (byte(n + 4) & 15) | ((byte(n - 4) >> 6) << 4),
    (byte(n + 4) >> 4) | ((byte(n) >> 6) << 4),
  ];
}

/** Blocks of 256 whose eight parts have a scale and a minimum each. */
function withMinima(
  bytes: number,
  bits: QuantisedBits,
  code: (view: DataView, part: number, i: number) => number,
): BlockType {
  return {
    values: 256,
    bytes,
    bits,
    blockSize: 32,
    hasMinimum: true,
    unpack(view, { codes, scales, minima }) {
      const [d, least] = [halfValue(half(view, 0)), halfValue(half(view, 2))];
      for (let part = 0; part < 8; part += 1) {
        const [scale, minimum] = scaleAndMinimum(view, part);
        scales[part] = halfBits(d * scale);
        minima[part] = halfBits(-least * minimum);
        for (let i = 0; i < 32; i += 1) codes[32 * part + i] = code(view, part, i);
      }
    },
  };
}

/** Two parts share 32 bytes: the even one has the low nibbles. */
const partNibble = (view: DataView, at: number, part: number, i: number) =>
  (view.getUint8(at + 32 * (part >> 1) + i) >> (4 * (part & 1))) & 15;

/** 128 low nibbles and 64 high pairs of bits a half; a scale for each 16 values. */
const q6k: BlockType = {
  values: 256,
  bytes: 210,
  bits: 8,
  blockSize: 16,
  hasMinimum: false,
  unpack(view, { codes, scales }) {
    const d = halfValue(half(view, 208));
    for (let part = 0; part < 16; part += 1) scales[part] = halfBits(d * view.getInt8(192 + part));
    for (let i = 0; i < 256; i += 1) {
      const [whole, quarter, place] = [i >> 7, (i >> 5) & 3, i & 31];
      const low = view.getUint8(64 * whole + 32 * (quarter & 1) + place) >> (4 * (quarter >> 1));
      const high = view.getUint8(128 + 32 * whole + place) >> (2 * quarter);
      codes[i] = ((low & 15) | ((high & 3) << 4)) - 32 + 128;
    }
  },
};

export const BLOCK_TYPES = {
  Q4_0: plain(18, 4, false, (view, i) => nibble(view, 2, i)),
  Q4_1: plain(20, 4, true, (view, i) => nibble(view, 4, i)),
  Q5_0: plain(22, 8, false, (view, i) => (nibble(view, 6, i) | fifthBit(view, 2, i)) - 16 + 128),
  Q5_1: plain(24, 8, true, (view, i) => nibble(view, 8, i) | fifthBit(view, 4, i)),
  Q8_0: plain(34, 8, false, (view, i) => view.getInt8(2 + i) + 128),
  Q4_K: withMinima(144, 4, (view, part, i) => partNibble(view, 16, part, i)),
  Q5_K: withMinima(176, 8, (view, part, i) => {
    const high = (view.getUint8(16 + i) >> part) & 1;
    return partNibble(view, 48, part, i) | (high << 4);
  }),
  Q6_K: q6k,
} as const satisfies Record<string, BlockType>;
