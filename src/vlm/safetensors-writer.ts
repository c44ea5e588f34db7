/**
 * Writer for the safetensors format. Tensors are given one by one, so a file larger than memory can
 * be written as long as each tensor fits (or is itself given in pieces).
 */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { GlyphpressError } from '../errors.js';
import { elementBytes } from './safetensors.js';

export type WritableDtype = 'F32' | 'F16' | 'BF16' | 'U8' | 'I8' | 'I32' | 'I64';

type TensorBytes = Float32Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;

export interface WritableTensor {
  name: string;
  dtype: WritableDtype;
  shape: readonly number[];
  /** The values (F16 as its bits), or pieces of them in order, read only when their turn comes. */
  data: TensorBytes | (() => Iterable<TensorBytes> | AsyncIterable<TensorBytes>);
}

/** The file's bytes, piece by piece: header first, then each tensor in the order given. */
export async function* encodeSafetensors(
  tensors: readonly WritableTensor[],
  metadata: Record<string, string> = {},
): AsyncGenerator<Uint8Array> {
  yield encodeHeader(tensors, metadata);
  for (const tensor of tensors) {
    const expected = byteLengthOf(tensor);
    let written = 0;
    const pieces = typeof tensor.data === 'function' ? tensor.data() : [tensor.data];
    for await (const piece of pieces) {
      written += piece.byteLength;
      yield new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
    }
    if (written !== expected) {
      throw new GlyphpressError('GP_TENSOR_SHAPE', {
        message: `Tensor ${tensor.name}, ${tensor.dtype} [${tensor.shape.join(', ')}], takes ${expected} bytes; ${written} were given.`,
        hint: 'Give exactly shape × dtype bytes.',
        details: { tensor: tensor.name, expected, actual: written },
      });
    }
  }
}

/** Size of the encoded file, known before any data is read. */
export function safetensorsByteLength(
  tensors: readonly WritableTensor[],
  metadata: Record<string, string> = {},
): number {
  return tensors.reduce(
    (sum, tensor) => sum + byteLengthOf(tensor),
    encodeHeader(tensors, metadata).byteLength,
  );
}

/**
 * Write a file under a temporary name, then rename it: readers see all of it or nothing.
 *
 * @param owner stands in the temporary name, to tell who writes it
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly WritableTensor[],
  metadata: Record<string, string> = {},
  owner = String(process.pid),
): Promise<void> {
  const temporary = `${path}.${owner}.${randomBytes(4).toString('hex')}.tmp`;
  const file = await open(temporary, 'wx');
  try {
    for await (const piece of encodeSafetensors(tensors, metadata)) await file.writeFile(piece);
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

function byteLengthOf({ dtype, shape }: WritableTensor): number {
  return shape.reduce((product, size) => product * size, elementBytes(dtype));
}

function encodeHeader(
  tensors: readonly WritableTensor[],
  metadata: Record<string, string>,
): Uint8Array {
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) entries.set('__metadata__', metadata);
  let position = 0;
  for (const tensor of tensors) {
    const end = position + byteLengthOf(tensor);
    entries.set(tensor.name, {
      dtype: tensor.dtype,
      shape: tensor.shape,
      data_offsets: [position, end],
    });
    position = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  // Spaces keep the data 8-byte aligned, as the format recommends.
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const bytes = Buffer.alloc(8 + padded, 0x20);
  bytes.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(bytes, 8);
  return bytes;
}
