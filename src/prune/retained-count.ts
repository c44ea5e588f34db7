import { GlyphpressError, ShapeError } from '../errors.js';

/**
 * How many of `n` rows a drop keeps: the one place in glyphpress that rounds.
 *
 * Rule: `max(1, floor(n · keepRatio))`, with the product taken in doubles, and 0 for n = 0. This is
 * what the code of V²Drop (`max(1, int(n * keep_ratio))`) and of ApET (`int(ratio * n)`) computes, so
 * a plan keeps the same number of tokens here as there. Because of the doubles, 100 · 0.29 =
 * 28.999… keeps 28, as it does in Python.
 *
 * The lower bound of 1 means that a ratio never empties the page. The schedules of V²Drop that "drop
 * 100 %" leave one token for the same reason; a plan states them as `keepCount: 1`, not as ratio 0.
 *
 * @param n rows before the drop, an integer ≥ 0
 * @param keepRatio share that stays, in (0, 1]
 * @returns rows after the drop, in [min(n, 1), n]
 * @throws {GlyphpressError} GP_PRUNE_PLAN if keepRatio is outside (0, 1]
 * @throws {ShapeError} if n is no row count
 */
export function retainedCount(n: number, keepRatio: number): number {
  assertRowCount(n);
  if (!(keepRatio > 0 && keepRatio <= 1)) {
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `Expected keepRatio in (0, 1], got ${keepRatio}`,
      hint: 'Use 1 to keep everything. To keep a single token at a decoder layer, use keepCount: 1.',
      details: { path: 'keepRatio', value: String(keepRatio), allowed: '0 < keepRatio ≤ 1' },
    });
  }
  return n === 0 ? 0 : Math.max(1, Math.floor(n * keepRatio));
}

/** How much a drop keeps: a share of the rows, or a number of rows (all, if there are fewer). */
export type Budget =
  | { keepRatio: number; keepCount?: undefined }
  | { keepCount: number; keepRatio?: undefined };

/**
 * How many of `n` rows a budget keeps.
 *
 * @throws {GlyphpressError} GP_PRUNE_PLAN if the ratio or the count is out of range
 */
export function budgetedCount(n: number, budget: Budget): number {
  if (budget.keepCount === undefined) return retainedCount(n, budget.keepRatio);
  assertRowCount(n);
  if (!Number.isSafeInteger(budget.keepCount) || budget.keepCount < 1) {
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `Expected keepCount as an integer ≥ 1, got ${budget.keepCount}`,
      hint: 'Use 1 to drop all but one token.',
      details: { path: 'keepCount', value: String(budget.keepCount), allowed: 'integer ≥ 1' },
    });
  }
  return Math.min(n, budget.keepCount);
}

/** @throws {ShapeError} if n is not an integer ≥ 0 */
export function assertRowCount(n: number): void {
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new ShapeError('rows', '[N], N an integer ≥ 0', [n], 'Pass the number of token rows.');
  }
}
