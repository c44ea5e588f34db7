/**
 * Inner products of many rows: the loops in which ApET spends its time, in 128-bit SIMD.
 *
 * JavaScript widens every float32 that it reads and multiplies one number at a time. The few
 * WebAssembly instructions of row-kernel.wat multiply two float64 or four float32 at a time. Rows are
 * copied into the module's memory in blocks, so a matrix is never doubled.
 */

import { ROW_KERNEL_CODE } from './row-kernel-code.js';

/** Rows are padded with zeros to a whole number of these floats. */
const LANES = 8;
/** Floats in a block of rows: 1 MiB, which stays in the second-level cache. */
const BLOCK_FLOATS = 262_144;
/** A matrix up to this number of floats, 16 MiB, is copied once for all passes: a page, usually. */
const RESIDENT_FLOATS = 4_194_304;
/** Rows that look for their nearest at the same time; part of what a limited reach means. */
const BATCH = 64;
/** Rows that the innermost loop of the search holds in registers. */
const GROUP = 4;

/** The functions of the module; arguments are byte offsets but for counts and indices. */
interface Exports {
  memory: WebAssembly.Memory;
  /** out[i] = x[i]·v; x float32 rows of `bytes`, v and out float64. */
  dots(x: number, count: number, bytes: number, v: number, out: number): void;
  /** out[i] = x[i]·x[i] */
  squares(x: number, count: number, bytes: number, out: number): void;
  /**
   * For each of GROUP rows d: where some d·t[i]·scale[i] is above best, keep it and its index
   * first + i. `count` is even.
   */
  nearest(
    d: number,
    bytes: number,
    t: number,
    count: number,
    scale: number,
    best: number,
    index: number,
    first: number,
  ): void;
}

export interface RowSums {
  /** float64 [N], inner product of every row with one vector, float32 [dim]; summed in float64. */
  dots(vector: Float32Array): Float64Array;
  /** float64 [N], |x|² of every row; summed in float64. */
  squares(): Float64Array;
}

/** The loops, with memory for rows of one width. One kernel serves many matrices, one after another. */
export class RowKernel {
  readonly #exports: Exports;
  readonly #stride: number;
  readonly #rowBytes: number;
  readonly #blockRows: number;
  readonly #residentRows: number;
  /** Byte offsets; the block of rows itself is at 0. */
  readonly #batch: number;
  readonly #vector: number;
  readonly #results: number;
  readonly #best: number;
  readonly #index: number;
  /** The kernel for a width; the last one is kept, because a run of pages has one width. */
  static for(dim: number): RowKernel {
    if (latest?.dim !== dim) latest = new RowKernel(dim);
    return latest;
  }

  private constructor(readonly dim: number) {
    this.#stride = Math.ceil(dim / LANES) * LANES;
    this.#rowBytes = this.#stride * 4;
    // Even, because the search takes targets in pairs.
    this.#blockRows = 2 * Math.max(1, Math.floor(BLOCK_FLOATS / this.#stride / 2));
    this.#residentRows = Math.max(this.#blockRows, Math.floor(RESIDENT_FLOATS / this.#stride));
    this.#batch = this.#residentRows * this.#rowBytes;
    this.#vector = this.#batch + BATCH * this.#rowBytes;
    this.#results = this.#vector + this.#stride * 8;
    this.#best = this.#results + this.#residentRows * 8;
    this.#index = this.#best + BATCH * 8;
    const bytes = this.#index + BATCH * 4;
    compiled ??= new WebAssembly.Module(Buffer.from(ROW_KERNEL_CODE, 'base64'));
    this.#exports = new WebAssembly.Instance(compiled).exports as unknown as Exports;
    this.#exports.memory.grow(Math.ceil(bytes / 65_536));
  }

  /**
   * The sums over the rows of one matrix, which must not change meanwhile.
   *
   * @param rows float32 [N, dim]
   */
  over(rows: Float32Array): RowSums {
    const n = rows.length / this.dim;
    const resident = n <= this.#residentRows;
    if (resident) this.#copy(rows, 0);
    const eachBlock = (run: (count: number) => void) => {
      const step = resident ? this.#residentRows : this.#blockRows;
      const results = this.#float64(this.#results, step);
      const out = new Float64Array(n);
      for (let row = 0; row < n; row += step) {
        const count = Math.min(step, n - row);
        if (!resident) this.#copy(rows.subarray(row * this.dim, (row + count) * this.dim), 0);
        run(count);
        out.set(results.subarray(0, count), row);
      }
      return out;
    };
    return {
      dots: (vector) => {
        this.#float64(this.#vector, this.#stride).set(vector);
        return eachBlock((count) =>
          this.#exports.dots(0, count, this.#rowBytes, this.#vector, this.#results),
        );
      },
      squares: () =>
        eachBlock((count) => this.#exports.squares(0, count, this.#rowBytes, this.#results)),
    };
  }

  /**
   * For each query row the target row with the highest cosine similarity; of equal ones the first.
   * Sums are float32. Queries go in batches of 64; a batch sees the targets from `reach / 2` before
   * its first row to `reach / 2` behind its last, in row order, so at least `reach` where there are.
   *
   * @param data float32 [N, dim]
   * @param queries row indices, ascending
   * @param targets row indices, ascending, at least one
   * @param reach targets that a query sees at least, where there are as many
   * @returns int32 [queries], indices into `targets`
   * Cost: O(queries · min(targets, reach + 64·targets/queries) · dim) time; one block of rows.
   */
  nearest(data: Float32Array, queries: Int32Array, targets: Int32Array, reach: number): Int32Array {
    const scale = this.#inverseNorms(data, targets);
    const nearest = new Int32Array(queries.length);
    const { memory } = this.#exports;
    const scales = this.#float64(this.#results, this.#blockRows);
    const best = this.#float64(this.#best, BATCH);
    const index = new Int32Array(memory.buffer, this.#index, BATCH);
    const half = Math.ceil(reach / 2);
    let before = 0;
    for (let from = 0; from < queries.length; from += BATCH) {
      const batch = queries.subarray(from, from + BATCH);
      while (before < targets.length && targets[before]! < batch[0]!) before++;
      let behind = before;
      while (behind < targets.length && targets[behind]! < batch.at(-1)!) behind++;
      // At either end of the document the reach extends to the other side.
      const first = Math.max(0, Math.min(before - half, targets.length - reach));
      const last = Math.min(targets.length, Math.max(behind + half, first + reach));
      this.#gather(data, batch, this.#batch);
      best.fill(Number.NEGATIVE_INFINITY);
      index.fill(first);
      for (let at = first; at < last; at += this.#blockRows) {
        const block = targets.subarray(at, Math.min(last, at + this.#blockRows));
        this.#gather(data, block, 0);
        scales.set(scale.subarray(at, at + block.length));
        // Targets go in pairs; the row that makes the number even never wins.
        const even = block.length + (block.length % 2);
        if (even > block.length) scales[block.length] = Number.NaN;
        for (let i = 0; i < batch.length; i += GROUP) {
          this.#exports.nearest(
            this.#batch + i * this.#rowBytes,
            this.#rowBytes,
            0,
            even,
            this.#results,
            this.#best + i * 8,
            this.#index + i * 4,
            at,
          );
        }
      }
      nearest.set(index.subarray(0, batch.length), from);
    }
    return nearest;
  }

  /** 1 / max(|x|, 1e-8) of some rows, as PyTorch's cosine_similarity bounds the norm. */
  #inverseNorms(data: Float32Array, rows: Int32Array): Float64Array {
    const scale = new Float64Array(rows.length);
    const results = this.#float64(this.#results, this.#blockRows);
    for (let from = 0; from < rows.length; from += this.#blockRows) {
      const block = rows.subarray(from, from + this.#blockRows);
      this.#gather(data, block, 0);
      this.#exports.squares(0, block.length, this.#rowBytes, this.#results);
      for (let i = 0; i < block.length; i++) {
        scale[from + i] = 1 / Math.max(Math.sqrt(results[i]!), 1e-8);
      }
    }
    return scale;
  }

  /** Contiguous rows → the module's memory. The padding of a row is zero from the start. */
  #copy(rows: Float32Array, offset: number): void {
    const { dim } = this;
    const count = rows.length / dim;
    const memory = new Float32Array(this.#exports.memory.buffer, offset, count * this.#stride);
    if (dim === this.#stride) memory.set(rows);
    else
      for (let i = 0; i < count; i++) {
        memory.set(rows.subarray(i * dim, (i + 1) * dim), i * this.#stride);
      }
  }

  #gather(data: Float32Array, rows: Int32Array, offset: number): void {
    const { dim } = this;
    const memory = new Float32Array(
      this.#exports.memory.buffer,
      offset,
      rows.length * this.#stride,
    );
    rows.forEach((row, i) => {
      memory.set(data.subarray(row * dim, (row + 1) * dim), i * this.#stride);
    });
  }

  #float64(offset: number, length: number): Float64Array {
    return new Float64Array(this.#exports.memory.buffer, offset, length);
  }
}

let compiled: WebAssembly.Module | undefined;
let latest: RowKernel | undefined;
