/**
 * Reader for GGUF, the single-file format of llama.cpp: metadata, a directory of tensors, their bytes.
 *
 * Source: ggml's docs/gguf.md, versions 2 and 3, little-endian. Nothing here trusts the file: counts and
 * offsets are held against its size before memory is taken.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { GlyphpressError } from '../../errors.js';
import { BLOCK_TYPES } from './block-types.js';

const blocks = <Name extends keyof typeof BLOCK_TYPES>(name: Name) => {
  const { values, bytes } = BLOCK_TYPES[name];
  return { name, values, bytes };
};

/** Tensor types by their number in the file: values in a block, and bytes of one. */
const TENSOR_TYPES = {
  0: { name: 'F32', values: 1, bytes: 4 },
  1: { name: 'F16', values: 1, bytes: 2 },
  2: blocks('Q4_0'),
  3: blocks('Q4_1'),
  6: blocks('Q5_0'),
  7: blocks('Q5_1'),
  8: blocks('Q8_0'),
  12: blocks('Q4_K'),
  13: blocks('Q5_K'),
  14: blocks('Q6_K'),
  30: { name: 'BF16', values: 1, bytes: 2 },
} as const;

export type GgufTensorType = (typeof TENSOR_TYPES)[keyof typeof TENSOR_TYPES]['name'];

/** Of types that are not read, for the message. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  10: 'Q2_K', 11: 'Q3_K', 15: 'Q8_K', 16: 'IQ2_XXS', 18: 'IQ3_XXS', 20: 'IQ4_NL', 23: 'IQ4_XS',
}; // biome-ignore format: one table

export interface GgufTensor {
  name: string;
  type: GgufTensorType;
  /** As PyTorch says it: rows first. */
  shape: number[];
  byteOffset: number;
  byteLength: number;
}

export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

const MAGIC = 0x4655_4747;
const MAX_RANK = 4;
const WINDOW_BYTES = 4 * 1024 * 1024;

export class GgufFile {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Where the tensors' bytes begin. */
  readonly dataStart: number;
  readonly size: number;
  #fd: number | undefined;

  private constructor(
    readonly path: string,
    fd: number,
  ) {
    this.#fd = fd;
    this.size = fstatSync(fd).size;
    const cursor = new Cursor(path, this.size, (bytes, at) => this.#read(bytes, at));
    const { metadata, tensors, dataStart } = parse(cursor);
    this.metadata = metadata;
    this.tensors = tensors;
    this.dataStart = dataStart;
  }

  /** @throws GP_CHECKPOINT for a file that is damaged or no GGUF, GP_MODEL_DTYPE for types not read */
  static open(path: string): GgufFile {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (cause) {
      throw damaged(path, 'cannot be opened', cause);
    }
    try {
      return new GgufFile(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Bytes [start, start + length) of a tensor. */
  readBytes({ name, byteOffset, byteLength }: GgufTensor, start: number, length: number) {
    if (start < 0 || start + length > byteLength) {
      throw new RangeError(`bytes ${start}+${length} lie outside tensor ${name}`);
    }
    const bytes = new Uint8Array(length);
    this.#read(bytes, byteOffset + start);
    return bytes;
  }

  /** Any bytes of the file, for a digest of it. */
  readAt(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(length, this.size - position));
    this.#read(bytes, position);
    return bytes;
  }

  /** @throws GP_CHECKPOINT when the key is missing or holds something else */
  string(key: string, fallback?: string): string {
    const value = this.metadata.get(key) ?? fallback;
    if (typeof value === 'string') return value;
    throw this.#unexpected(key, 'a text', value);
  }

  /** @throws GP_CHECKPOINT when the key is missing or holds something else */
  number(key: string, fallback?: number): number {
    const value = this.metadata.get(key) ?? fallback;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value === 'number') return value;
    throw this.#unexpected(key, 'a number', value);
  }

  /** @throws GP_CHECKPOINT when the key is missing or holds something else */
  list(key: string): readonly GgufValue[] {
    const value = this.metadata.get(key);
    if (Array.isArray(value)) return value;
    throw this.#unexpected(key, 'a list', value);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #read(bytes: Uint8Array, at: number): void {
    if (this.#fd === undefined) throw new Error(`${this.path} is closed`);
    let done = 0;
    while (done < bytes.byteLength) {
      const count = readSync(this.#fd, bytes, done, bytes.byteLength - done, at + done);
      if (count === 0) throw damaged(this.path, `ends at byte ${at + done}, inside its tensors`);
      done += count;
    }
  }

  #unexpected(key: string, expected: string, actual: unknown): GlyphpressError {
    return new GlyphpressError('GP_CHECKPOINT', {
      message: `${this.path}: expected ${key} to be ${expected}, got ${actual === undefined ? 'nothing' : typeof actual}.`,
      hint: 'Convert the model again with a recent llama.cpp, or use its safetensors upload.',
      details: { file: this.path, key },
    });
  }
}

/** Reads numbers and texts one after the other, through a window into the file. */
class Cursor {
  #window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #start = 0;
  position = 0;

  constructor(
    readonly path: string,
    readonly size: number,
    private readonly read: (bytes: Uint8Array, at: number) => void,
  ) {}

  u8 = () => this.#take(1, (view, at) => view.getUint8(at));
  i8 = () => this.#take(1, (view, at) => view.getInt8(at));
  u16 = () => this.#take(2, (view, at) => view.getUint16(at, true));
  i16 = () => this.#take(2, (view, at) => view.getInt16(at, true));
  u32 = () => this.#take(4, (view, at) => view.getUint32(at, true));
  i32 = () => this.#take(4, (view, at) => view.getInt32(at, true));
  f32 = () => this.#take(4, (view, at) => view.getFloat32(at, true));
  f64 = () => this.#take(8, (view, at) => view.getFloat64(at, true));
  u64 = () => this.#take(8, (view, at) => view.getBigUint64(at, true));
  i64 = () => this.#take(8, (view, at) => view.getBigInt64(at, true));

  /** A count of things of at least `bytesEach`, which must fit into what is left of the file. */
  count(what: string, bytesEach: number): number {
    const count = this.u64();
    if (count * BigInt(bytesEach) <= BigInt(this.size - this.position)) return Number(count);
    throw damaged(this.path, `claims ${count} ${what}, more than it has room for`);
  }

  string(): string {
    const length = this.count('bytes of text', 1);
    const bytes = this.#window.subarray(...this.#need(length));
    this.position += length;
    return new TextDecoder().decode(bytes);
  }

  #take<T>(bytes: number, get: (view: DataView, at: number) => T): T {
    const [at] = this.#need(bytes);
    this.position += bytes;
    return get(this.#view, at);
  }

  /** Where the next bytes lie in the window, which is moved if they are not all in it. */
  #need(bytes: number): [from: number, to: number] {
    let from = this.position - this.#start;
    if (from + bytes > this.#window.byteLength) {
      const rest = this.size - this.position;
      if (bytes > rest) throw damaged(this.path, 'ends inside its header');
      this.#window = new Uint8Array(Math.min(Math.max(bytes, WINDOW_BYTES), rest));
      this.read(this.#window, this.position);
      this.#view = new DataView(this.#window.buffer);
      this.#start = this.position;
      from = 0;
    }
    return [from, from + bytes];
  }
}

function parse(cursor: Cursor) {
  const { path, size } = cursor;
  if (size < 24 || cursor.u32() !== MAGIC) throw damaged(path, 'is no GGUF file');
  const version = cursor.u32();
  if (version < 2 || version > 3) {
    throw damaged(path, `is GGUF version ${version}; 2 and 3 are read, little-endian`);
  }
  const tensorCount = cursor.count('tensors', 24);
  const metadataCount = cursor.count('metadata entries', 13);
  const metadata = new Map<string, GgufValue>();
  for (let n = 0; n < metadataCount; n += 1) metadata.set(cursor.string(), value(cursor));
  const alignment = Number(metadata.get('general.alignment') ?? 32);
  if (!Number.isInteger(alignment) || alignment < 1 || alignment % 8 !== 0) {
    throw damaged(path, `has an alignment of ${alignment}`);
  }
  const entries = Array.from({ length: tensorCount }, () => tensorEntry(cursor));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const { offset, ...entry } of entries) {
    const byteOffset = dataStart + offset;
    if (byteOffset + entry.byteLength > size) {
      throw damaged(
        path,
        `is truncated: tensor ${entry.name} ends at byte ${byteOffset + entry.byteLength}, the file at ${size}`,
      );
    }
    tensors.set(entry.name, { ...entry, byteOffset });
  }
  return { metadata, tensors, dataStart };
}

function tensorEntry(cursor: Cursor): Omit<GgufTensor, 'byteOffset'> & { offset: number } {
  const name = cursor.string();
  const rank = cursor.u32();
  if (rank < 1 || rank > MAX_RANK) throw damaged(cursor.path, `gives tensor ${name} rank ${rank}`);
  // The fastest-moving axis comes first in the file.
  const shape = Array.from({ length: rank }, () => Number(cursor.u64())).reverse();
  const number = cursor.u32();
  const offset = Number(cursor.u64());
  const type = TENSOR_TYPES[number as keyof typeof TENSOR_TYPES];
  if (!type) {
    const called = OTHER_TYPES[number] ?? `of type ${number}`;
    throw new GlyphpressError('GP_MODEL_DTYPE', {
      message: `${cursor.path}: tensor ${name} is ${called}; ${Object.values(TENSOR_TYPES)
        .map((known) => known.name)
        .join(', ')} are read.`,
      hint: 'Get the model as Q8_0, Q4_K_M, Q4_0 or F16, or its safetensors upload and --dtype int4.',
      details: { file: cursor.path, tensor: name, type: called },
    });
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  const isWhole = shape.at(-1)! % type.values === 0 && elements > 0;
  if (!isWhole || !Number.isSafeInteger(elements) || !Number.isSafeInteger(offset)) {
    throw damaged(
      cursor.path,
      `gives tensor ${name} the shape [${shape.join(', ')}] in ${type.name}`,
    );
  }
  return {
    name,
    type: type.name,
    shape,
    offset,
    byteLength: (elements / type.values) * type.bytes,
  };
}

const STRING = 8;
const ARRAY = 9;

function value(cursor: Cursor): GgufValue {
  return valueOfType(cursor.u32(), cursor);
}

function valueOfType(type: number, cursor: Cursor): GgufValue {
  if (type === STRING) return cursor.string();
  if (type === ARRAY) {
    const inner = cursor.u32();
    if (inner === ARRAY) throw damaged(cursor.path, 'nests lists in lists');
    const count = cursor.count('list entries', 1);
    return Array.from({ length: count }, () => valueOfType(inner, cursor));
  }
  const scalars: Record<number, () => number | bigint | boolean> = {
    0: cursor.u8, 1: cursor.i8, 2: cursor.u16, 3: cursor.i16, 4: cursor.u32, 5: cursor.i32,
    6: cursor.f32, 7: () => cursor.u8() !== 0, 10: cursor.u64, 11: cursor.i64, 12: cursor.f64,
  }; // biome-ignore format: the numbers of gguf.md
  const read = scalars[type];
  if (!read) throw damaged(cursor.path, `holds a value of unknown type ${type}`);
  return read();
}

function damaged(file: string, problem: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_CHECKPOINT', {
    message: `${file} ${problem}.`,
    hint: 'Get the file again; it is incomplete, damaged or not in GGUF format.',
    details: { file },
    cause,
  });
}
