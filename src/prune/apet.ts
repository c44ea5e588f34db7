/**
 * ApET: keep the visual tokens that a few basis tokens reconstruct worst.
 *
 * Source: ApET, arXiv:2602.19870, as coded at github.com/MaQianKun0/ApET @70cc01b.
 *
 * 1. Choose M basis tokens by farthest-point sampling from a random start.
 * 2. Fit every token as a combination of the basis: (S Sᵀ + ridge·I) c = S x.
 * 3. The error of a token is ‖x − Sᵀ c‖₂. Keep the largest.
 * 4. Optionally average every dropped token into its cosine-nearest kept token.
 *
 * Reproduces: the sampling, the ridge fit in place of a plain least squares, the L2 error, raster
 * order, and the plain average of merging.
 * Departs:
 * - The start is seeded, so runs repeat. The basis holds M different rows even where rows are equal.
 * - Basis tokens have an error of about 0, so the ranking alone would drop them. The authors write
 *   their values over the M kept tokens of lowest error, so a value stands where another token was.
 *   Here `basis: 'always-keep'` gives the same M places to the basis rows at their own positions.
 *   `basis: 'rank'` leaves them to the ranking.
 * - Merging counts every token once. The authors count a basis token twice: in its slot, and again as
 *   a dropped token.
 * - Sums are taken in float64; errors are float32.
 * - Scope `page` fits and ranks every page by its own basis (the authors' LLaVA code, per image);
 *   scope `document` uses one basis for all pages (their Qwen code).
 */
import { GlyphpressError } from '../errors.js';
import {
  gatherRows,
  keepHighest,
  matrixRows,
  type PageRun,
  pageRuns,
  type ScopeOptions,
} from './contract.js';
import { deriveSeed, randomBelow, seededRandom } from './random.js';
import { type Budget, budgetedCount } from './retained-count.js';

export const APET_DEFAULTS = {
  basisTokenCount: 10,
  ridge: 1e-5,
  basis: 'always-keep',
  merge: 'none',
} as const;

/** What becomes of the basis rows: always kept, or ranked by their error of about 0. */
export type BasisRule = 'always-keep' | 'rank';

/** What becomes of dropped tokens: nothing, or averaged into the nearest kept token. */
export type MergeRule = 'none' | 'average';

export interface BasisOptions extends Pick<ScopeOptions, 'scope' | 'pageOfRow'> {
  /** M, at least 1. A page or document of N rows uses min(M, max(1, N − 1)). @defaultValue 10 */
  basisTokenCount?: number;
  /** Added to the diagonal of S Sᵀ, absolute, at least 0. @defaultValue 1e-5 */
  ridge?: number;
  /** uint32, chooses the first basis token. @defaultValue 0 */
  seed?: number;
}

export type ApetOptions = ScopeOptions &
  BasisOptions &
  Budget & {
    /** @defaultValue 'always-keep' */
    basis?: BasisRule;
  };

export interface ApproximationErrors {
  /** float32 [N], L2 norm of what the basis cannot express. */
  errors: Float32Array;
  /** int32, rows of the basis tokens in the order they were sampled, page after page. */
  basisRows: Int32Array;
}

/**
 * Keep the visual tokens that the basis tokens reconstruct worst.
 *
 * @param visualTokens float32 [N, D], row-major
 * @param dim D
 * @returns row indices [budgetedCount(N, options)], ascending. With `always-keep`, the basis rows
 *   come before all others; of a basis larger than the budget, the lower rows stay.
 * @throws {ShapeError} if visualTokens or pageOfRow do not fit D and N
 * @throws {GlyphpressError} GP_TENSOR_VALUE if a token is not finite; GP_PRUNE_PLAN for bad options
 * Cost: O(N·M·D) time, O(N·M) extra doubles.
 */
export function selectByApproximationError(
  visualTokens: Float32Array,
  dim: number,
  options: ApetOptions,
): Int32Array {
  return rankRows(visualTokens, dim, options).keptRows;
}

/**
 * {@link selectByApproximationError} with the values of the kept tokens, merged where asked for.
 *
 * As in the authors' code, basis tokens that are always kept take nothing in.
 *
 * @returns keptRows [K], ascending, and tokens float32 [K, D]
 */
export function pruneByApproximationError(
  visualTokens: Float32Array,
  dim: number,
  options: ApetOptions & { /** @defaultValue 'none' */ merge?: MergeRule },
): { keptRows: Int32Array; tokens: Float32Array } {
  const { keptRows, sparedRows } = rankRows(visualTokens, dim, options);
  const tokens =
    options.merge === 'average'
      ? mergeDropped(visualTokens, dim, keptRows, { ...options, spare: sparedRows })
      : gatherRows(visualTokens, dim, keptRows);
  return { keptRows, tokens };
}

/** The kept rows, and those of them that stay whatever their error. */
function rankRows(visualTokens: Float32Array, dim: number, options: ApetOptions) {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const count = budgetedCount(n, options);
  const { errors, basisRows } = approximationErrors(visualTokens, dim, options);
  const sparedRows =
    (options.basis ?? APET_DEFAULTS.basis) === 'always-keep' ? basisRows : new Int32Array(0);
  for (const row of sparedRows) errors[row] = Number.POSITIVE_INFINITY;
  return { keptRows: keepHighest(errors, { ...options, count }), sparedRows };
}

/**
 * How badly each token is expressed by the basis tokens of its scope.
 *
 * @param visualTokens float32 [N, D], row-major
 * @throws {ShapeError} if visualTokens or pageOfRow do not fit D and N
 * @throws {GlyphpressError} GP_TENSOR_VALUE if a token is not finite; GP_PRUNE_PLAN for bad options
 */
export function approximationErrors(
  visualTokens: Float32Array,
  dim: number,
  options: BasisOptions = {},
): ApproximationErrors {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const { basisTokenCount = APET_DEFAULTS.basisTokenCount, ridge = APET_DEFAULTS.ridge } = options;
  assertOption(
    'basisTokenCount',
    basisTokenCount,
    'integer ≥ 1',
    Number.isSafeInteger(basisTokenCount) && basisTokenCount >= 1,
  );
  assertOption('ridge', ridge, 'finite number ≥ 0', Number.isFinite(ridge) && ridge >= 0);
  const seed = options.seed ?? 0;

  const errors = new Float32Array(n);
  const basisRows: number[] = [];
  for (const { page, start, end } of scopeRuns(options, n)) {
    const rows = visualTokens.subarray(start * dim, end * dim);
    const m = Math.min(basisTokenCount, Math.max(1, end - start - 1));
    const first = randomBelow(seededRandom(deriveSeed(seed, page)), end - start);
    const sample = sampleFarthestPoints(rows, dim, m, first);
    errors.set(residualNorms(rows, dim, sample, ridge), start);
    for (const row of sample.basisRows) basisRows.push(start + row);
  }
  const bad = errors.findIndex((error) => !Number.isFinite(error));
  if (bad >= 0) {
    throw new GlyphpressError('GP_TENSOR_VALUE', {
      message: `Expected finite visual tokens, got an approximation error of ${errors[bad]} at row ${bad}`,
      hint: 'The vision encoder gave NaN or values that overflow float32; check its weights and dtype.',
      details: { tensor: 'visualTokens', row: bad, value: String(errors[bad]) },
    });
  }
  return { errors, basisRows: Int32Array.from(basisRows) };
}

/**
 * Average every dropped token into the kept token of its scope with the highest cosine similarity:
 * out = (kept + Σ dropped) / (1 + number dropped into it).
 *
 * Averaging similar tokens is harmful where they carry different letters, so plans leave it off.
 * A dropped token of a page without kept rows is lost. Of equal similarities the lower row wins.
 *
 * @param visualTokens float32 [N, D], row-major; not changed
 * @param kept row indices [K], ascending
 * @param options.spare kept rows that take nothing in, such as the basis rows in the authors' code.
 *   Where they are all the kept rows of a scope, nothing is merged there.
 * @returns float32 [K, D]
 * Cost: O((N−K)·K·D) time within a scope, so use scope `page` on long documents; O(B·D) extra
 * doubles for a block of B dropped tokens. Never N×K×D.
 */
export function mergeDropped(
  visualTokens: Float32Array,
  dim: number,
  kept: Int32Array,
  options: Pick<ScopeOptions, 'scope' | 'pageOfRow'> & { spare?: Int32Array } = {},
): Float32Array {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const out = gatherRows(visualTokens, dim, kept);
  const slotOfRow = new Int32Array(n).fill(-1);
  kept.forEach((row, slot) => {
    slotOfRow[row] = slot;
  });
  const spare = new Set(options.spare);
  const norm = (row: number) =>
    Math.sqrt(dot(visualTokens, row * dim, visualTokens, row * dim, dim));

  for (const { start, end } of scopeRuns(options, n)) {
    const targets: number[] = [];
    const dropped: number[] = [];
    for (let row = start; row < end; row++) {
      if (slotOfRow[row] === -1) dropped.push(row);
      else if (!spare.has(row)) targets.push(row);
    }
    if (targets.length === 0) continue;
    const targetNorms = Float64Array.from(targets, (row) => Math.max(norm(row), 1e-8));
    const nearest = new Int32Array(dropped.length);
    // A block of dropped rows stays in cache while all targets pass by once: [B, D] · [D, T].
    for (let block = 0; block < dropped.length; block += MERGE_BLOCK) {
      const rows = dropped.slice(block, block + MERGE_BLOCK);
      const best = new Float64Array(rows.length).fill(Number.NEGATIVE_INFINITY);
      targets.forEach((target, t) => {
        for (let i = 0; i < rows.length; i++) {
          // The norm of the dropped row scales all its similarities alike: leave it out.
          const similarity =
            dot(visualTokens, rows[i]! * dim, visualTokens, target * dim, dim) / targetNorms[t]!;
          if (similarity > best[i]!) {
            best[i] = similarity;
            nearest[block + i] = t;
          }
        }
      });
    }
    averageInto(out, visualTokens, dim, dropped, (i) => slotOfRow[targets[nearest[i]!]!]!);
  }
  return out;
}

const MERGE_BLOCK = 16;

/** Add rows to slots of `out` and divide each slot by 1 + the rows that it took. */
function averageInto(
  out: Float32Array,
  tokens: Float32Array,
  dim: number,
  rows: readonly number[],
  slotOf: (index: number) => number,
): void {
  const taken = new Map<number, { sum: Float64Array; count: number }>();
  rows.forEach((row, i) => {
    const slot = slotOf(i);
    let target = taken.get(slot);
    if (!target) {
      target = { sum: Float64Array.from(out.subarray(slot * dim, (slot + 1) * dim)), count: 1 };
      taken.set(slot, target);
    }
    for (let d = 0; d < dim; d++) target.sum[d]! += tokens[row * dim + d]!;
    target.count++;
  });
  for (const [slot, { sum, count }] of taken) {
    for (let d = 0; d < dim; d++) out[slot * dim + d] = sum[d]! / count;
  }
}

interface BasisSample {
  /** [M] in sampling order. */
  basisRows: Int32Array;
  /** float64 [N, M], inner product of every row with every basis row. */
  products: Float64Array;
}

/**
 * Farthest-point sampling: each next basis row is the one farthest (L2) from all chosen so far; of
 * equal distances the lower row wins.
 *
 * Distances come from inner products, which the fit needs as well: |x − s|² = |x|² + |s|² − 2 x·s.
 */
function sampleFarthestPoints(
  rows: Float32Array,
  dim: number,
  m: number,
  first: number,
): BasisSample {
  const n = rows.length / dim;
  const products = new Float64Array(n * m);
  const squares = new Float64Array(n);
  for (let row = 0; row < n; row++) squares[row] = dot(rows, row * dim, rows, row * dim, dim);
  const distance = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const basisRows = new Int32Array(m);
  let next = first;
  for (let j = 0; j < m; j++) {
    basisRows[j] = next;
    const chosen = next;
    distance[chosen] = -1;
    let farthest = -1;
    for (let row = 0; row < n; row++) {
      const product = dot(rows, row * dim, rows, chosen * dim, dim);
      products[row * m + j] = product;
      if (distance[row] === -1) continue;
      const apart = Math.max(0, squares[row]! + squares[chosen]! - 2 * product);
      if (apart < distance[row]!) distance[row] = apart;
      if (distance[row]! > farthest) {
        farthest = distance[row]!;
        next = row;
      }
    }
  }
  return { basisRows, products };
}

/** ‖x − Sᵀ c‖₂ with c = (S Sᵀ + ridge·I)⁻¹ S x, for every row x. Rows [N, D] → float32 [N]. */
function residualNorms(
  rows: Float32Array,
  dim: number,
  sample: BasisSample,
  ridge: number,
): Float32Array {
  const { basisRows, products } = sample;
  const n = rows.length / dim;
  const m = basisRows.length;
  const gram = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) gram[i * m + j] = products[basisRows[i]! * m + j]!;
    gram[i * m + i]! += ridge;
  }
  const factor = cholesky(gram, m);
  const errors = new Float32Array(n);
  // One coefficient beyond m stays 0: the fit is subtracted two basis rows at a time.
  const c = new Float64Array(m + 1);
  const basis = new Float64Array((m + 1) * dim);
  basisRows.forEach((row, j) => {
    basis.set(rows.subarray(row * dim, (row + 1) * dim), j * dim);
  });
  const residual = new Float64Array(dim);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < m; j++) c[j] = products[row * m + j]!;
    solveCholesky(factor, m, c);
    // The residual is formed as a vector: |x|² − 2 c·b + … would cancel for rows near the span.
    for (let d = 0; d < dim; d++) residual[d] = rows[row * dim + d]!;
    for (let j = 0; j < m; j += 2) subtractPair(residual, basis, c, j);
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += residual[d]! * residual[d]!;
    errors[row] = Math.sqrt(sum);
  }
  return errors;
}

/**
 * Lower Cholesky factor of a symmetric positive semi-definite [M, M] matrix.
 *
 * A pivot at rounding level means a basis row that the earlier ones already span (equal rows, blank
 * cells). Its column becomes 0 with an infinite pivot, which makes its coefficient 0.
 */
function cholesky(a: Float64Array, m: number): Float64Array {
  const l = new Float64Array(m * m);
  for (let j = 0; j < m; j++) {
    let pivot = a[j * m + j]!;
    for (let k = 0; k < j; k++) pivot -= l[j * m + k]! ** 2;
    if (pivot <= a[j * m + j]! * m * 1e-14) {
      l[j * m + j] = Number.POSITIVE_INFINITY;
      continue;
    }
    const root = Math.sqrt(pivot);
    l[j * m + j] = root;
    for (let i = j + 1; i < m; i++) {
      let sum = a[i * m + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * m + k]! * l[j * m + k]!;
      l[i * m + j] = sum / root;
    }
  }
  return l;
}

/** Solve L Lᵀ x = b in place. */
function solveCholesky(l: Float64Array, m: number, x: Float64Array): void {
  for (let i = 0; i < m; i++) {
    let sum = x[i]!;
    for (let k = 0; k < i; k++) sum -= l[i * m + k]! * x[k]!;
    x[i] = sum / l[i * m + i]!;
  }
  for (let i = m - 1; i >= 0; i--) {
    let sum = x[i]!;
    for (let k = i + 1; k < m; k++) sum -= l[k * m + i]! * x[k]!;
    x[i] = sum / l[i * m + i]!;
  }
}

/** Inner product of two rows; four sums, so that the additions need not wait for each other. */
function dot(
  a: Float32Array,
  aStart: number,
  b: Float32Array,
  bStart: number,
  dim: number,
): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let d = 0;
  for (; d + 3 < dim; d += 4) {
    s0 += a[aStart + d]! * b[bStart + d]!;
    s1 += a[aStart + d + 1]! * b[bStart + d + 1]!;
    s2 += a[aStart + d + 2]! * b[bStart + d + 2]!;
    s3 += a[aStart + d + 3]! * b[bStart + d + 3]!;
  }
  for (; d < dim; d++) s0 += a[aStart + d]! * b[bStart + d]!;
  return s0 + s1 + (s2 + s3);
}

/** out −= c[j]·basis[j] + c[j+1]·basis[j+1] */
function subtractPair(out: Float64Array, basis: Float64Array, c: Float64Array, j: number): void {
  const dim = out.length;
  const [c0, c1] = [c[j]!, c[j + 1]!];
  const first = j * dim;
  const second = first + dim;
  for (let d = 0; d < dim; d++) out[d]! -= c0 * basis[first + d]! + c1 * basis[second + d]!;
}

/** One run per page for scope `page`, one for everything otherwise. */
function scopeRuns(options: Pick<ScopeOptions, 'scope' | 'pageOfRow'>, n: number): PageRun[] {
  if (options.scope === 'page') return pageRuns(options.pageOfRow, n);
  return n === 0 ? [] : [{ page: 0, start: 0, end: n }];
}

function assertOption(path: string, value: unknown, allowed: string, valid: boolean): void {
  if (valid) return;
  throw new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Expected ${path} as ${allowed}, got ${value}`,
    hint: `Set ${path} to a value of that kind, or leave it out for the default.`,
    details: { path, value: String(value), allowed },
  });
}
