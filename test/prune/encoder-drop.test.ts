import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cellsLeftByContent,
  dropAfterEncoder,
  dropEncodedPages,
  type EncodedPage,
  needsSignals,
  type PrunePlan,
  pageSignals,
  parsePrunePlan,
  predictEncodedTokens,
} from '../../src/prune/index.js';
import { expectKeptRows } from './kept-rows.js';
import { codeOf } from './thrown-code.js';

const DIM = 3;
const COLS = 5;

/** Pages whose inked cells are given; a cell's mark depends on `text`, so that pages can repeat. */
function encoded(inked: readonly boolean[], seed: number, text = seed): EncodedPage {
  const rows = inked.length / COLS;
  const [widthPx, heightPx] = [COLS * 28, rows * 28];
  const data = new Uint8Array(widthPx * heightPx).fill(255);
  inked.forEach((ink, cell) => {
    if (!ink) return;
    const x = (cell % COLS) * 28 + ((cell * 7 + text * 3) % 28);
    for (let y = 2; y < 4 + (cell % 9); y++)
      data[(Math.floor(cell / COLS) * 28 + y) * widthPx + x] = 0;
  });
  const grid = { rows, cols: COLS };
  return {
    grid,
    tokens: Float32Array.from({ length: inked.length * DIM }, (_, i) =>
      Math.sin((i + 1) * (seed + 2)),
    ),
    signals: pageSignals({ data, widthPx, heightPx }, { ...grid, cellPx: 28, widthPx, heightPx }),
  };
}

const pagesOf = fc
  .array(
    fc
      .integer({ min: 1, max: 4 })
      .chain((rows) => fc.array(fc.boolean(), { minLength: rows * COLS, maxLength: rows * COLS })),
    { minLength: 1, maxLength: 4 },
  )
  .map((pages) => pages.map((inked, i) => encoded(inked, i, i % 2)));

const planOf = fc.record(
  {
    method: fc.constantFrom('apet', 'random', 'norm', 'edges'),
    keepRatio: fc.double({ min: 0.01, max: 1, noNaN: true }),
    scope: fc.constantFrom('document', 'page'),
    blank: fc.constantFrom('keep', 'drop'),
    repeats: fc.constantFrom('keep', 'drop'),
    neighbours: fc.integer({ min: 0, max: 3 }),
    minPerLine: fc.integer({ min: 0, max: 2 }),
  },
  { requiredKeys: ['method', 'keepRatio'] },
);

describe('the encoder drop of a plan', () => {
  it('keeps on every page ascending cells, and in all what was predicted', () => {
    fc.assert(
      fc.property(pagesOf, planOf, (pages, encoder) => {
        const plan = parsePrunePlan({ encoder });
        const cells = pages.reduce((sum, { grid }) => sum + grid.rows * grid.cols, 0);
        const left = cellsLeftByContent(pages, plan).reduce((sum, page) => sum + page.length, 0);
        const run = () => dropEncodedPages(pages, DIM, plan);
        if (encoder.minPerLine && codeOf(run) === 'GP_PRUNE_PLAN') return;
        const kept = run();
        const total = kept.reduce((sum, page) => sum + page.kept.length, 0);
        expect(total).toBe(predictEncodedTokens(cells, plan, cells - left));
        kept.forEach((page, i) => {
          const { grid, tokens, signals } = pages[i]!;
          expectKeptRows(page.kept, grid.rows * grid.cols, page.kept.length);
          page.kept.forEach((cell, row) => {
            // Dropping changes no token.
            expect([...page.tokens.subarray(row * DIM, (row + 1) * DIM)]).toEqual([
              ...tokens.subarray(cell * DIM, (cell + 1) * DIM),
            ]);
            if (encoder.blank === 'drop' && cell > 0) expect(signals!.blank[cell]).toBe(0);
          });
        });
        expect(dropEncodedPages(pages, DIM, plan)).toEqual(kept);
      }),
      { numRuns: 300 },
    );
  });

  it('is that of tokens alone where the plan asks for no more', () => {
    const pages = [encoded(Array(10).fill(true), 1), encoded(Array(5).fill(true), 2)];
    const tokens = Float32Array.from(pages.flatMap((page) => [...page.tokens]));
    const pageOfRow = Int32Array.from([...Array(10).fill(0), ...Array(5).fill(1)]);
    for (const method of ['apet', 'random'] as const) {
      const plan: PrunePlan = { encoder: { method, keepRatio: 0.5 }, decoder: [] };
      const expected = dropAfterEncoder(tokens, DIM, plan, pageOfRow);
      const got = dropEncodedPages(pages, DIM, plan);
      expect(got.flatMap(({ kept }, page) => [...kept].map((cell) => cell + 10 * page))).toEqual([
        ...expected.keptRows,
      ]);
      expect(got.flatMap((page) => [...page.tokens])).toEqual([...expected.tokens]);
    }
  });

  it('ranks ApET among the cells with ink, where blank ones go first', () => {
    const inked = Array.from({ length: 20 }, (_, cell) => cell % 4 !== 0);
    const page = encoded(inked, 3);
    const plan = parsePrunePlan({ encoder: { method: 'apet', keepRatio: 0.5, blank: 'drop' } });
    const [kept] = dropEncodedPages([page], DIM, plan);
    expect(kept!.kept).toHaveLength(7);
    for (const cell of kept!.kept) expect(inked[cell]).toBe(true);
  });

  it('drops only what holds no ink under "blank", and keeps the first cell of an empty page', () => {
    const plan = parsePrunePlan({ encoder: { method: 'blank' } });
    const pages = [encoded([true, false, true, false, false], 1), encoded(Array(5).fill(false), 2)];
    expect(dropEncodedPages(pages, DIM, plan).map(({ kept }) => [...kept])).toEqual([[0, 2], [0]]);
  });

  it('drops a page that repeats an earlier one as a whole, but never the first', () => {
    const pages = [1, 2, 3].map((seed) => encoded(Array(10).fill(true), seed, 1));
    const plan = parsePrunePlan({ encoder: { method: 'blank', repeats: 'drop' } });
    const kept = dropEncodedPages(pages, DIM, plan);
    expect(kept.map((page) => page.kept.length)).toEqual([10, 0, 0]);
  });

  it('gives pages with more ink more of the budget where pages share by ink', () => {
    const full = encoded(Array(20).fill(true), 1);
    const sparse = encoded(
      Array.from({ length: 20 }, (_, cell) => cell < 5),
      2,
    );
    const encoder = { method: 'norm', keepRatio: 0.4, scope: 'page' };
    const counts = (plan: unknown) =>
      dropEncodedPages([full, sparse], DIM, parsePrunePlan(plan)).map(({ kept }) => kept.length);
    expect(counts({ encoder })).toEqual([8, 8]);
    const [most, least] = counts({ encoder: { ...encoder, pageShare: 'ink' } });
    expect(most! + least!).toBe(16);
    expect(most).toBeGreaterThanOrEqual(13);
  });

  it('keeps a token of every text line that has ink', () => {
    const inked = Array.from({ length: 20 }, (_, cell) => cell % COLS < 3);
    const page = encoded(inked, 4);
    const encoder = { method: 'norm', keepRatio: 0.2, minPerLine: 1 };
    const [kept] = dropEncodedPages([page], DIM, parsePrunePlan({ encoder }));
    const rows = [...kept!.kept].map((cell) => Math.floor(cell / COLS));
    expect(new Set(rows)).toEqual(new Set([0, 1, 2, 3]));
    expect(kept!.kept).toHaveLength(4);
  });

  it('says when the pixels are missing that it reads, and only then', () => {
    const { signals: _, ...bare } = encoded(Array(5).fill(true), 1);
    const run = (encoder: unknown) => () =>
      dropEncodedPages([bare], DIM, parsePrunePlan({ encoder }));
    for (const encoder of [
      { method: 'blank' },
      { method: 'edges', keepRatio: 0.5 },
      { method: 'norm', keepRatio: 0.5, blank: 'drop' },
      { method: 'norm', keepRatio: 0.5, repeats: 'drop' },
      { method: 'norm', keepRatio: 0.5, minPerLine: 1 },
      { method: 'norm', keepRatio: 0.5, scope: 'page', pageShare: 'ink' },
    ]) {
      expect(needsSignals(parsePrunePlan({ encoder }))).toBe(true);
      expect(codeOf(run(encoder))).toBe('GP_PRUNE_PLAN');
    }
    for (const encoder of [
      { method: 'norm', keepRatio: 0.5, neighbours: 1 },
      { method: 'apet', keepRatio: 0.5 },
    ]) {
      expect(needsSignals(parsePrunePlan({ encoder }))).toBe(false);
      expect(run(encoder)()).toHaveLength(1);
    }
  });

  it('refuses tokens that do not fit the grid', () => {
    const page = { ...encoded(Array(5).fill(true), 1), grid: { rows: 2, cols: COLS } };
    expect(codeOf(() => dropEncodedPages([page], DIM, { decoder: [] }))).toBe('GP_TENSOR_SHAPE');
  });
});
