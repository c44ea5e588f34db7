/**
 * Tensors of a GGUF file as the tensors of a checkpoint folder. Quantised blocks become quantised weights of ours:
 * Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 number for number, k-quants to the half that a scale is rounded to.
 */
import type { WritableTensor } from '../safetensors-writer.js';
import { storedTensorNames } from '../weights/stored-weight.js';
import { BLOCK_TYPES, type BlockType } from './block-types.js';
import type { GgufFile, GgufTensor, GgufTensorType } from './gguf-file.js';

const PIECE_BYTES = 16 * 1024 * 1024;

/** Which row of the file is row `row` of the weight. */
export type RowOrder = (row: number) => number;

const IN_ORDER: RowOrder = (row) => row;

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
  return blockTensors(file, tensor, name, rowOrder, BLOCK_TYPES[type]);
}

function blockTensors(
  file: GgufFile,
  tensor: GgufTensor,
  name: string,
  rowOrder: RowOrder,
  { values, bytes, bits, blockSize, hasMinimum, unpack }: BlockType,
): WritableTensor[] {
  const [count, columns] = [tensor.shape[0]!, tensor.shape.at(-1)!];
  const perRow = columns / blockSize;
  const parts = values / blockSize;
  const names = storedTensorNames(name, bits);
  const scales = new Uint16Array(count * perRow);
  const minima = hasMinimum ? new Uint16Array(count * perRow) : undefined;
  const block = {
    codes: new Uint8Array(values),
    scales: new Uint16Array(parts),
    minima: new Uint16Array(parts),
  };
  const codeBytes = (values * bits) / 8;
  function* blocks() {
    let at = 0;
    for (const piece of rows(file, tensor, rowOrder)) {
      const codes = new Uint8Array((piece.byteLength / bytes) * codeBytes);
      for (let from = 0, to = 0; from < piece.byteLength; from += bytes, to += codeBytes) {
        unpack(new DataView(piece.buffer, piece.byteOffset + from, bytes), block);
        scales.set(block.scales, at);
        minima?.set(block.minima, at);
        at += parts;
        if (bits === 8) codes.set(block.codes, to);
        else pairNeighbours(block.codes, codes, to);
      }
      yield codes;
    }
  }
  const side = [count, perRow];
  const shape = [count, perRow, (blockSize * bits) / 8];
  return [
    { name: names.blocks, dtype: 'U8', shape, data: blocks },
    { name: names.scales, dtype: 'F16', shape: side, data: () => [scales] },
    ...(minima
      ? [{ name: names.minima, dtype: 'F16' as const, shape: side, data: () => [minima] }]
      : []),
  ];
}

/** Two codes a byte, the first in the low nibble. */
function pairNeighbours(codes: Uint8Array, target: Uint8Array, to: number): void {
  for (let j = 0; j < codes.length; j += 2) target[to + j / 2] = codes[j]! | (codes[j + 1]! << 4);
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
