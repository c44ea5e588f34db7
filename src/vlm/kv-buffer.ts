/** A growing buffer for the keys or the values of one layer, in any of the types. */

import type { Feeds } from './feed.js';
import { float16ToFloat32, halfBits } from './float16.js';
import { encodeRow, type KvDtype, type KvRows } from './kv-rows.js';
import type { ElementType } from './onnx-model.js';

type Numbers = Float32Array | Uint16Array | Int8Array;

export interface KvShape {
  dtype: KvDtype;
  kvHeads: number;
  headDim: number;
}

/** Name of the input with the scales of another, for eight bits. */
export const scalesOf = (name: string) => `${name}.scales`;

/** What a graph is fed. */
export const KV_ELEMENT = {
  fp32: 'float32',
  fp16: 'float16',
  int8: 'int8',
} as const satisfies Record<KvDtype, ElementType>;

/** [kvHeads, capacity, headDim], and for eight bits a scale for each row of a head. */
export class KvBuffer {
  #numbers: Numbers;
  #scales: Float32Array | undefined;
  capacity = 0;

  constructor(private readonly shape: KvShape) {
    this.#numbers = this.#make(0);
    this.#scales = shape.dtype === 'int8' ? new Float32Array(0) : undefined;
  }

  /** Writes rows [count, kvHeads · headDim] behind the first `length`. */
  append(rows: Float32Array, length: number, count: number): void {
    const { kvHeads, headDim } = this.shape;
    for (let head = 0; head < kvHeads; head += 1) {
      for (let row = 0; row < count; row += 1) {
        const at = head * this.capacity + length + row;
        this.#write(rows, (row * kvHeads + head) * headDim, at);
      }
    }
  }

  /** Makes room for `capacity` rows, keeping the first `length`. */
  reserve(capacity: number, length: number): void {
    const from = { numbers: this.#numbers, scales: this.#scales, capacity: this.capacity };
    this.#numbers = this.#make(capacity);
    this.#scales &&= new Float32Array(this.shape.kvHeads * capacity);
    this.capacity = capacity;
    this.#take(from, length);
  }

  /** The first `length` rows, without room for more. */
  compact(length: number): KvRows {
    const copy = new KvBuffer(this.shape);
    copy.copyFrom(this, length, length);
    if (copy.#numbers instanceof Int8Array) {
      return { codes: copy.#numbers, scales: copy.#scales! };
    }
    return copy.#numbers;
  }

  /** Becomes the first `length` rows of another buffer, with room for `capacity`. */
  copyFrom(other: KvBuffer, length: number, capacity: number): void {
    this.reserve(capacity, 0);
    this.#take(
      { numbers: other.#numbers, scales: other.#scales, capacity: other.capacity },
      length,
    );
  }

  /** Becomes `length` rows of its own type. */
  load(rows: KvRows, length: number, capacity: number): void {
    this.reserve(capacity, 0);
    const [numbers, scales] = 'codes' in rows ? [rows.codes, rows.scales] : [rows, undefined];
    this.#take({ numbers, scales, capacity: length }, length);
  }

  /** The first `length` rows of one head as float32 [length, headDim]; a view where they are that already. */
  rowsOfHead(head: number, length: number): Float32Array {
    const { headDim } = this.shape;
    const from = head * this.capacity;
    const numbers = this.#numbers.subarray(from * headDim, (from + length) * headDim);
    if (numbers instanceof Float32Array) return numbers;
    if (numbers instanceof Uint16Array) return float16ToFloat32(numbers);
    const scales = this.#scales!;
    return Float32Array.from(numbers, (code, n) => code * scales[from + Math.floor(n / headDim)]!);
  }

  get byteLength(): number {
    return this.#numbers.byteLength + (this.#scales?.byteLength ?? 0);
  }

  /** Inputs of a graph, by reference. */
  feeds(name: string): Feeds {
    const { kvHeads, headDim } = this.shape;
    const dims = [1, kvHeads, this.capacity];
    return {
      [name]: { data: this.#numbers, dims: [...dims, headDim] },
      ...(this.#scales && { [scalesOf(name)]: { data: this.#scales, dims: [...dims, 1] } }),
    };
  }

  #make(capacity: number): Numbers {
    const { dtype, kvHeads, headDim } = this.shape;
    const size = kvHeads * capacity * headDim;
    if (dtype === 'fp32') return new Float32Array(size);
    return dtype === 'fp16' ? new Uint16Array(size) : new Int8Array(size);
  }

  /** @param at row among all rows of all heads */
  #write(source: Float32Array, from: number, at: number): void {
    const { headDim } = this.shape;
    const target = this.#numbers;
    const to = at * headDim;
    if (target instanceof Int8Array) {
      this.#scales![at] = encodeRow(source, from, headDim, target, to);
    } else if (target instanceof Uint16Array) {
      for (let d = 0; d < headDim; d += 1) target[to + d] = halfBits(source[from + d]!);
    } else {
      for (let d = 0; d < headDim; d += 1) target[to + d] = source[from + d]!;
    }
  }

  #take(
    from: { numbers: Numbers; scales: Float32Array | undefined; capacity: number },
    length: number,
  ): void {
    const { kvHeads, headDim } = this.shape;
    const copy = (source: Numbers, target: Numbers, width: number) => {
      for (let head = 0; head < kvHeads; head += 1) {
        const start = head * from.capacity * width;
        const rows = source.subarray(start, start + length * width);
        target.set(rows, head * this.capacity * width);
      }
    };
    copy(from.numbers, this.#numbers, headDim);
    if (this.#scales && from.scales) copy(from.scales, this.#scales, 1);
  }
}
