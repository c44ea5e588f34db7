import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  accountTokens,
  contextShare,
  type DecoderDrop,
  dropAfterEncoder,
  dropBeforeLayer,
  dropHiddenBeforeLayer,
  type PrunePlan,
  planFromKeep,
  predictEncodedTokens,
  predictTokens,
  randomTwin,
} from '../../src/prune/index.js';
import { codeOf } from './thrown-code.js';

const v2 = (layer: number, keepRatio: number) => ({ layer, keepRatio, method: 'v2drop' as const });

describe('predictTokens', () => {
  it('gives the paper’s mean of about 193.5 for 576 tokens, 32 layers, 50/70/100 % at 3/17/22', () => {
    const plan: PrunePlan = {
      decoder: [v2(3, 0.5), v2(17, 0.3), { layer: 22, keepCount: 1, method: 'v2drop' }],
    };
    const account = predictTokens(576, 32, plan);
    expect(account.layerTokens.slice(0, 4)).toEqual([576, 576, 576, 288]);
    expect(account.layerTokens.slice(16, 18)).toEqual([288, 86]);
    expect(account.finalTokens).toBe(1);
    expect(account.contextTokens).toBe((3 * 576 + 14 * 288 + 5 * 86 + 10) / 32);
    expect(Math.round(account.contextTokens)).toBe(194);
  });

  it('counts the encoder drop first', () => {
    const plan: PrunePlan = { encoder: { method: 'apet', keepRatio: 0.3 }, decoder: [v2(2, 0.5)] };
    expect(predictEncodedTokens(630, plan)).toBe(189);
    expect(predictEncodedTokens(630, { decoder: [] })).toBe(630);
    expect(predictTokens(189, 4, plan)).toEqual({
      layerTokens: [189, 189, 94, 94],
      contextTokens: 141.5,
      finalTokens: 94,
    });
  });

  it('keeps all tokens with an empty plan, and none of none', () => {
    expect(predictTokens(7, 3, { decoder: [] }).layerTokens).toEqual([7, 7, 7]);
    expect(predictTokens(0, 2, { decoder: [v2(1, 0.5)] })).toEqual({
      layerTokens: [0, 0],
      contextTokens: 0,
      finalTokens: 0,
    });
  });

  it('refuses a plan for a deeper model', () => {
    expect(codeOf(() => predictTokens(10, 4, { decoder: [v2(4, 0.5)] }))).toBe('GP_PRUNE_PLAN');
  });

  it('is what carrying the plan out gives, for the plan and its random twin', () => {
    const pages = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 });
    const scope = fc.constantFrom('document' as const, 'page' as const);
    fc.assert(
      fc.property(
        pages,
        fc.double({ min: 0.1, max: 1, noNaN: true }),
        scope,
        fc.boolean(),
        (sizes, keep, scope, twin) => {
          const layers = 6;
          const made: PrunePlan = {
            encoder: { method: 'apet', keepRatio: keep, scope, basisTokenCount: 2 },
            decoder: [
              { ...v2(1, keep), scope },
              { ...v2(4, 0.7), scope },
            ],
          };
          const plan = twin ? randomTwin(made) : made;
          const dim = 3;
          let pageOfRow = Int32Array.from(sizes.flatMap((size, page) => Array(size).fill(page)));
          const tokens = Float32Array.from({ length: pageOfRow.length * dim }, (_, i) =>
            Math.sin(i * i),
          );
          const encoded = dropAfterEncoder(tokens, dim, plan, pageOfRow);
          expect(encoded.tokens).toHaveLength(encoded.keptRows.length * dim);
          expect(encoded.keptRows).toHaveLength(predictEncodedTokens(pageOfRow.length, plan));
          pageOfRow = pageOfRow.filter((_, row) => encoded.keptRows.includes(row));
          const actual: number[] = [];
          for (let layer = 0; layer < layers; layer++) {
            const drop = plan.decoder.find((stage) => stage.layer === layer);
            if (drop) {
              const variation = Float32Array.from(pageOfRow, (_, row) => Math.cos(row * layer));
              const kept = dropBeforeLayer(variation, drop, plan, pageOfRow);
              pageOfRow = Int32Array.from(kept, (row) => pageOfRow[row]!);
            }
            actual.push(pageOfRow.length);
          }
          const planned = predictTokens(encoded.keptRows.length, layers, plan);
          expect(accountTokens(actual)).toEqual(planned);
        },
      ),
    );
  });
});

describe('carrying out a plan', () => {
  it('hands all rows on without an encoder drop', () => {
    const tokens = Float32Array.of(1, 2, 3, 4);
    const { keptRows, tokens: values } = dropAfterEncoder(
      tokens,
      2,
      { decoder: [] },
      Int32Array.of(0, 0),
    );
    expect([...keptRows]).toEqual([0, 1]);
    expect(values).toEqual(tokens);
  });

  it('drops hidden states by ApET page by page, and by nothing else than hidden states', () => {
    const drop: DecoderDrop = {
      layer: 2,
      method: 'apet',
      keepRatio: 0.5,
      scope: 'page',
      minPerPage: 2,
      basisTokenCount: 2,
      basis: 'blend',
      slotOrder: 'error-rank',
      merge: 'average',
    };
    const plan = { decoder: [drop] };
    const pageOfRow = Int32Array.of(0, 0, 0, 0, 2, 2, 2, 2, 2, 2);
    const hidden = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i * i));
    const { keptRows, tokens } = dropHiddenBeforeLayer(hidden, 3, drop, plan, pageOfRow);
    expect(keptRows).toHaveLength(5);
    expect(tokens).toHaveLength(15);
    expect(keptRows.filter((row) => row < 4)).toHaveLength(2);
    // A page fits, ranks and merges by itself: the same rows alone give the same.
    const other = hidden.slice();
    other.subarray(12).fill(0.5);
    const again = dropHiddenBeforeLayer(other, 3, drop, plan, pageOfRow);
    expect(again.tokens.subarray(0, 6)).toEqual(tokens.subarray(0, 6));
    expect(codeOf(() => dropHiddenBeforeLayer(hidden, 3, drop, plan, pageOfRow.slice(1)))).toBe(
      'GP_TENSOR_SHAPE',
    );
    expect(codeOf(() => dropBeforeLayer(new Float32Array(10), drop, plan, pageOfRow))).toBe(
      'GP_PRUNE_PLAN',
    );
  });

  it('wants the pages of the rows that are still there', () => {
    const drop = v2(1, 0.5);
    expect(
      codeOf(() =>
        dropBeforeLayer(new Float32Array(3), drop, { decoder: [drop] }, new Int32Array(4)),
      ),
    ).toBe('GP_TENSOR_SHAPE');
  });
});

describe('accountTokens', () => {
  it('takes mean and last', () => {
    expect(accountTokens([8, 4, 3])).toEqual({
      layerTokens: [8, 4, 3],
      contextTokens: 5,
      finalTokens: 3,
    });
  });

  it('refuses tokens that come back, no layers and no counts', () => {
    expect(codeOf(() => accountTokens([3, 4]))).toBe('GP_TENSOR_VALUE');
    expect(codeOf(() => accountTokens([]))).toBe('GP_TENSOR_SHAPE');
    expect(codeOf(() => accountTokens([2.5]))).toBe('GP_TENSOR_SHAPE');
    expect(codeOf(() => accountTokens([-1]))).toBe('GP_TENSOR_SHAPE');
  });
});

describe('planFromKeep', () => {
  it('makes readable plans', () => {
    expect(planFromKeep(1, 40)).toEqual({ decoder: [] });
    const half = planFromKeep(0.5, 40);
    expect(half.encoder).toBeUndefined();
    expect(half.decoder.map(({ layer }) => layer)).toEqual([4, 21, 28]);
    expect(planFromKeep(0.5, 32).decoder.map(({ layer }) => layer)).toEqual([3, 17, 22]);
    expect(planFromKeep(0.1, 32).encoder?.method).toBe('apet');
    expect(planFromKeep(0.5, 1)).toEqual({
      encoder: { method: 'apet', keepRatio: 0.5 },
      decoder: [],
    });
  });

  it('keeps the requested mean, within rounding', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.02, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 200, max: 100_000 }),
        (keepRatio, layers, visualTokens) => {
          const plan = planFromKeep(keepRatio, layers);
          expect(Math.abs(contextShare(layers, plan) - keepRatio)).toBeLessThan(1e-5);
          const encoded = predictEncodedTokens(visualTokens, plan);
          const { contextTokens } = predictTokens(encoded, layers, plan);
          // Up to one token is lost at each of the four drops; shares have six decimals.
          expect(Math.abs(contextTokens - keepRatio * visualTokens)).toBeLessThan(
            3 + visualTokens * 1e-5,
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('never drops more than three quarters at a decoder layer, and each layer comes once', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 80 }),
        (keep, layers) => {
          const plan = planFromKeep(keep, layers);
          for (const drop of plan.decoder) expect(drop.keepRatio).toBeGreaterThanOrEqual(0.25);
          expect(codeOf(() => predictTokens(1000, layers, plan))).toBeUndefined();
        },
      ),
    );
  });

  it.each([0, -1, 1.1, Number.NaN])('refuses ratio %d', (keep) => {
    expect(codeOf(() => planFromKeep(keep, 4))).toBe('GP_PRUNE_PLAN');
  });

  it.each([0, 2.5, Number.NaN])('refuses %d layers', (layers) => {
    expect(codeOf(() => planFromKeep(0.5, layers))).toBe('GP_PRUNE_PLAN');
  });
});

it('gives no share for a plan that keeps a count', () => {
  expect(
    codeOf(() => contextShare(3, { decoder: [{ layer: 1, keepCount: 1, method: 'v2drop' }] })),
  ).toBe('GP_PRUNE_PLAN');
});
