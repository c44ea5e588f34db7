import { describe, expect, it } from 'vitest';
import {
  contextShare,
  decoderPlanFromKeep,
  layersAtDepths,
  NAMED_PLANS,
  namedPlan,
  parsePrunePlan,
  predictTokens,
} from '../../src/prune/index.js';
import { codeOf } from './thrown-code.js';

const names = Object.keys(NAMED_PLANS);

describe('named plans', () => {
  it('are those that the documentation lists', () => {
    expect(names).toEqual(['lossless', 'balanced', 'v2drop-paper', 'apet-paper', 'stacked-4x']);
  });

  it.each(names)('%s is a valid plan for a decoder of any depth', (name) => {
    for (let layers = 1; layers <= 48; layers++) {
      const plan = namedPlan(name, layers)!;
      expect(parsePrunePlan(JSON.stringify(plan), { layers })).toEqual(plan);
      expect(plan.id).toBe(name);
      const { layerTokens } = predictTokens(630, layers, plan);
      expect(layerTokens).toHaveLength(layers);
    }
  });

  it('drop where the papers drop', () => {
    expect(namedPlan('v2drop-paper', 32)!.decoder).toEqual([
      { layer: 3, keepRatio: 0.5, method: 'v2drop' },
      { layer: 17, keepRatio: 0.3, method: 'v2drop' },
      { layer: 22, keepCount: 1, method: 'v2drop' },
    ]);
    // The paper counts about 193 of 576 tokens.
    expect(predictTokens(576, 32, namedPlan('v2drop-paper', 32)!).contextTokens).toBeCloseTo(
      193,
      -1,
    );
    expect(namedPlan('v2drop-paper', 4)!.decoder.map(({ layer }) => layer)).toEqual([1, 2, 3]);
    expect(namedPlan('v2drop-paper', 2)!.decoder).toEqual([
      { layer: 1, keepRatio: 0.5, method: 'v2drop' },
    ]);
    expect(namedPlan('apet-paper', 32)).toMatchObject({
      encoder: { method: 'apet', keepRatio: 0.5, basis: 'overwrite', merge: 'average' },
      decoder: [{ layer: 16, method: 'apet', merge: 'average' }],
    });
    const { layerTokens, contextTokens } = predictTokens(288, 32, namedPlan('apet-paper', 32)!);
    expect([layerTokens[15], layerTokens[16]]).toEqual([288, 96]);
    expect(contextTokens).toBe(192);
  });

  it('reach the shares that their words promise', () => {
    expect(contextShare(4, namedPlan('balanced', 4)!)).toBeCloseTo(0.85, 4);
    expect(contextShare(32, namedPlan('stacked-4x', 32)!)).toBeCloseTo(0.75, 4);
    expect(contextShare(4, namedPlan('stacked-4x', 4)!)).toBeCloseTo(0.75, 4);
  });

  it('are null for other names, also for those that every object has', () => {
    for (const name of ['', 'best', 'constructor', '__proto__', 'toString'])
      expect(namedPlan(name, 4)).toBeNull();
    expect(codeOf(() => namedPlan('lossless', 0))).toBe('GP_PRUNE_PLAN');
  });
});

describe('layersAtDepths', () => {
  it('keeps relative depth, order and range', () => {
    expect(layersAtDepths([0.1, 0.5, 0.7], 28)).toEqual([3, 14, 20]);
    expect(layersAtDepths([0.1, 0.5, 0.7], 3)).toEqual([1, 2]);
    expect(layersAtDepths([0.5], 1)).toEqual([]);
  });
});

describe('decoderPlanFromKeep', () => {
  it('reaches a share with V²Drop alone, or says that it cannot', () => {
    for (const keep of [0.9, 0.5, 0.3]) {
      const plan = decoderPlanFromKeep(keep, 4)!;
      expect(plan.encoder).toBeUndefined();
      expect(contextShare(4, plan)).toBeCloseTo(keep, 4);
    }
    // Layer 0 of 4 sees all tokens.
    expect(decoderPlanFromKeep(0.25, 4)).toBeNull();
    expect(decoderPlanFromKeep(0.5, 1)).toBeNull();
  });
});
