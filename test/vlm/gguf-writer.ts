/** Writes small GGUF files (version 3) for tests, from the format's description alone. */

export type MetadataValue = string | number | boolean | string[] | number[];

export interface TensorToWrite {
  name: string;
  /** Number of the type in the file. */
  type: number;
  /** Rows first. */
  shape: number[];
  bytes: Uint8Array;
}

const ALIGNMENT = 32;

class Bytes {
  readonly #parts: Buffer[] = [];
  length = 0;

  add(part: Buffer): this {
    this.#parts.push(part);
    this.length += part.byteLength;
    return this;
  }

  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    return this.add(part);
  }

  u64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    return this.add(part);
  }

  f32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeFloatLE(value);
    return this.add(part);
  }

  string(value: string): this {
    const bytes = Buffer.from(value);
    return this.u64(bytes.byteLength).add(bytes);
  }

  pad(): this {
    return this.add(Buffer.alloc((ALIGNMENT - (this.length % ALIGNMENT)) % ALIGNMENT));
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Whole numbers are written as u32, others as f32. */
function writeValue(out: Bytes, value: MetadataValue): void {
  const scalar = (entry: string | number | boolean) => {
    if (typeof entry === 'string') out.string(entry);
    else if (typeof entry === 'boolean') out.add(Buffer.of(entry ? 1 : 0));
    else if (Number.isInteger(entry)) out.u32(entry);
    else out.f32(entry);
  };
  const typeOf = (entry: string | number | boolean | undefined) =>
    typeof entry === 'string'
      ? 8
      : typeof entry === 'boolean'
        ? 7
        : Number.isInteger(entry)
          ? 4
          : 6;
  if (Array.isArray(value)) {
    out.u32(9).u32(typeOf(value[0])).u64(value.length);
    for (const entry of value) scalar(entry);
  } else {
    out.u32(typeOf(value));
    scalar(value);
  }
}

export function ggufBytes(
  metadata: Record<string, MetadataValue>,
  tensors: readonly TensorToWrite[],
): Buffer {
  const out = new Bytes().add(Buffer.from('GGUF')).u32(3);
  out.u64(tensors.length).u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.string(key);
    writeValue(out, value);
  }
  let offset = 0;
  for (const { name, type, shape, bytes } of tensors) {
    out.string(name).u32(shape.length);
    for (const size of [...shape].reverse()) out.u64(size);
    out.u32(type).u64(offset);
    offset += Math.ceil(bytes.byteLength / ALIGNMENT) * ALIGNMENT;
  }
  out.pad();
  for (const { bytes } of tensors) out.add(Buffer.from(bytes)).pad();
  return out.whole();
}

export const f32Tensor = (name: string, shape: number[], values: Float32Array): TensorToWrite => ({
  name,
  type: 0,
  shape,
  bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/** Letters, two merges, a control token and one of the user's. */
export const TINY_VOCABULARY: Record<string, MetadataValue> = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'smollm',
  'tokenizer.ggml.tokens': ['<|end|>', '<note>', 'a', 'b', 'c', 'Ġ', 'ab', 'Ġab', '1', '2', 'Ċ'],
  'tokenizer.ggml.token_type': [3, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1],
  'tokenizer.ggml.merges': ['a b', 'Ġ ab', '1 2'],
  'tokenizer.ggml.eos_token_id': 0,
};
