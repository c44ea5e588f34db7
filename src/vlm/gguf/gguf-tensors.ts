/**
 * Tensors of a GGUF file as the tensors of a checkpoint folder. Q4_0, Q4_1 and Q8_0 become quantised
 * weights of ours number for number: only the order of the codes changes.
 *
 * Source of the block layouts: llama.cpp, ggml/src/ggml-common.h (block_q4_0, block_q4_1, block_q8_0).
 */
import type { WritableTensor } from '../safetensors-writer.js';
import { storedTensorNames } from '../weights/stored-weight.js';
import type { GgufFile, GgufTensor, GgufTensorType } from './gguf-file.js';

/** Values that share a scale, in all three. */
const BLOCK = 32;
const PIECE_BYTES = 16 * 1024 * 1024;

/** Which row of the file is row `row` of the weight. */
export type RowOrder = (row: number) => number;

const IN_ORDER: RowOrder = (row) => row;

const BLOCKS = {
  Q4_0: { bits: 4, bytes: 18, hasMinimum: false },
  Q4_1: { bits: 4, bytes: 20, hasMinimum: true },
  Q8_0: { bits: 8, bytes: 34, hasMinimum: false },
} as const;

const FLOATS = { F32: 'F32', F16: 'F16', BF16: 'BF16' } as const;

/**
 * @param name of the weight in the checkpoint
 * @returns tensors whose data must be taken in order
 */
export function checkpointTensors(
  file: GgufFile,
  tensor: GgufTensor,
  name: string,
  rowOrder: RowOrder = IN_ORDER,
): WritableTensor[] {
  const { type, shape } = tensor;
  if (isFloat(type)) {
    const data = () => rows(file, tensor, rowOrder);
    return [{ name, dtype: FLOATS[type], shape, data }];
  }
  const { bits, bytes: blockBytes, hasMinimum } = BLOCKS[type];
  const [count, columns] = [shape[0]!, shape.at(-1)!];
  const perRow = columns / BLOCK;
  const names = storedTensorNames(name, bits);
  const scales = new Uint16Array(count * perRow);
  const minima = hasMinimum ? new Uint16Array(count * perRow) : undefined;
  function* blocks() {
    let at = 0;
    for (const piece of rows(file, tensor, rowOrder)) {
      const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
      const codes = new Uint8Array((piece.byteLength / blockBytes) * ((BLOCK * bits) / 8));
      for (let from = 0, to = 0; from < piece.byteLength; from += blockBytes, at += 1) {
        scales[at] = view.getUint16(from, true);
        if (minima) minima[at] = view.getUint16(from + 2, true);
        const source = piece.subarray(from + (hasMinimum ? 4 : 2), from + blockBytes);
        if (bits === 4) pairNeighbours(source, codes, to);
        else centre(source, codes, to);
        to += (BLOCK * bits) / 8;
      }
      yield codes;
    }
  }
  const side = [count, perRow];
  return [
    { name: names.blocks, dtype: 'U8', shape: [count, perRow, (BLOCK * bits) / 8], data: blocks },
    { name: names.scales, dtype: 'F16', shape: side, data: () => [scales] },
    ...(minima
      ? [{ name: names.minima, dtype: 'F16' as const, shape: side, data: () => [minima] }]
      : []),
  ];
}

/** There, byte j holds values j and j + 16; here, values 2j and 2j + 1. The first is in the low nibble. */
function pairNeighbours(source: Uint8Array, codes: Uint8Array, to: number): void {
  const code = (i: number) => (i < 16 ? source[i]! & 15 : source[i - 16]! >> 4);
  for (let j = 0; j < 16; j += 1) codes[to + j] = code(2 * j) | (code(2 * j + 1) << 4);
}

/** Signed bytes to unsigned ones around 128. */
function centre(source: Uint8Array, codes: Uint8Array, to: number): void {
  for (let j = 0; j < BLOCK; j += 1) codes[to + j] = source[j]! ^ 0x80;
}

/** The tensor's bytes, whole rows at a time. */
function* rows(
  file: GgufFile,
  tensor: GgufTensor,
  rowOrder: RowOrder,
): Generator<Uint8Array<ArrayBuffer>> {
  // A bias moves number by number, like the rows of its weight.
  const count = tensor.shape.length === 1 && rowOrder === IN_ORDER ? 1 : tensor.shape[0]!;
  const rowBytes = tensor.byteLength / count;
  const step = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  for (let first = 0; first < count; first += step) {
    const taken = Math.min(step, count - first);
    if (rowOrder === IN_ORDER) {
      yield file.readBytes(tensor, first * rowBytes, taken * rowBytes);
      continue;
    }
    const piece = new Uint8Array(taken * rowBytes);
    for (let n = 0; n < taken; n += 1) {
      piece.set(file.readBytes(tensor, rowOrder(first + n) * rowBytes, rowBytes), n * rowBytes);
    }
    yield piece;
  }
}

function isFloat(type: GgufTensorType): type is keyof typeof FLOATS {
  return type in FLOATS;
}
