import { ShapeError } from '../errors.js';
import { keepHighest, matrixRows, type ScopeOptions } from './contract.js';
import { type Budget, budgetedCount } from './retained-count.js';

/**
 * How the change of a hidden state is measured: `l2` ‖after − before‖₂, `l1` ‖after − before‖₁, `cosine`
 * 1 − cos(before, after).
 *
 * `l2` is the default of the paper and of the code at github.com/xuyang-liu16/V2Drop
 * @219e03e. Until commit 89eddbb the released LLaVA code used `cosine`. `l1` is in the paper's ablation
 * only. {@link V2DROP_SCHEDULES} has what was published and released by name.
 */
export type VariationMetric = 'l2' | 'l1' | 'cosine';

/**
 * Keep the visual tokens whose hidden states change most from one decoder layer to the next.
 *
 * Source: V²Drop, arXiv:2509.01552. As in the authors' code, the variation at layer l is the input of
 * layer l minus the input of layer l−1, and layer l is the first to run on the kept tokens. Rows are
 * visual tokens only: text tokens are never dropped.
 * Departs from the authors' code: any number of pages, seeded by nothing (ties go to the lower row),
 * and the budget may be split by page.
 *
 * @param tokenVariation float32 [N], as from {@link tokenVariation} or from a graph
 * @returns row indices [budgetedCount(N, options)], ascending
 * @throws {GlyphpressError} GP_TENSOR_VALUE for NaN; GP_PRUNE_PLAN for a bad ratio or floor
 */
export function selectByVariation(
  tokenVariation: Float32Array,
  options: ScopeOptions & Budget,
): Int32Array {
  const count = budgetedCount(tokenVariation.length, options);
  return keepHighest(tokenVariation, { ...options, count });
}

/**
 * How much each row changed, on the host: the reference for the score that decoder graphs compute,
 * and for hidden states that are here anyway.
 *
 * A zero vector has cosine 0 to every other vector, as in PyTorch, and variation 0 to another zero.
 *
 * @param before float32 [N, D], the input of layer l−1
 * @param after float32 [N, D], the input of layer l, the same rows
 * @returns float32 [N], accumulated in float64
 * @throws {ShapeError} if the matrices differ in shape
 */
export function tokenVariation(
  before: Float32Array,
  after: Float32Array,
  dim: number,
  metric: VariationMetric = 'l2',
): Float32Array {
  const n = matrixRows('before', before, dim);
  if (after.length !== before.length) {
    throw new ShapeError(
      'after',
      `[${n}, ${dim}]`,
      [after.length],
      'Both hidden states must hold the same rows: drop from both.',
    );
  }
  const variation = new Float32Array(n);
  for (let row = 0; row < n; row++) variation[row] = METRICS[metric](before, after, row * dim, dim);
  return variation;
}

type RowMetric = (a: Float32Array, b: Float32Array, offset: number, dim: number) => number;

const METRICS: Record<VariationMetric, RowMetric> = {
  l2(a, b, offset, dim) {
    let sum = 0;
    for (let i = offset; i < offset + dim; i++) {
      const change = b[i]! - a[i]!;
      sum += change * change;
    }
    return Math.sqrt(sum);
  },
  l1(a, b, offset, dim) {
    let sum = 0;
    for (let i = offset; i < offset + dim; i++) sum += Math.abs(b[i]! - a[i]!);
    return sum;
  },
  cosine(a, b, offset, dim) {
    let dot = 0;
    let aa = 0;
    let bb = 0;
    for (let i = offset; i < offset + dim; i++) {
      dot += a[i]! * b[i]!;
      aa += a[i]! * a[i]!;
      bb += b[i]! * b[i]!;
    }
    if (aa === 0 && bb === 0) return 0;
    return 1 - dot / Math.max(Math.sqrt(aa) * Math.sqrt(bb), 1e-8);
  },
};
