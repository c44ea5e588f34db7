import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ScopeOptions } from '../../src/prune/contract.js';
import { pageBudgets, pageRuns, retainedCount } from '../../src/prune/index.js';
import type { Budget } from '../../src/prune/retained-count.js';
import { expectKeptRows } from './kept-rows.js';
import { codeOf } from './thrown-code.js';

/** What every pruner promises; called by every pruner's own test file. */
export function testPrunerContract(
  name: string,
  /** Prune n rows that the pruner's test makes up. */
  select: (n: number, options: ScopeOptions & Budget) => Int32Array,
) {
  describe(`${name} keeps the pruner contract`, () => {
    const rows = fc.integer({ min: 1, max: 120 });
    const ratio = fc.double({ min: 0.001, max: 1, noNaN: true });
    /** Page sizes and the page number of every row. */
    const paged = fc
      .array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 })
      .map((sizes) => ({
        sizes,
        pageOfRow: Int32Array.from(sizes.flatMap((size, page) => Array(size).fill(page * 2 + 1))),
      }));

    it('keeps exactly the count the prompt reserved, ascending and unique', () => {
      fc.assert(
        fc.property(rows, ratio, (n, keepRatio) => {
          expectKeptRows(select(n, { keepRatio }), n, retainedCount(n, keepRatio));
        }),
      );
    });

    it('takes a count in place of a ratio, up to all rows', () => {
      expect(select(9, { keepCount: 1 })).toHaveLength(1);
      expect([...select(3, { keepCount: 50 })]).toEqual([0, 1, 2]);
    });

    it('keeps the same total by page, and of each page its budget', () => {
      fc.assert(
        fc.property(paged, ratio, ({ pageOfRow }, keepRatio) => {
          const n = pageOfRow.length;
          const kept = select(n, { keepRatio, scope: 'page', pageOfRow });
          expectKeptRows(kept, n, retainedCount(n, keepRatio));
          const runs = pageRuns(pageOfRow, n);
          const budgets = pageBudgets(runs, kept.length);
          runs.forEach(({ start, end }, i) => {
            expect(kept.filter((row) => row >= start && row < end)).toHaveLength(budgets[i]!);
          });
        }),
      );
    });

    it('honours the floor of every page within the same total, or says that it cannot', () => {
      const scope = fc.constantFrom('document' as const, 'page' as const);
      const floor = fc.integer({ min: 1, max: 12 });
      fc.assert(
        fc.property(
          paged,
          ratio,
          floor,
          scope,
          ({ sizes, pageOfRow }, keepRatio, minPerPage, scope) => {
            const n = pageOfRow.length;
            const count = retainedCount(n, keepRatio);
            const floors = sizes.map((size) => Math.min(size, minPerPage));
            const run = () => select(n, { keepRatio, scope, pageOfRow, minPerPage });
            if (floors.reduce((a, b) => a + b) > count) {
              expect(codeOf(run)).toBe('GP_PRUNE_PLAN');
              return;
            }
            const kept = run();
            expectKeptRows(kept, n, count);
            sizes.forEach((_, i) => {
              const here = kept.filter((row) => pageOfRow[row] === i * 2 + 1).length;
              expect(here).toBeGreaterThanOrEqual(floors[i]!);
            });
          },
        ),
      );
    });

    it('gives the same rows for the same input', () => {
      expect(select(80, { keepRatio: 0.3 })).toEqual(select(80, { keepRatio: 0.3 }));
    });

    it('refuses ratios outside (0, 1] and pages that do not fit', () => {
      for (const keepRatio of [0, -0.5, 1.01, Number.NaN]) {
        expect(codeOf(() => select(10, { keepRatio }))).toBe('GP_PRUNE_PLAN');
      }
      for (const keepCount of [0, 1.5, -1, Number.NaN]) {
        expect(codeOf(() => select(10, { keepCount }))).toBe('GP_PRUNE_PLAN');
      }
      expect(codeOf(() => select(10, { keepRatio: 0.5, scope: 'page' }))).toBe('GP_TENSOR_SHAPE');
      const pageOfRow = Int32Array.of(0, 0, 1);
      expect(codeOf(() => select(10, { keepRatio: 0.5, scope: 'page', pageOfRow }))).toBe(
        'GP_TENSOR_SHAPE',
      );
    });
  });
}
