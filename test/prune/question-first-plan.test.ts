import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contextShare, parsePrunePlan, questionFirstPlan } from '../../src/prune/index.js';
import { codeOf } from './thrown-code.js';

describe('questionFirstPlan', () => {
  it('drops once, in the middle, where that is enough', () => {
    expect(questionFirstPlan(0.75, 4)).toEqual({
      decoder: [{ layer: 2, keepRatio: 0.5, method: 'v2drop', trail: 8 }],
    });
    expect(questionFirstPlan(1, 4)).toEqual({ decoder: [] });
  });

  it('lets the encoder drop what the upper half alone cannot', () => {
    // Half of the layers see all that the encoder leaves, the others 12 % of it: 0.56 of it in the mean.
    const { encoder, decoder } = questionFirstPlan(0.45, 4);
    expect(decoder[0]!.keepRatio).toBe(0.12);
    expect(encoder).toMatchObject({ method: 'apet', blank: 'drop' });
    expect(encoder!.keepRatio).toBeCloseTo(0.45 / 0.56, 5);
  });

  it('is a valid plan that keeps its share, for a decoder of any depth', () => {
    const keeps = fc.double({ min: 0.01, max: 1, noNaN: true });
    fc.assert(
      fc.property(keeps, fc.integer({ min: 1, max: 48 }), (keep, layers) => {
        const plan = questionFirstPlan(keep, layers);
        expect(parsePrunePlan(JSON.stringify(plan), { layers })).toEqual(plan);
        expect(contextShare(layers, plan)).toBeCloseTo(keep, 4);
      }),
    );
  });

  it('refuses what is no share and no decoder', () => {
    for (const keep of [0, 1.01, Number.NaN, -1])
      expect(codeOf(() => questionFirstPlan(keep, 4))).toBe('GP_PRUNE_PLAN');
    for (const layers of [0, 1.5])
      expect(codeOf(() => questionFirstPlan(0.5, layers))).toBe('GP_PRUNE_PLAN');
  });
});
