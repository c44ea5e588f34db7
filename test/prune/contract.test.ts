import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gatherRows, keepHighest, pageBudgets, pageRuns } from '../../src/prune/index.js';
import { budgetedCount } from '../../src/prune/retained-count.js';
import { expectKeptRows } from './kept-rows.js';
import { testPrunerContract } from './pruner-contract.js';
import { codeOf, thrown } from './thrown-code.js';

const scoresOf = (n: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.fround(Math.sin(i * 7)));

testPrunerContract('keepHighest', (n, options) =>
  keepHighest(scoresOf(n), { ...options, count: budgetedCount(n, options) }),
);

describe('keepHighest', () => {
  it('keeps the highest scores in row order', () => {
    expect([...keepHighest(Float32Array.of(3, -1, 5, 0, 4), { count: 3 })]).toEqual([0, 2, 4]);
  });

  it('lets the lower row win a tie', () => {
    expect([...keepHighest(Float32Array.of(1, 2, 1, 1, 2), { count: 3 })]).toEqual([0, 1, 4]);
    expect([...keepHighest(new Float32Array(6), { count: 2 })]).toEqual([0, 1]);
  });

  it('orders negatives, infinities and denormals, and takes −0 for 0', () => {
    const scores = Float32Array.of(-Infinity, -2, -1e-45, -0, 0, 1e-45, 3, Infinity);
    for (let count = 1; count <= 8; count++) {
      // −0 and 0 tie, so row 3 comes before row 4.
      const order = [7, 6, 5, 3, 4, 2, 1, 0].slice(0, count).sort((a, b) => a - b);
      expect([...keepHighest(scores, { count })]).toEqual(order);
    }
  });

  it('agrees with a stable sort of objects', () => {
    const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.float({ noNaN: true }));
    fc.assert(
      fc.property(fc.array(score, { maxLength: 60 }), fc.nat(), (list, k) => {
        const scores = Float32Array.from(list);
        const count = list.length === 0 ? 0 : k % (list.length + 1);
        const reference = [...scores]
          .map((value, row) => ({ value: value === 0 ? 0 : value, row }))
          .sort((a, b) => (a.value === b.value ? a.row - b.row : a.value < b.value ? 1 : -1))
          .slice(0, count)
          .map(({ row }) => row)
          .sort((a, b) => a - b);
        expect([...keepHighest(scores, { count })]).toEqual(reference);
      }),
    );
  });

  it('keeps the same scores however the rows are permuted', () => {
    const distinct = fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(distinct, fc.infiniteStream(fc.nat()), fc.nat(), (list, stream, k) => {
        const count = k % (list.length + 1);
        const shuffled = list
          .map((value) => ({ value, order: stream.next().value as number }))
          .sort((a, b) => a.order - b.order)
          .map(({ value }) => value);
        const kept = (values: number[]) =>
          [...keepHighest(Float32Array.from(values), { count })]
            .map((row) => values[row]!)
            .sort((a, b) => a - b);
        expect(kept(shuffled)).toEqual(kept(list));
      }),
    );
  });

  it('names the row of a NaN', () => {
    const error = thrown(() => keepHighest(Float32Array.of(1, Number.NaN), { count: 1 }));
    expect(error?.code).toBe('GP_TENSOR_VALUE');
    expect(error?.details.row).toBe(1);
  });

  it('refuses more rows than there are', () => {
    expect(codeOf(() => keepHighest(Float32Array.of(1), { count: 2 }))).toBe('GP_TENSOR_SHAPE');
    expect(codeOf(() => keepHighest(Float32Array.of(1), { count: 0.5 }))).toBe('GP_TENSOR_SHAPE');
    expect([...keepHighest(new Float32Array(0), { count: 0 })]).toEqual([]);
  });

  it('reads scores that lie inside a larger buffer', () => {
    const buffer = Float32Array.of(9, 9, 1, 2, 3, 9);
    expect([...keepHighest(buffer.subarray(2, 5), { count: 1 })]).toEqual([2]);
  });

  it('gives floors first and the rest to the best of all', () => {
    const scores = Float32Array.of(9, 8, 7, 1, 2, 3);
    const pageOfRow = Int32Array.of(0, 0, 0, 1, 1, 1);
    const keep = (minPerPage: number) => [
      ...keepHighest(scores, { count: 4, pageOfRow, minPerPage }),
    ];
    expect(keep(0)).toEqual([0, 1, 2, 5]);
    expect(keep(1)).toEqual([0, 1, 2, 5]);
    expect(keep(2)).toEqual([0, 1, 4, 5]);
    expect(codeOf(() => keep(3))).toBe('GP_PRUNE_PLAN');
  });

  it('ranks within each page by page', () => {
    const scores = Float32Array.of(9, 8, 7, 6, 1, 2, 3, 0);
    const pageOfRow = Int32Array.of(4, 4, 4, 4, 7, 7, 7, 7);
    expect([...keepHighest(scores, { count: 4, scope: 'page', pageOfRow })]).toEqual([0, 1, 5, 6]);
  });

  it('ranks 100,000 rows of equal, falling and random scores without trouble', () => {
    const n = 100_000;
    const inputs = [
      new Float32Array(n),
      Float32Array.from({ length: n }, (_, i) => -i),
      Float32Array.from({ length: n }, (_, i) => Math.sin(i * i)),
    ];
    const pageOfRow = Int32Array.from({ length: n }, (_, i) => Math.floor(i / 630));
    for (const scores of inputs) {
      for (const scope of ['document', 'page'] as const) {
        const kept = keepHighest(scores, { count: 30_000, scope, pageOfRow, minPerPage: 50 });
        expectKeptRows(kept, n, 30_000);
      }
    }
  });
});

describe('pageBudgets', () => {
  const runsOf = (sizes: number[]) =>
    pageRuns(
      Int32Array.from(sizes.flatMap((size, page) => Array(size).fill(page))),
      sizes.reduce((a, b) => a + b, 0),
    );

  it.each([
    // sizes, count, floor, budgets
    [[10, 10, 10], 16, 0, [6, 5, 5]],
    [[10, 5], 6, 0, [4, 2]],
    [[1, 100], 10, 0, [0, 10]],
    [[1, 100], 10, 1, [1, 9]],
    [[3, 100, 100], 20, 5, [3, 9, 8]],
    [[4, 4], 8, 9, [4, 4]],
    [[5, 5], 0, 0, [0, 0]],
  ])('pages of %j with %d to keep and floor %d get %j', (sizes, count, floor, budgets) => {
    expect(pageBudgets(runsOf(sizes), count, floor)).toEqual(budgets);
  });

  it('sums to the count and keeps each page between its floor and its size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 30 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat({ max: 20 }),
        (sizes, share, floor) => {
          const floors = sizes.map((size) => Math.min(size, floor));
          const least = floors.reduce((a, b) => a + b, 0);
          const n = sizes.reduce((a, b) => a + b, 0);
          const count = least + Math.floor(share * (n - least));
          const budgets = pageBudgets(runsOf(sizes), count, floor);
          expect(budgets.reduce((a, b) => a + b, 0)).toBe(count);
          budgets.forEach((budget, i) => {
            expect(budget).toBeGreaterThanOrEqual(floors[i]!);
            expect(budget).toBeLessThanOrEqual(sizes[i]!);
            if (floor === 0) expect(Math.abs(budget - (count * sizes[i]!) / n)).toBeLessThan(1);
          });
        },
      ),
    );
  });
});

describe('pageRuns', () => {
  it('finds contiguous pages, skipping numbers', () => {
    expect(pageRuns(Int32Array.of(2, 2, 5), 3)).toEqual([
      { page: 2, start: 0, end: 2 },
      { page: 5, start: 2, end: 3 },
    ]);
    expect(pageRuns(new Int32Array(0), 0)).toEqual([]);
  });

  it('refuses rows out of page order', () => {
    expect(codeOf(() => pageRuns(Int32Array.of(1, 0), 2))).toBe('GP_TENSOR_VALUE');
  });
});

it('gathers rows of a matrix', () => {
  const gathered = gatherRows(Float32Array.of(1, 2, 3, 4, 5, 6), 2, Int32Array.of(0, 2));
  expect([...gathered]).toEqual([1, 2, 5, 6]);
});
