import fc from 'fast-check';
import { expect, it } from 'vitest';
import { budgetedCount, retainedCount } from '../../src/prune/index.js';
import { codeOf } from './thrown-code.js';

it.each([
  // n, keepRatio, kept: what Python's max(1, int(n * keep_ratio)) gives
  [576, 0.5, 288],
  [288, 0.3, 86],
  [144, 0.05, 7],
  [10, 0.35, 3],
  [10, 0.999, 9],
  [10, 1, 10],
  [100, 0.29, 28],
  [1, 0.01, 1],
  [7, 1e-9, 1],
  [0, 0.5, 0],
])('of %d rows, ratio %d keeps %d', (n, keepRatio, kept) => {
  expect(retainedCount(n, keepRatio)).toBe(kept);
});

it('grows with the ratio and stays within [1, n]', () => {
  const ratio = fc.double({ min: 1e-6, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), ratio, ratio, (n, a, b) => {
      const [low, high] = [retainedCount(n, Math.min(a, b)), retainedCount(n, Math.max(a, b))];
      expect(low).toBeLessThanOrEqual(high);
      expect(low).toBeGreaterThanOrEqual(1);
      expect(high).toBeLessThanOrEqual(n);
    }),
  );
});

it.each([0, -1, 1.0001, Number.NaN, Number.POSITIVE_INFINITY])('refuses ratio %d', (ratio) => {
  expect(codeOf(() => retainedCount(5, ratio))).toBe('GP_PRUNE_PLAN');
});

it.each([-1, 1.5, Number.NaN])('refuses %d rows', (n) => {
  expect(codeOf(() => retainedCount(n, 0.5))).toBe('GP_TENSOR_SHAPE');
  expect(codeOf(() => budgetedCount(n, { keepCount: 1 }))).toBe('GP_TENSOR_SHAPE');
});

it('reads a count as at most all rows', () => {
  expect(budgetedCount(10, { keepCount: 1 })).toBe(1);
  expect(budgetedCount(10, { keepCount: 11 })).toBe(10);
  expect(budgetedCount(0, { keepCount: 1 })).toBe(0);
  expect(budgetedCount(10, { keepRatio: 0.25 })).toBe(2);
});
