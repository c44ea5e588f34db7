/**
 * ApET: keep the visual tokens that a few basis tokens reconstruct worst.
 *
 * Source: ApET, arXiv:2602.19870, as coded at github.com/MaQianKun0/ApET @70cc01b.
 *
 * 1. Choose M basis tokens, by farthest-point sampling from a random start.
 * 2. Fit every token as a combination of the basis: (S Sᵀ + ridge·I) c = S x.
 * 3. The error of a token is ‖x − Sᵀ c‖₂. Keep the largest.
 * 4. Give the basis a place among the kept tokens.
 * 5. Optionally average every dropped token into its cosine-nearest kept token.
 *
 * {@link APET_FORMS} names the four forms of the authors' code, and `basis: 'overwrite'` and `'blend'`
 * compute what they compute: kept rows and values agree with fixtures made by that code. The defaults
 * are others, for text:
 * - `basis: 'always-keep'`. Basis tokens have an error of about 0, so the ranking alone would drop
 *   them. The authors write their values over the M kept tokens of lowest error, so a value stands
 *   where another token was, and that token is lost. Here the same M places go to the basis rows at
 *   their own positions. `basis: 'rank'` leaves them to the ranking.
 * - `merge: 'none'`. The authors always merge. With their basis rules a basis token counts twice: in its
 *   slot, and again as a dropped token.
 *
 * Departs from the authors' code in every form:
 * - The start is seeded, so runs repeat. The basis holds M different rows even where rows are equal.
 * - Kept rows keep their positions. The LLaVA code renumbers them.
 * - Sums are taken in float64; errors are float32. The authors cast features to half precision before
 *   they write the basis and merge.
 * - Scope `page` fits and ranks every page by its own basis (the LLaVA code, per image); scope
 *   `document` uses one basis for all pages (the Qwen code).
 */
import { GlyphpressError } from '../errors.js';
import {
  assertRowsWithin,
  type Basis,
  type BasisChoice,
  basisOf,
  densityPeaks,
  farthestPoints,
  randomRows,
} from './apet-basis.js';
import { type MergeOptions, mergeDropped } from './apet-merge.js';
import {
  gatherRows,
  keepHighest,
  matrixRows,
  type PageRun,
  type ScopeOptions,
  scopeRuns,
} from './contract.js';
import { deriveSeed, randomBelow, seededRandom } from './random.js';
import { type Budget, budgetedCount } from './retained-count.js';
import { residualNorms } from './ridge-fit.js';

export const APET_DEFAULTS = {
  basisTokenCount: 10,
  ridge: 1e-5,
  basis: 'always-keep',
  merge: 'none',
} as const;

/**
 * What becomes of the basis.
 *
 * - `always-keep`: its rows are kept at their own places.
 * - `rank`: its rows are ranked by their error of about 0, and so dropped.
 * - `overwrite`: its values replace the M kept tokens of lowest error (the authors' LLaVA code).
 * - `blend`: those tokens become half basis, half themselves (the authors' Qwen code).
 */
export type BasisRule = 'always-keep' | 'rank' | 'overwrite' | 'blend';

/**
 * Which basis value goes to which of the M slots, for `overwrite` and `blend`: the slots in row order
 * (the authors' code behind the encoder), or from higher to lower error (their code inside the
 * decoder). Basis values come in the order they were chosen.
 */
export type SlotOrder = 'raster' | 'error-rank';

/** What becomes of dropped tokens: nothing, or averaged into the nearest kept token. */
export type MergeRule = 'none' | 'average';

export interface BasisOptions extends Pick<ScopeOptions, 'scope' | 'pageOfRow'> {
  /** M, at least 1. A page or document of N rows uses min(M, max(1, N − 1)). @defaultValue 10 */
  basisTokenCount?: number;
  /** Added to the diagonal of S Sᵀ, absolute, at least 0. @defaultValue 1e-5 */
  ridge?: number;
  /** @defaultValue 'farthest-point' */
  basisChoice?: BasisChoice;
  /** uint32, chooses the first basis token. @defaultValue 0 */
  seed?: number;
  /** The first basis token in place of a seeded one: a row of each page or of the document, from 0. */
  start?: number;
  /** The basis rows themselves, in place of any choice; scope `page` needs some on every page. */
  basisRows?: Int32Array;
}

export type ApetOptions = ScopeOptions &
  BasisOptions &
  Budget & {
    /** @defaultValue 'always-keep' */
    basis?: BasisRule;
    /** @defaultValue 'raster' */
    slotOrder?: SlotOrder;
  };

/** The forms of the authors' code by name: github.com/MaQianKun0/ApET @70cc01b. */
export const APET_FORMS = {
  /** LLaVA, behind the vision tower: llava/model/llava_arch.py, encode_images. */
  'llava-encoder': {
    basis: 'overwrite',
    slotOrder: 'raster',
    ridge: 1e-5,
    merge: 'average',
    scope: 'page',
  },
  /** LLaVA, inside the decoder: llava/model/modeling_llama_x.py, layer_prune. */
  'llava-decoder': {
    basis: 'overwrite',
    slotOrder: 'error-rank',
    ridge: 1e-5,
    merge: 'average',
    scope: 'document',
  },
  /** Qwen2.5-VL, behind the merger: qwen/model/qwen2_5_vl_custom.py, forward. */
  'qwen-encoder': {
    basis: 'blend',
    slotOrder: 'raster',
    ridge: 1e-5,
    merge: 'average',
    scope: 'document',
  },
  /**
   * Qwen2.5-VL, inside the decoder: qwen/model/qwen2_5_vl_custom.py, layer_prune. Its call is commented
   * out in the released code, so the paper's second stage does not run there.
   */
  'qwen-decoder': {
    basis: 'blend',
    slotOrder: 'error-rank',
    ridge: 1e-1,
    merge: 'average',
    scope: 'document',
  },
} as const satisfies Record<string, Partial<ApetOptions> & { merge: MergeRule }>;

export type ApetForm = keyof typeof APET_FORMS;

export interface ApproximationErrors {
  /** float32 [N], L2 norm of what the basis cannot express. */
  errors: Float32Array;
  /**
   * int32, rows of the basis tokens in the order they were chosen, page after page. With
   * `density-peak`, the rows at the centres of the clusters.
   */
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
 * Cost: O(N·M·D) time, O(N·M) extra doubles and about 18 MiB that are kept; `density-peak` O(N²·D) time
 *   within a scope.
 */
export function selectByApproximationError(
  visualTokens: Float32Array,
  dim: number,
  options: ApetOptions,
): Int32Array {
  return rankRows(visualTokens, dim, options).keptRows;
}

/**
 * {@link selectByApproximationError} with the values of the kept tokens: with the basis in its slots
 * and dropped tokens merged, where asked for. As in the authors' code, the places of the basis take
 * nothing in.
 *
 * @param options.reach how far merging looks, see {@link mergeDropped}
 * @returns keptRows [K], ascending, and tokens float32 [K, D]
 */
export function pruneByApproximationError(
  visualTokens: Float32Array,
  dim: number,
  options: ApetOptions &
    Pick<MergeOptions, 'reach'> & { /** @defaultValue 'none' */ merge?: MergeRule },
): { keptRows: Int32Array; tokens: Float32Array } {
  const { keptRows, ranked, bases } = rankRows(visualTokens, dim, options);
  const rule = options.basis ?? APET_DEFAULTS.basis;
  const slots =
    rule === 'overwrite' || rule === 'blend' ? basisSlots(keptRows, ranked, bases, options) : [];
  const spare =
    rule === 'always-keep'
      ? joinRows(bases)
      : Int32Array.from(slots.flatMap(({ rows }) => [...rows]));
  const tokens =
    options.merge === 'average'
      ? mergeDropped(visualTokens, dim, keptRows, { ...options, spare })
      : gatherRows(visualTokens, dim, keptRows);
  const share = rule === 'blend' ? 0.5 : 1;
  const placeOf = new Map(Array.from(keptRows, (row, place) => [row, place]));
  for (const { rows, vectors } of slots) {
    rows.forEach((row, j) => {
      const at = placeOf.get(row)! * dim;
      for (let d = 0; d < dim; d++) {
        tokens[at + d] = share * vectors[j * dim + d]! + (1 - share) * tokens[at + d]!;
      }
    });
  }
  return { keptRows, tokens };
}

interface ScopedBasis extends Basis, PageRun {}

/** The kept rows, the errors they were ranked by, and the basis of each scope. */
function rankRows(visualTokens: Float32Array, dim: number, options: ApetOptions) {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const count = budgetedCount(n, options);
  const { errors: ranked, bases } = fitBases(visualTokens, dim, options);
  if ((options.basis ?? APET_DEFAULTS.basis) === 'always-keep') {
    for (const row of joinRows(bases)) ranked[row] = Number.POSITIVE_INFINITY;
  }
  return { keptRows: keepHighest(ranked, { ...options, count }), ranked, bases };
}

/** In each scope the kept rows that the basis takes: those of lowest error, as many as it has. */
function basisSlots(
  keptRows: Int32Array,
  errors: Float32Array,
  bases: readonly ScopedBasis[],
  { slotOrder = 'raster' }: ApetOptions,
): { rows: Int32Array; vectors: Float32Array }[] {
  return bases.map(({ start, end, basisRows, vectors }) => {
    const kept = keptRows.filter((row) => row >= start && row < end);
    const byError = kept.sort((a, b) => errors[b]! - errors[a]! || a - b);
    const rows = byError.slice(Math.max(0, kept.length - basisRows.length));
    return { rows: slotOrder === 'raster' ? rows.sort() : rows, vectors };
  });
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
  const { errors, bases } = fitBases(visualTokens, dim, options);
  return { errors, basisRows: joinRows(bases) };
}

function fitBases(
  visualTokens: Float32Array,
  dim: number,
  options: BasisOptions,
): { errors: Float32Array; bases: ScopedBasis[] } {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const { basisTokenCount = APET_DEFAULTS.basisTokenCount, ridge = APET_DEFAULTS.ridge } = options;
  assertOption(
    'basisTokenCount',
    basisTokenCount,
    'integer ≥ 1',
    Number.isSafeInteger(basisTokenCount) && basisTokenCount >= 1,
  );
  assertOption('ridge', ridge, 'finite number ≥ 0', Number.isFinite(ridge) && ridge >= 0);
  if (options.basisRows) assertRowsWithin('basisRows', options.basisRows, n);

  const runs = scopeRuns(options, n);
  const errors = new Float32Array(n);
  const bases = runs.map((run): ScopedBasis => {
    const { start, end } = run;
    const rows = visualTokens.subarray(start * dim, end * dim);
    const basis = chooseBasis(rows, dim, run, basisTokenCount, options);
    errors.set(residualNorms(rows, dim, basis, ridge), start);
    // The products are large; nothing needs them any more.
    return { ...run, ...basis, products: [], basisRows: basis.basisRows.map((row) => start + row) };
  });
  const bad = errors.findIndex((error) => !Number.isFinite(error));
  if (bad >= 0) {
    throw new GlyphpressError('GP_TENSOR_VALUE', {
      message: `Expected finite visual tokens, got an approximation error of ${errors[bad]} at row ${bad}`,
      hint: 'The vision encoder gave NaN or values that overflow float32; check its weights and dtype.',
      details: { tensor: 'visualTokens', row: bad, value: String(errors[bad]) },
    });
  }
  return { errors, bases };
}

/** Density peaks compare all rows with all: minutes at this many, hours for a book. */
const DENSITY_PEAK_ROWS = 4096;

/** The basis of one scope; its rows are counted from the scope's first. */
function chooseBasis(
  rows: Float32Array,
  dim: number,
  { page, start, end }: PageRun,
  basisTokenCount: number,
  { basisChoice = 'farthest-point', seed = 0, start: first, basisRows }: BasisOptions,
): Basis {
  const n = end - start;
  if (basisRows) {
    const given = basisRows.filter((row) => row >= start && row < end).map((row) => row - start);
    assertOption('basisRows', `none on page ${page}`, 'rows on every page', given.length > 0);
    return basisOf(rows, dim, given);
  }
  const m = Math.min(basisTokenCount, Math.max(1, n - 1));
  const words = seededRandom(deriveSeed(seed, page));
  switch (basisChoice) {
    case 'farthest-point':
      if (first !== undefined) assertRowsWithin('start', Int32Array.of(first), n);
      return farthestPoints(rows, dim, m, first ?? randomBelow(words, n));
    case 'density-peak':
      assertOption(
        'basisChoice',
        `density-peak over ${n} rows`,
        `farthest-point where more than ${DENSITY_PEAK_ROWS} rows rank together`,
        n <= DENSITY_PEAK_ROWS,
      );
      return densityPeaks(rows, dim, m, words);
    case 'random':
      return basisOf(rows, dim, randomRows(n, m, words));
    default:
      throw optionError('basisChoice', basisChoice, '"farthest-point", "density-peak" or "random"');
  }
}

const joinRows = (bases: readonly ScopedBasis[]) =>
  Int32Array.from(bases.flatMap(({ basisRows }) => [...basisRows]));

function assertOption(path: string, value: unknown, allowed: string, valid: boolean): void {
  if (!valid) throw optionError(path, value, allowed);
}

function optionError(path: string, value: unknown, allowed: string): GlyphpressError {
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Expected ${path} as ${allowed}, got ${value}`,
    hint: `Set ${path} to a value of that kind, or leave it out for the default.`,
    details: { path, value: String(value), allowed },
  });
}
