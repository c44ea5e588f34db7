/**
 * The basis tokens of ApET: which they are, and the inner products that the fit needs of them.
 */
import { GlyphpressError } from '../errors.js';
import { gatherRows } from './contract.js';
import { type RandomWords, randomBelow } from './random.js';
import { RowKernel, type RowSums } from './row-kernel.js';

/**
 * How basis tokens are chosen.
 *
 * - `farthest-point`: each next one is farthest from those before. What the authors' scripts run.
 * - `density-peak`: the means of clusters around density peaks (DPC-kNN). O(N²·D) time: for pages.
 * - `random`: different rows, drawn uniformly. The authors draw with replacement.
 */
export type BasisChoice = 'farthest-point' | 'density-peak' | 'random';

export interface Basis {
  /** int32 [M], the basis rows, or the centres of the clusters; in the order they were chosen. */
  basisRows: Int32Array;
  /** float32 [M, D] */
  vectors: Float32Array;
  /** M times float64 [N]: inner product of every row with one basis vector. */
  products: Float64Array[];
  /** float64 [N], |x|² */
  squares: Float64Array;
  /** float64 [M, M], inner products of the basis vectors. */
  gram: Float64Array;
}

/**
 * Farthest-point sampling: each next basis row is the one farthest (L2) from all chosen so far; of
 * equal distances the lower row wins. A row is chosen once, even where rows are equal.
 *
 * Source: `fps` in llava/model/utils.py, github.com/MaQianKun0/ApET @70cc01b, which draws `first` and
 * may choose a row twice where all others are at distance 0. Distances come from inner products, which
 * the fit needs as well: |x − s|² = |x|² + |s|² − 2 x·s, in float64.
 *
 * @param rows float32 [N, D]
 * @param m 1 ≤ m ≤ N
 * @param first the row to begin with
 */
export function farthestPoints(rows: Float32Array, dim: number, m: number, first: number): Basis {
  const n = rows.length / dim;
  const sums = RowKernel.for(dim).over(rows);
  const squares = sums.squares();
  const products: Float64Array[] = [];
  const distance = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const basisRows = new Int32Array(m);
  let next = first;
  for (let j = 0; j < m; j++) {
    const chosen = next;
    basisRows[j] = chosen;
    distance[chosen] = -1;
    const product = sums.dots(rowOf(rows, dim, chosen));
    products.push(product);
    const square = squares[chosen]!;
    let farthest = -1;
    for (let row = 0; row < n; row++) {
      if (distance[row] === -1) continue;
      const apart = Math.max(0, squares[row]! + square - 2 * product[row]!);
      if (apart < distance[row]!) distance[row] = apart;
      if (distance[row]! > farthest) {
        farthest = distance[row]!;
        next = row;
      }
    }
  }
  const vectors = gatherRows(rows, dim, basisRows);
  return { basisRows, vectors, products, squares, gram: gramMatrix(vectors, dim) };
}

/** A basis of given rows, or of given vectors beside the rows that stand for them. */
export function basisOf(
  rows: Float32Array,
  dim: number,
  basisRows: Int32Array,
  vectors: Float32Array = gatherRows(rows, dim, basisRows),
): Basis {
  const sums = RowKernel.for(dim).over(rows);
  const squares = sums.squares();
  const products = Array.from(basisRows, (_, j) => sums.dots(rowOf(vectors, dim, j)));
  return { basisRows, vectors, products, squares, gram: gramMatrix(vectors, dim) };
}

/** S Sᵀ of float32 [M, D] → float64 [M, M] */
function gramMatrix(vectors: Float32Array, dim: number): Float64Array {
  const m = vectors.length / dim;
  const gram = new Float64Array(m * m);
  const sums = RowKernel.for(dim).over(vectors);
  for (let j = 0; j < m; j++) gram.set(sums.dots(rowOf(vectors, dim, j)), j * m);
  return gram;
}

/** `m` different rows of `n`, in the order they were drawn. */
export function randomRows(n: number, m: number, words: RandomWords): Int32Array {
  const order = Int32Array.from({ length: n }, (_, row) => row);
  for (let j = 0; j < m; j++) {
    const pick = j + randomBelow(words, n - j);
    [order[j], order[pick]] = [order[pick]!, order[j]!];
  }
  return order.slice(0, m);
}

/**
 * Density peaks: rows that many rows are near to, far from any denser row. Every row joins its nearest
 * peak, and the means of the clusters are the basis.
 *
 * Source: `cluster_and_merge` in llava/model/utils.py, github.com/MaQianKun0/ApET @70cc01b, also where
 * it surprises: a density counts the row itself among its m nearest, up to 1e-6 of noise parts equal
 * densities, and means divide by (members + 1e-6).
 * Departs: the noise is seeded, and no N×N matrix is kept: distances are made twice, row by row.
 *
 * @param m 1 ≤ m ≤ N
 * Cost: O(N²·D) time, O(N·m) memory.
 */
export function densityPeaks(
  rows: Float32Array,
  dim: number,
  m: number,
  words: RandomWords,
): Basis {
  const n = rows.length / dim;
  const sums = RowKernel.for(dim).over(rows);
  const squares = sums.squares();
  const scale = 1 / dim; // distances are divided by √D
  const distancesFrom = (row: number) => {
    const apart = sums.dots(rowOf(rows, dim, row));
    for (let i = 0; i < n; i++) {
      apart[i] = i === row ? 0 : Math.max(0, squares[i]! + squares[row]! - 2 * apart[i]!) * scale;
    }
    return apart;
  };
  const density = new Float64Array(n);
  let widest = 0;
  for (let row = 0; row < n; row++) {
    const near = distancesFrom(row).sort();
    widest = Math.max(widest, near[n - 1]!);
    let sum = 0;
    for (let j = 0; j < m; j++) sum += near[j]!;
    density[row] = Math.exp(-sum / m) + (words() / 2 ** 32) * 1e-6;
  }
  const score = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    const from = distancesFrom(row);
    let nearestDenser = widest;
    for (let i = 0; i < n; i++) {
      if (density[i]! > density[row]! && from[i]! < nearestDenser) nearestDenser = from[i]!;
    }
    score[row] = Math.sqrt(nearestDenser) * density[row]!;
  }
  const peaks = Int32Array.from(
    [...score.keys()].sort((a, b) => score[b]! - score[a]! || a - b).slice(0, m),
  );
  return basisOf(rows, dim, peaks, clusterMeans(rows, dim, peaks, sums, squares));
}

/** Means of the rows nearest to each of some rows. → float32 [M, D] */
function clusterMeans(
  rows: Float32Array,
  dim: number,
  centres: Int32Array,
  sums: RowSums,
  squares: Float64Array,
): Float32Array {
  const n = rows.length / dim;
  const nearest = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const cluster = new Int32Array(n);
  centres.forEach((centre, j) => {
    const product = sums.dots(rowOf(rows, dim, centre));
    for (let row = 0; row < n; row++) {
      const apart = squares[row]! + squares[centre]! - 2 * product[row]!;
      if (apart < nearest[row]!) {
        nearest[row] = apart;
        cluster[row] = j;
      }
    }
  });
  centres.forEach((centre, j) => {
    cluster[centre] = j;
  });
  const totals = new Float64Array(centres.length * dim);
  const members = new Float64Array(centres.length);
  for (let row = 0; row < n; row++) {
    const j = cluster[row]!;
    members[j]!++;
    for (let d = 0; d < dim; d++) totals[j * dim + d]! += rows[row * dim + d]!;
  }
  return Float32Array.from(totals, (total, i) => total / (members[Math.floor(i / dim)]! + 1e-6));
}

/** @throws {GlyphpressError} GP_PRUNE_PLAN unless every row lies in [0, n) */
export function assertRowsWithin(path: string, rows: Int32Array, n: number): void {
  const bad = rows.find((row) => row < 0 || row >= n);
  if (bad === undefined) return;
  throw new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Expected ${path} within [0, ${n}), got ${bad}`,
    hint: `Choose rows of the page or document that the basis is for.`,
    details: { path, value: String(bad), allowed: `0 ≤ row < ${n}` },
  });
}

const rowOf = (data: Float32Array, dim: number, row: number) =>
  data.subarray(row * dim, (row + 1) * dim);
