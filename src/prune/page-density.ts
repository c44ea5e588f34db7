import { GlyphpressError, ShapeError } from '../errors.js';
import type { PageRun } from './contract.js';

/**
 * Split a budget over pages in proportion to what they hold rather than to their size: a page full of
 * text gets more of it than one with a few lines.
 *
 * Source: the idea of RTPrune, arXiv:2605.00392, that the share kept must follow the density of a
 * page. Departs: the total is fixed, so density only moves tokens between pages, and the density is
 * that of ink, not of features.
 *
 * No page gets more than it has or less than its floor; what is over goes to the others.
 *
 * @param runs pages in order, as from `pageRuns`
 * @param weights one number ≥ 0 a page, for example its ink. All 0 counts as all equal.
 * @returns rows to keep of each run; they sum to `count` (largest remainder; of equal remainders the
 *   earlier page wins)
 * @throws {GlyphpressError} GP_PRUNE_PLAN if the floors exceed the budget; GP_TENSOR_VALUE for a
 *   weight that is no number ≥ 0
 * @throws {ShapeError} if weights do not fit the runs, or count exceeds the rows
 */
export function densityBudgets(
  runs: readonly PageRun[],
  weights: readonly number[],
  count: number,
  minPerPage = 0,
): number[] {
  const sizes = runs.map(({ start, end }) => end - start);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (weights.length !== runs.length || count > total) {
    throw new ShapeError(
      'page weights',
      `[${runs.length}] for at most ${total} rows`,
      [weights.length, count],
      'Give one weight a page, and a budget of at most all rows.',
    );
  }
  const bad = weights.findIndex((weight) => !(weight >= 0 && Number.isFinite(weight)));
  if (bad >= 0) {
    throw new GlyphpressError('GP_TENSOR_VALUE', {
      message: `Expected the density of page ${bad} as a number ≥ 0, got ${weights[bad]}`,
      hint: 'Check the pixels of that page.',
      details: { tensor: 'page weights', row: bad, value: String(weights[bad]) },
    });
  }
  const floors = sizes.map((size) => Math.min(size, minPerPage));
  const floored = floors.reduce((sum, floor) => sum + floor, 0);
  if (floored > count) {
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `Expected floors within the budget, got ${floored} rows for minPerPage ${minPerPage} on ${runs.length} pages, with ${count} rows to keep`,
      hint: 'Lower minPerPage or raise keepRatio.',
      details: { path: 'minPerPage', value: minPerPage, floors: floored, budget: count },
    });
  }
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const share = sum > 0 ? weights.map((weight) => weight / sum) : sizes.map((size) => size / total);
  // Water-filling: one level λ, found by halving, with λ·share held within [floor, size].
  const at = (level: number) =>
    sizes.map((size, i) => Math.min(size, Math.max(floors[i]!, level * share[i]!)));
  const filled = (level: number) => at(level).reduce((all, rows) => all + rows, 0);
  let low = 0;
  let high = 1;
  const reachable = sizes.reduce((all, size, i) => all + (share[i]! > 0 ? size : floors[i]!), 0);
  while (filled(high) < Math.min(count, reachable) - 1e-9 && high < 1e15) high *= 2;
  for (let step = 0; step < 200 && high - low > 1e-12 * high; step++) {
    const middle = (low + high) / 2;
    if (filled(middle) < count) low = middle;
    else high = middle;
  }
  const exact = at(high);
  const budgets = exact.map((rows, i) => Math.max(floors[i]!, Math.floor(rows + 1e-9)));
  let left = count - budgets.reduce((all, rows) => all + rows, 0);
  const order = budgets.map((_, i) => i);
  order.sort((a, b) => exact[b]! - budgets[b]! - (exact[a]! - budgets[a]!) || a - b);
  // Rounding leaves a few rows; pages without any weight take what no other can.
  while (left !== 0) {
    const step = Math.sign(left);
    const page = (step > 0 ? order : [...order].reverse()).find((i) =>
      step > 0 ? budgets[i]! < sizes[i]! : budgets[i]! > floors[i]!,
    )!;
    budgets[page]! += step;
    left -= step;
    order.push(order.splice(order.indexOf(page), 1)[0]!);
  }
  return budgets;
}
