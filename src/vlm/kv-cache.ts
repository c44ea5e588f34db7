/**
 * Keys and values of every decoder layer. Layers differ in length once rows were dropped between them.
 */

/** One layer as it is stored and handed around: float32 [kvHeads, length, headDim] each. */
export interface ContextLayer {
  length: number;
  keys: Float32Array;
  values: Float32Array;
}

const FIRST_CAPACITY = 64;

/** Growing buffers of one layer: [kvHeads, capacity, headDim], of which `length` rows are used. */
export class LayerCache {
  length = 0;
  capacity = 0;
  keys = new Float32Array(0);
  values = new Float32Array(0);

  constructor(
    readonly kvHeads: number,
    readonly headDim: number,
  ) {}

  /** Appends `count` rows given as [count, kvHeads · headDim]. */
  append(keys: Float32Array, values: Float32Array, count: number): void {
    if (this.length + count > this.capacity) {
      this.reserve(Math.max(this.length + count, 2 * this.capacity, FIRST_CAPACITY));
    }
    const { kvHeads, headDim, capacity } = this;
    for (let head = 0; head < kvHeads; head += 1) {
      let target = (head * capacity + this.length) * headDim;
      let source = head * headDim;
      for (let row = 0; row < count; row += 1) {
        for (let d = 0; d < headDim; d += 1) {
          this.keys[target + d] = keys[source + d]!;
          this.values[target + d] = values[source + d]!;
        }
        target += headDim;
        source += kvHeads * headDim;
      }
    }
    this.length += count;
  }

  /** Makes room for `capacity` rows in all. */
  reserve(capacity: number): void {
    if (capacity <= this.capacity) return;
    this.keys = this.#resized(this.keys, capacity);
    this.values = this.#resized(this.values, capacity);
    this.capacity = capacity;
  }

  /** Forgets the rows after `length`. */
  truncate(length: number): void {
    this.length = Math.min(this.length, length);
  }

  /** A compact copy. */
  toContext(): ContextLayer {
    const { length, kvHeads, headDim, capacity } = this;
    const compact = (source: Float32Array) => {
      const target = new Float32Array(kvHeads * length * headDim);
      copyHeads(source, capacity, target, length, length, kvHeads, headDim);
      return target;
    };
    return { length, keys: compact(this.keys), values: compact(this.values) };
  }

  static fromContext(layer: ContextLayer, kvHeads: number, headDim: number, room = 0): LayerCache {
    const cache = new LayerCache(kvHeads, headDim);
    cache.reserve(Math.max(layer.length + room, 1));
    copyHeads(layer.keys, layer.length, cache.keys, cache.capacity, layer.length, kvHeads, headDim);
    copyHeads(
      layer.values,
      layer.length,
      cache.values,
      cache.capacity,
      layer.length,
      kvHeads,
      headDim,
    );
    cache.length = layer.length;
    return cache;
  }

  /** A copy of the first `length` rows, with room for more. */
  clone(length: number, room: number): LayerCache {
    const { kvHeads, headDim, capacity } = this;
    const copy = new LayerCache(kvHeads, headDim);
    copy.reserve(length + room);
    copyHeads(this.keys, capacity, copy.keys, copy.capacity, length, kvHeads, headDim);
    copyHeads(this.values, capacity, copy.values, copy.capacity, length, kvHeads, headDim);
    copy.length = length;
    return copy;
  }

  get byteLength(): number {
    return this.keys.byteLength + this.values.byteLength;
  }

  #resized(source: Float32Array, capacity: number): Float32Array<ArrayBuffer> {
    const target = new Float32Array(this.kvHeads * capacity * this.headDim);
    copyHeads(source, this.capacity, target, capacity, this.length, this.kvHeads, this.headDim);
    return target;
  }
}

function copyHeads(
  source: Float32Array,
  sourceCapacity: number,
  target: Float32Array,
  targetCapacity: number,
  length: number,
  kvHeads: number,
  headDim: number,
): void {
  for (let head = 0; head < kvHeads; head += 1) {
    const from = head * sourceCapacity * headDim;
    target.set(source.subarray(from, from + length * headDim), head * targetCapacity * headDim);
  }
}
