/**
 * Reader for the safetensors format: 8-byte little-endian header length, JSON header, tensor bytes.
 *
 * Source: the format section of the safetensors README; like its reference reader it refuses holes,
 * overlaps and trailing bytes. Nothing here trusts the file: sizes are checked before memory is taken.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type ErrorCode, GlyphpressError } from '../errors.js';
import { bfloat16ToFloat32, float16ToFloat32 } from './float16.js';

const MAX_HEADER_BYTES = 100_000_000;

const BYTES_PER_ELEMENT = {
  BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1,
  U16: 2, I16: 2, F16: 2, BF16: 2,
  U32: 4, I32: 4, F32: 4,
  U64: 8, I64: 8, F64: 8,
} as const; // biome-ignore format: one size a line

export type SafetensorsDtype = keyof typeof BYTES_PER_ELEMENT;

export interface TensorEntry {
  name: string;
  dtype: SafetensorsDtype;
  shape: number[];
  /** Offset of the first byte from the start of the file. */
  byteOffset: number;
  byteLength: number;
}

export interface SafetensorsHeader {
  tensors: Map<string, TensorEntry>;
  metadata: Record<string, string>;
}

export interface ReadOptions {
  /** Code of the errors thrown. @defaultValue GP_CHECKPOINT */
  code?: ErrorCode;
}

export function elementBytes(dtype: SafetensorsDtype): number {
  return BYTES_PER_ELEMENT[dtype];
}

/** An open file: header in memory, tensor bytes read when asked for. */
export class SafetensorsFile implements SafetensorsHeader {
  readonly tensors: Map<string, TensorEntry>;
  readonly metadata: Record<string, string>;
  #fd: number | undefined;

  private constructor(
    readonly path: string,
    fd: number,
    header: SafetensorsHeader,
    private readonly code: ErrorCode,
  ) {
    this.#fd = fd;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
  }

  static open(path: string, { code = 'GP_CHECKPOINT' }: ReadOptions = {}): SafetensorsFile {
    let fd: number;
    try {
      fd = openSync(path, 'r');
    } catch (cause) {
      throw damaged(code, path, 'cannot be opened', { cause });
    }
    try {
      const size = fstatSync(fd).size;
      const head = Buffer.alloc(8);
      if (size < 8 || readSync(fd, head, 0, 8, 0) !== 8) {
        throw damaged(code, path, `is ${size} bytes long, too short for a header`);
      }
      const headerBytes = checkedHeaderLength(head, size, path, code);
      const json = Buffer.alloc(headerBytes);
      if (readSync(fd, json, 0, headerBytes, 8) !== headerBytes) {
        throw damaged(code, path, 'ends inside its header');
      }
      return new SafetensorsFile(path, fd, parseHeader(json, size, path, code), code);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (!entry) throw damaged(this.code, this.path, `has no tensor ${name}`, { tensor: name });
    return entry;
  }

  /** Bytes [start, start + length) of one tensor, in a fresh, aligned buffer. */
  readBytes(name: string, start = 0, length?: number): Uint8Array<ArrayBuffer> {
    const entry = this.entry(name);
    const wanted = length ?? entry.byteLength - start;
    if (start < 0 || wanted < 0 || start + wanted > entry.byteLength) {
      throw new RangeError(`bytes ${start}+${wanted} lie outside tensor ${name}`);
    }
    if (this.#fd === undefined) throw new Error(`${this.path} is closed`);
    const bytes = new Uint8Array(wanted);
    let done = 0;
    while (done < wanted) {
      const count = readSync(this.#fd, bytes, done, wanted - done, entry.byteOffset + start + done);
      if (count === 0)
        throw damaged(this.code, this.path, `ends inside tensor ${name}`, { tensor: name });
      done += count;
    }
    return bytes;
  }

  /** A tensor (or `count` elements of it from `first` on) as float32, widened when half precision. */
  readFloat32(name: string, first = 0, count?: number): Float32Array {
    const entry = this.entry(name);
    const size = elementBytes(entry.dtype);
    const elements = count ?? entry.byteLength / size - first;
    return toFloat32(
      this.readBytes(name, first * size, elements * size),
      entry,
      this.path,
      this.code,
    );
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** The same for bytes already in memory, e.g. a blob of a store. Tensors are views where aligned. */
export function parseSafetensors(
  bytes: Uint8Array,
  { code = 'GP_CHECKPOINT', name = 'safetensors bytes' }: ReadOptions & { name?: string } = {},
): SafetensorsHeader & {
  readFloat32(tensor: string): Float32Array;
  readBytes(tensor: string): Uint8Array;
} {
  if (bytes.byteLength < 8)
    throw damaged(code, name, `is ${bytes.byteLength} bytes long, too short for a header`);
  const headerBytes = checkedHeaderLength(bytes, bytes.byteLength, name, code);
  const header = parseHeader(bytes.subarray(8, 8 + headerBytes), bytes.byteLength, name, code);
  const entryOf = (tensor: string) => {
    const entry = header.tensors.get(tensor);
    if (!entry) throw damaged(code, name, `has no tensor ${tensor}`, { tensor });
    return entry;
  };
  const readBytes = (tensor: string) => {
    const { byteOffset, byteLength } = entryOf(tensor);
    return bytes.subarray(byteOffset, byteOffset + byteLength);
  };
  return {
    ...header,
    readBytes,
    readFloat32: (tensor) => toFloat32(aligned(readBytes(tensor)), entryOf(tensor), name, code),
  };
}

function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
}

function toFloat32(
  bytes: Uint8Array,
  entry: TensorEntry,
  file: string,
  code: ErrorCode,
): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  switch (entry.dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case 'F16':
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, byteLength / 2));
    default:
      throw new GlyphpressError(code === 'GP_CHECKPOINT' ? 'GP_MODEL_DTYPE' : code, {
        message: `Tensor ${entry.name} in ${file} is ${entry.dtype}; F32, F16 and BF16 can be read as floats.`,
        hint: 'Use a checkpoint in one of these types; quantised uploads are not supported.',
        details: { file, tensor: entry.name, dtype: entry.dtype },
      });
  }
}

function checkedHeaderLength(
  bytes: Uint8Array,
  fileSize: number,
  file: string,
  code: ErrorCode,
): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw damaged(
      code,
      file,
      `claims a header of ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed`,
    );
  }
  if (Number(length) + 8 > fileSize) {
    throw damaged(
      code,
      file,
      `claims a header of ${length} bytes but is only ${fileSize} bytes long (truncated?)`,
    );
  }
  return Number(length);
}

function parseHeader(
  json: Uint8Array,
  fileSize: number,
  file: string,
  code: ErrorCode,
): SafetensorsHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (cause) {
    throw damaged(code, file, 'has a header that is not JSON', { cause });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw damaged(code, file, 'has a header that is not a JSON object');
  }
  const dataStart = 8 + json.byteLength;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '__metadata__') {
      metadata = checkedMetadata(value, file, code);
    } else {
      tensors.set(name, checkedEntry(name, value, dataStart, fileSize, file, code));
    }
  }
  checkCoverage([...tensors.values()], dataStart, fileSize, file, code);
  return { tensors, metadata };
}

function checkedMetadata(value: unknown, file: string, code: ErrorCode): Record<string, string> {
  const isStrings =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((entry) => typeof entry === 'string');
  if (!isStrings) throw damaged(code, file, 'has __metadata__ that is not a map of strings');
  return { ...(value as Record<string, string>) };
}

function checkedEntry(
  name: string,
  value: unknown,
  dataStart: number,
  fileSize: number,
  file: string,
  code: ErrorCode,
): TensorEntry {
  const fail = (problem: string) =>
    damaged(code, file, `describes tensor ${name} badly: ${problem}`, { tensor: name });
  if (typeof value !== 'object' || value === null) throw fail('not an object');
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES_PER_ELEMENT, dtype)) {
    throw fail(`unknown dtype ${JSON.stringify(dtype)}`);
  }
  if (!isCounts(shape)) throw fail(`shape ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2)
    throw fail(`data_offsets ${JSON.stringify(offsets)}`);
  const [begin, end] = offsets as [number, number];
  const known = dtype as SafetensorsDtype;
  const expected = shape.reduce((product, size) => product * size, elementBytes(known));
  if (end - begin !== expected) {
    throw fail(
      `${dtype} [${shape.join(', ')}] takes ${expected} bytes, data_offsets give ${end - begin}`,
    );
  }
  if (dataStart + end > fileSize) {
    const message = `is truncated: tensor ${name} ends at byte ${dataStart + end}, the file at ${fileSize}`;
    throw damaged(code, file, message, { tensor: name });
  }
  return { name, dtype: known, shape, byteOffset: dataStart + begin, byteLength: expected };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && entry >= 0);
}

/** Every data byte belongs to exactly one tensor. */
function checkCoverage(
  entries: TensorEntry[],
  dataStart: number,
  fileSize: number,
  file: string,
  code: ErrorCode,
) {
  let position = dataStart;
  for (const entry of entries.sort(
    (a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength,
  )) {
    if (entry.byteOffset !== position) {
      const problem =
        entry.byteOffset < position ? 'overlaps its neighbour' : 'leaves a hole before it';
      throw damaged(code, file, `is inconsistent: tensor ${entry.name} ${problem}`, {
        tensor: entry.name,
      });
    }
    position += entry.byteLength;
  }
  if (position !== fileSize)
    throw damaged(code, file, `has ${fileSize - position} bytes that belong to no tensor`);
}

function damaged(
  code: ErrorCode,
  file: string,
  problem: string,
  { cause, ...details }: { cause?: unknown; tensor?: string } = {},
): GlyphpressError {
  return new GlyphpressError(code, {
    message: `${file} ${problem}.`,
    hint: 'Get the file again; it is incomplete, damaged or not in safetensors format.',
    details: { file, ...details },
    cause,
  });
}
