/**
 * Keys and values of every decoder layer. Layers differ in length once rows were dropped between them.
 */
import { KvBuffer, type KvShape } from './kv-buffer.js';
import { type KvRows, kvDtypeOf, kvFromFloat32, kvToFloat32 } from './kv-rows.js';

/** One layer as it is stored and handed around: [kvHeads, length, headDim] each. */
export interface ContextLayer {
  length: number;
  keys: KvRows;
  values: KvRows;
}

const FIRST_CAPACITY = 64;

/** Growing buffers of one layer: [kvHeads, capacity, headDim], of which `length` rows are used. */
export class LayerCache {
  length = 0;
  readonly keys: KvBuffer;
  readonly values: KvBuffer;

  constructor(private readonly shape: KvShape) {
    this.keys = new KvBuffer(shape);
    this.values = new KvBuffer(shape);
  }

  get capacity(): number {
    return this.keys.capacity;
  }

  /** Appends `count` rows given as float32 [count, kvHeads · headDim]. */
  append(keys: Float32Array, values: Float32Array, count: number): void {
    if (this.length + count > this.capacity) {
      this.reserve(Math.max(this.length + count, 2 * this.capacity, FIRST_CAPACITY));
    }
    this.keys.append(keys, this.length, count);
    this.values.append(values, this.length, count);
    this.length += count;
  }

  /** Makes room for `capacity` rows in all. */
  reserve(capacity: number): void {
    if (capacity <= this.capacity) return;
    this.keys.reserve(capacity, this.length);
    this.values.reserve(capacity, this.length);
  }

  /** Forgets the rows after `length`. */
  truncate(length: number): void {
    this.length = Math.min(this.length, length);
  }

  /** A compact copy. */
  toContext(): ContextLayer {
    const { length } = this;
    return { length, keys: this.keys.compact(length), values: this.values.compact(length) };
  }

  /** @param layer in any type */
  static fromContext({ length, ...layer }: ContextLayer, shape: KvShape, room = 0): LayerCache {
    const cache = new LayerCache(shape);
    const capacity = Math.max(length + room, 1);
    cache.keys.load(ofType(layer.keys, shape), length, capacity);
    cache.values.load(ofType(layer.values, shape), length, capacity);
    cache.length = length;
    return cache;
  }

  /** A copy of the first `length` rows, with room for more. */
  clone(length: number, room: number): LayerCache {
    const copy = new LayerCache(this.shape);
    copy.keys.copyFrom(this.keys, length, length + room);
    copy.values.copyFrom(this.values, length, length + room);
    copy.length = length;
    return copy;
  }

  get byteLength(): number {
    return this.keys.byteLength + this.values.byteLength;
  }
}

function ofType(rows: KvRows, { dtype, headDim }: KvShape): KvRows {
  if (kvDtypeOf(rows) === dtype) return rows;
  return kvFromFloat32(kvToFloat32(rows, headDim), dtype, headDim);
}
