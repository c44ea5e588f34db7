/**
 * Inner products of many rows: the loops in which ApET spends its time, in 128-bit SIMD.
 *
 * JavaScript widens every float32 that it reads and multiplies one number at a time. The few
 * WebAssembly instructions below multiply two float64 or four float32 at a time. They are written out
 * as bytes, so there is no build step and no binary file. Rows are copied into the module's memory in
 * blocks, so a matrix is never doubled.
 */

import {
  add,
  addFloat64,
  advance,
  type Code,
  EMPTY,
  float32x4,
  float64x2,
  functionBody,
  get,
  I32,
  i32,
  load,
  loadFloat64,
  loadWidened,
  moduleOf,
  repeatWhileBelow,
  set,
  storeFloat64,
  V128,
  zero,
} from './wasm-code.js';

/** Rows are padded with zeros to a whole number of these floats. */
const LANES = 8;
/** Floats in a block of rows: 1 MiB, which stays in the second-level cache. */
const BLOCK_FLOATS = 262_144;
/** A matrix of at most so many floats, 16 MiB, is copied once for all passes: a page, usually. */
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
    compiled ??= new WebAssembly.Module(moduleBytes());
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

/** A row after another: for each, the sum over its floats of `term`, which reads at `p` and perhaps `q`. */
function rowSums(parameters: number, term: (step: number) => Code, perRow: Code, perStep: Code) {
  // Parameters: 0 x, 1 count, 2 bytes; the last is out.
  const out = parameters - 1;
  const [end, p, pEnd] = [parameters, parameters + 1, parameters + 2];
  // Local numbers: parameters, then four i32, then four sums, so that additions need not wait.
  const sums = [0, 1, 2, 3].map((n) => parameters + 4 + n);
  const partial = (a: number, b: number) => float64x2.add(get(sums[a]!), get(sums[b]!));
  return functionBody(
    [
      [4, I32],
      [4, V128],
    ],
    [
      set(end, add(get(0), [get(1), get(2), 0x6c])),
      repeatWhileBelow(0, end, [
        set(p, get(0)),
        set(pEnd, add(get(0), get(2))),
        perRow,
        sums.map((sum) => set(sum, zero)),
        repeatWhileBelow(p, pEnd, [
          sums.map((sum, step) => set(sum, float64x2.add(get(sum), term(step)))),
          advance(p, i32(32)),
          perStep,
        ]),
        set(sums[0]!, float64x2.add(partial(0, 1), partial(2, 3))),
        storeFloat64(
          get(out),
          addFloat64(float64x2.lane(get(sums[0]!), 0), float64x2.lane(get(sums[0]!), 1)),
        ),
        advance(out, i32(8)),
        set(0, get(pEnd)),
      ]),
    ],
  );
}

function dotsBody(): Code {
  // Parameters: x, count, bytes, v, out. Locals: end, p, pEnd, q.
  const [p, v, q] = [6, 3, 8];
  return rowSums(
    5,
    (step) => float64x2.multiply(loadWidened(get(p), 8 * step), load(get(q), 16 * step)),
    set(q, get(v)),
    advance(q, i32(64)),
  );
}

function squaresBody(): Code {
  // Parameters: x, count, bytes, out. Locals: end, p.
  const p = 5;
  const value = (step: number) => loadWidened(get(p), 8 * step);
  return rowSums(4, (step) => float64x2.multiply(value(step), value(step)), [], []);
}

function nearestBody(): Code {
  const [d, bytes, t, count, scale, best, index, first] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [at, end] = [8, 9];
  const rows = [10, 11, 12, 13];
  const pairs = [14, 15];
  const tEnd = 16;
  const targets = [17, 18];
  const row = 19;
  const sum = (pair: number, n: number) => 20 + pair * GROUP + n;
  const score = 28;
  const all = <T>(items: readonly T[], code: (item: T, n: number) => Code) => items.map(code);
  const lanes = (local: number) => {
    const lane = (n: number) => float32x4.lane(get(local), n);
    return addFloat64(addFloat64(lane(0), lane(1)), addFloat64(lane(2), lane(3)));
  };
  const compare = (pair: number, n: number): Code => [
    set(score, [lanes(sum(pair, n)), loadFloat64(get(scale), 8 * pair), 0xa2]),
    [get(score), loadFloat64(get(best), 8 * n), 0x64],
    [0x04, EMPTY],
    storeFloat64(get(best), get(score), 8 * n),
    [get(index), add(get(first), i32(pair)), 0x36, 2, 4 * n],
    0x0b,
  ];
  return functionBody(
    [
      [9, I32],
      [2, V128],
      [1, V128],
      [8, V128],
      [1, 0x7c],
    ],
    [
      set(tEnd, add(get(t), [get(count), get(bytes), 0x6c])),
      repeatWhileBelow(t, tEnd, [
        set(rows[0]!, get(d)),
        all(rows.slice(1), (local, n) => set(local, add(get(rows[n]!), get(bytes)))),
        set(pairs[0]!, get(t)),
        set(pairs[1]!, add(get(t), get(bytes))),
        set(at, get(pairs[0]!)),
        set(end, get(pairs[1]!)),
        all([0, 1], (pair) => all(rows, (_, n) => set(sum(pair, n), zero))),
        repeatWhileBelow(pairs[0]!, end, [
          all(targets, (local, pair) => set(local, load(get(pairs[pair]!)))),
          all(rows, (local, n) => [
            set(row, load(get(local))),
            all(targets, (target, pair) =>
              set(
                sum(pair, n),
                float32x4.add(get(sum(pair, n)), float32x4.multiply(get(row), get(target))),
              ),
            ),
            advance(local, i32(16)),
          ]),
          all(pairs, (local) => advance(local, i32(16))),
        ]),
        all([0, 1], (pair) => all(rows, (_, n) => compare(pair, n))),
        set(t, get(pairs[1]!)),
        advance(scale, i32(16)),
        advance(first, i32(2)),
      ]),
    ],
  );
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const functions: [name: string, parameters: number, body: Code][] = [
    ['dots', 5, dotsBody()],
    ['squares', 4, squaresBody()],
    ['nearest', 8, nearestBody()],
  ];
  return moduleOf(functions);
}
