import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dropBeforeLayer, type RowPlaces, trailingScores } from '../../src/prune/index.js';
import { codeOf } from './thrown-code.js';

/** Whole pages of one width, or those of their cells that are left. */
function placesOf(cols: number, pages: readonly (readonly number[])[]): RowPlaces {
  return {
    pageOfRow: Int32Array.from(pages.flatMap((cells, page) => cells.map(() => page))),
    cellOfRow: Int32Array.from(pages.flat()),
    colsOfPage: () => cols,
  };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const peakAt = (rows: number, ...peaks: number[]) =>
  Float32Array.from({ length: rows }, (_, row) => (peaks.includes(row) ? 5 : 1));

describe('trailingScores', () => {
  it('lets what stands out lend its rank to the cells behind it', () => {
    const scores = trailingScores(peakAt(10, 3), 2, placesOf(10, [range(10)]));
    expect([...scores]).toEqual([0, 0, 0, 4, 4, 4, 0, 0, 0, 0]);
  });

  it('adds up along a phrase: behind its end ranks highest', () => {
    const scores = trailingScores(peakAt(10, 3, 4, 5), 3, placesOf(10, [range(10)]));
    expect([...scores]).toEqual([0, 0, 0, 4, 8, 12, 12, 8, 4, 0]);
  });

  it('goes on at the left margin, of the same row of cells and of the next one', () => {
    const scores = trailingScores(peakAt(12, 3), 2, placesOf(4, [range(12)]));
    expect([...scores]).toEqual([4, 4, 0, 4, 4, 4, 0, 0, 0, 0, 0, 0]);
  });

  it('ends with the page', () => {
    const scores = trailingScores(peakAt(8, 3), 3, placesOf(4, [range(4), range(4)]));
    expect([...scores.subarray(4)]).toEqual([0, 0, 0, 0]);
  });

  it('takes cells that are gone for usual ones', () => {
    const places = placesOf(10, [[0, 1, 3, 4, 5, 7, 8]]);
    // Cell 2, between the peak at 1 and cell 3, was dropped.
    const scores = trailingScores(peakAt(7, 1), 2, places);
    expect([...scores]).toEqual([0, 4, 4, 0, 0, 0, 0]);
  });

  it('ranks as the scores do where no cell trails, and is a sum of at most trail + 1 of them', () => {
    const cases = fc.record({
      cols: fc.integer({ min: 1, max: 9 }),
      trail: fc.nat(12),
      values: fc.array(fc.double({ min: -9, max: 9, noNaN: true }), {
        minLength: 1,
        maxLength: 60,
      }),
    });
    fc.assert(
      fc.property(cases, ({ cols, trail, values }) => {
        const scores = Float32Array.from(values);
        const places = placesOf(cols, [range(values.length)]);
        const own = trailingScores(scores, 0, places);
        const shift = own[0]! - scores[0]!;
        own.forEach((score, row) => {
          expect(score).toBeCloseTo(scores[row]! + shift, 4);
        });
        const most = Math.max(...own.map(Math.abs)) * (trail + 1);
        for (const score of trailingScores(scores, trail, places))
          expect(Math.abs(score)).toBeLessThanOrEqual(most + 1e-3);
      }),
    );
  });

  it('refuses places of other rows', () => {
    const places = placesOf(4, [range(4)]);
    expect(() => trailingScores(new Float32Array(5), 1, places)).toThrow(/pageOfRow/);
  });
});

describe('a V²Drop drop with a trail', () => {
  const drop = { layer: 1, method: 'v2drop', keepCount: 3, trail: 2 } as const;
  const plan = { decoder: [drop] };

  it('keeps what follows the tokens that changed', () => {
    const { pageOfRow, ...cells } = placesOf(10, [range(10)]);
    const kept = dropBeforeLayer(peakAt(10, 3), drop, plan, pageOfRow, cells);
    expect([...kept]).toEqual([3, 4, 5]);
  });

  it('needs to know the cells', () => {
    const pageOfRow = new Int32Array(10);
    expect(codeOf(() => dropBeforeLayer(peakAt(10, 3), drop, plan, pageOfRow))).toBe(
      'GP_PRUNE_PLAN',
    );
  });
});
