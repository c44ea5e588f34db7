import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  densityBudgets,
  keepHighest,
  keepStructured,
  pageRuns,
  rowsBeside,
  selectAtRandom,
  tokenNorms,
} from '../../src/prune/index.js';
import { budgetedCount } from '../../src/prune/retained-count.js';
import { expectKeptRows } from './kept-rows.js';
import { testPrunerContract } from './pruner-contract.js';
import { codeOf } from './thrown-code.js';

const scoresOf = (n: number) => Float32Array.from({ length: n }, (_, row) => (row * 37) % 101);

testPrunerContract('keepStructured', (n, options) =>
  keepStructured(scoresOf(n), { ...options, count: budgetedCount(n, options) }),
);

testPrunerContract('keepStructured with lines and neighbours', (n, options) =>
  keepStructured(scoresOf(n), {
    ...options,
    count: budgetedCount(n, options),
    beside: (row) => [row - 1, row + 1].filter((at) => at >= 0 && at < n),
  }),
);

describe('keepStructured', () => {
  it('is keepHighest where nothing is asked of it', () => {
    const scores = fc.array(
      fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0, 1, Infinity, -Infinity)),
      { minLength: 1, maxLength: 80 },
    );
    fc.assert(
      fc.property(scores, fc.nat(), (values, some) => {
        const all = Float32Array.from(values);
        const count = some % (all.length + 1);
        expect([...keepStructured(all, { count })]).toEqual([...keepHighest(all, { count })]);
      }),
    );
  });

  it('leaves no line without its floor, within exactly the count', () => {
    const cases = fc
      .record({
        n: fc.integer({ min: 1, max: 60 }),
        minPerLine: fc.integer({ min: 1, max: 3 }),
        spans: fc.array(fc.tuple(fc.nat(59), fc.integer({ min: 1, max: 9 })), { maxLength: 12 }),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      })
      .map(({ n, spans, ...rest }) => ({
        n,
        ...rest,
        lines: spans.map(([start, length]) => {
          const first = start % n;
          return Int32Array.from({ length: Math.min(length, n - first) }, (_, i) => first + i);
        }),
      }));
    fc.assert(
      fc.property(cases, ({ n, minPerLine, lines, share }) => {
        const count = Math.floor(n * share);
        const run = () => keepStructured(scoresOf(n), { count, lines, minPerLine });
        const most = lines.reduce((sum, line) => sum + Math.min(minPerLine, line.length), 0);
        if (count < most && codeOf(run) === 'GP_PRUNE_PLAN') return;
        const kept = run();
        expectKeptRows(kept, n, count);
        for (const line of lines) {
          const there = line.filter((row) => kept.includes(row)).length;
          expect(there).toBeGreaterThanOrEqual(Math.min(minPerLine, line.length));
        }
        expect(run()).toEqual(kept);
      }),
    );
  });

  it('serves lines that share a cell with one token', () => {
    // Three text lines in one row of cells; the short one decides.
    const lines = [
      [0, 1, 2, 3],
      [0, 1],
      [0, 1, 2],
    ].map((rows) => Int32Array.from(rows));
    const scores = Float32Array.of(1, 2, 8, 9, 7);
    expect([...keepStructured(scores, { count: 1, lines, minPerLine: 1 })]).toEqual([1]);
    expect([...keepStructured(scores, { count: 3, lines, minPerLine: 1 })]).toEqual([1, 2, 3]);
  });

  it('says that a floor does not fit', () => {
    const lines = [Int32Array.of(0), Int32Array.of(1), Int32Array.of(2)];
    const run = () => keepStructured(scoresOf(5), { count: 2, lines, minPerLine: 1 });
    expect(codeOf(run)).toBe('GP_PRUNE_PLAN');
  });

  it('keeps what is beside a kept row before rows of lower score', () => {
    const scores = Float32Array.of(0, 1, 0, 5, 0, 4);
    const beside = (row: number) => [row - 1, row + 1].filter((at) => at >= 0 && at < 6);
    expect([...keepStructured(scores, { count: 3, beside })]).toEqual([2, 3, 4]);
    expect([...keepStructured(scores, { count: 2, beside })]).toEqual([2, 3]);
    expect([...keepStructured(scores, { count: 4, beside })]).toEqual([2, 3, 4, 5]);
  });

  it('refuses NaN and counts beyond the rows', () => {
    expect(codeOf(() => keepStructured(Float32Array.of(Number.NaN), { count: 1 }))).toBe(
      'GP_TENSOR_VALUE',
    );
    expect(codeOf(() => keepStructured(Float32Array.of(1), { count: 2 }))).toBe('GP_TENSOR_SHAPE');
  });
});

describe('rowsBeside', () => {
  it('stays in the row of cells and on the page, and skips cells that are gone', () => {
    // Page 0: 2 × 3 cells without cell 1; page 1: 1 × 2 cells.
    const cells = Int32Array.of(0, 2, 3, 4, 5, 0, 1);
    const pages = Int32Array.of(0, 0, 0, 0, 0, 1, 1);
    const beside = rowsBeside(cells, pages, (page) => (page === 0 ? 3 : 2), 2);
    expect([0, 1, 2, 3, 4, 5, 6].map(beside)).toEqual([[1], [0], [3, 4], [2, 4], [3, 2], [6], [5]]);
  });
});

describe('densityBudgets', () => {
  const runs = (sizes: readonly number[]) =>
    pageRuns(
      Int32Array.from(sizes.flatMap((size, page) => Array<number>(size).fill(page))),
      sizes.reduce((a, b) => a + b, 0),
    );

  it('sums to the count, within each page and above each floor', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 });
    const weight = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e6, noNaN: true }));
    fc.assert(
      fc.property(
        sizes,
        fc.array(weight, { minLength: 8, maxLength: 8 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(4),
        (sizes, weights, share, floor) => {
          const total = sizes.reduce((a, b) => a + b, 0);
          const count = Math.floor(total * share);
          const run = () =>
            densityBudgets(runs(sizes), weights.slice(0, sizes.length), count, floor);
          const floors = sizes.map((size) => Math.min(size, floor));
          if (floors.reduce((a, b) => a + b, 0) > count) {
            expect(codeOf(run)).toBe('GP_PRUNE_PLAN');
            return;
          }
          const budgets = run();
          expect(budgets.reduce((a, b) => a + b, 0)).toBe(count);
          budgets.forEach((rows, i) => {
            expect(rows).toBeGreaterThanOrEqual(floors[i]!);
            expect(rows).toBeLessThanOrEqual(sizes[i]!);
          });
          expect(run()).toEqual(budgets);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('follows the ink, and hands on what a page cannot take', () => {
    expect(densityBudgets(runs([10, 10]), [3, 1], 8)).toEqual([6, 2]);
    expect(densityBudgets(runs([4, 10, 10]), [8, 1, 1], 10)).toEqual([4, 3, 3]);
    expect(densityBudgets(runs([10, 10]), [0, 0], 5)).toEqual([3, 2]);
    expect(densityBudgets(runs([10, 10]), [1, 0], 12)).toEqual([10, 2]);
  });

  it('refuses weights that are no density', () => {
    for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY])
      expect(codeOf(() => densityBudgets(runs([2, 2]), [1, bad], 2))).toBe('GP_TENSOR_VALUE');
    expect(codeOf(() => densityBudgets(runs([2, 2]), [1], 2))).toBe('GP_TENSOR_SHAPE');
    expect(codeOf(() => densityBudgets(runs([2]), [1], 3))).toBe('GP_TENSOR_SHAPE');
  });
});

describe('tokenNorms', () => {
  it('is the length of each row', () => {
    expect([...tokenNorms(Float32Array.of(3, 4, 0, 0, -5, 12), 2)]).toEqual([5, 0, 13]);
    expect(codeOf(() => tokenNorms(Float32Array.of(1, 2, 3), 2))).toBe('GP_TENSOR_SHAPE');
  });
});

it('a random pruner of the plan and a structured one keep equally many', () => {
  for (const keepRatio of [0.1, 0.33, 0.9]) {
    const count = budgetedCount(100, { keepRatio });
    expect(selectAtRandom(100, { keepRatio })).toHaveLength(
      keepStructured(scoresOf(100), { count }).length,
    );
  }
});
