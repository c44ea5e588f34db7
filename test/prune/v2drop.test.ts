import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectByVariation, tokenVariation } from '../../src/prune/index.js';
import { testPrunerContract } from './pruner-contract.js';
import { codeOf } from './thrown-code.js';

testPrunerContract('selectByVariation', (n, options) =>
  selectByVariation(
    Float32Array.from({ length: n }, (_, i) => (i * 37) % 11),
    options,
  ),
);

describe('tokenVariation', () => {
  // Two tokens: one moves by (3, 4), one turns by 90 degrees.
  const before = Float32Array.of(1, 1, 2, 0);
  const after = Float32Array.of(4, 5, 0, 2);

  it.each([
    ['l2', [5, Math.sqrt(8)]],
    ['l1', [7, 4]],
    ['cosine', [1 - 9 / Math.sqrt(2 * 41), 1]],
  ] as const)('%s by hand', (metric, expected) => {
    const variation = tokenVariation(before, after, 2, metric);
    expected.forEach((value, i) => {
      expect(variation[i]).toBeCloseTo(value, 6);
    });
  });

  it('measures l2 unless told otherwise', () => {
    expect(tokenVariation(before, after, 2)).toEqual(tokenVariation(before, after, 2, 'l2'));
  });

  it('is 0 for a token that did not change, whatever the metric', () => {
    for (const metric of ['l2', 'l1', 'cosine'] as const) {
      const variation = tokenVariation(
        Float32Array.of(1, 2, 0, 0),
        Float32Array.of(1, 2, 0, 0),
        2,
        metric,
      );
      expect(variation[0]).toBeCloseTo(0, 6);
      expect(variation[1]).toBe(0);
    }
    expect(tokenVariation(Float32Array.of(0), Float32Array.of(2), 1, 'cosine')[0]).toBe(1);
  });

  it('refuses hidden states of different rows', () => {
    expect(codeOf(() => tokenVariation(before, new Float32Array(2), 2))).toBe('GP_TENSOR_SHAPE');
    expect(codeOf(() => tokenVariation(before, after, 3))).toBe('GP_TENSOR_SHAPE');
  });
});

describe('selectByVariation', () => {
  it('keeps the tokens that change most', () => {
    expect([
      ...selectByVariation(Float32Array.of(0.1, 5, 0.3, 4, 0.2), { keepRatio: 0.6 }),
    ]).toEqual([1, 2, 3]);
  });

  it('leaves one token where the paper drops everything', () => {
    expect([...selectByVariation(Float32Array.of(1, 3, 2), { keepCount: 1 })]).toEqual([1]);
  });

  it('keeps scores at least as high as any it drops', () => {
    const scores = fc.array(fc.float({ noNaN: true, min: 0 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(scores, fc.double({ min: 0.01, max: 1, noNaN: true }), (list, keepRatio) => {
        const kept = new Set(selectByVariation(Float32Array.from(list), { keepRatio }));
        const least = Math.min(...[...kept].map((row) => list[row]!));
        list.forEach((score, row) => {
          if (!kept.has(row)) expect(score).toBeLessThanOrEqual(least);
        });
      }),
    );
  });
});
