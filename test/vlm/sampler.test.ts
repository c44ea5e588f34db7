import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Sampler, type SamplingOptions } from '../../src/vlm/sampler.js';

const logits = Float32Array.of(1, 3, 2, -4, 0);
const draw = (options: SamplingOptions, count = 200, from = logits) => {
  const sampler = new Sampler(options, []);
  return Array.from({ length: count }, () => sampler.next(from.slice()));
};

describe('Sampler', () => {
  it('takes the likeliest token at temperature 0', () => {
    expect(new Set(draw({ temperature: 0 }))).toEqual(new Set([1]));
  });

  it('repeats with a seed and changes with another', () => {
    expect(draw({ temperature: 1, seed: 3 })).toEqual(draw({ temperature: 1, seed: 3 }));
    expect(draw({ temperature: 1, seed: 3 })).not.toEqual(draw({ temperature: 1, seed: 4 }));
  });

  it('draws as often as the softmax says', () => {
    const count = 20_000;
    const drawn = draw({ temperature: 2 }, count);
    const weights = Array.from(logits, (logit) => Math.exp(logit / 2));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [id, weight] of weights.entries()) {
      const share = drawn.filter((token) => token === id).length / count;
      expect(Math.abs(share - weight / total)).toBeLessThan(0.015);
    }
  });

  it('keeps the k likeliest', () => {
    expect(new Set(draw({ temperature: 5, topK: 2 }, 500))).toEqual(new Set([1, 2]));
  });

  it('keeps the likeliest tokens that reach p, and always one', () => {
    expect(new Set(draw({ temperature: 1, topP: 0.01 }))).toEqual(new Set([1]));
    // Softmax of [1, 3, 2, −4, 0]: 0.64 for token 1, 0.24 for token 2.
    expect(new Set(draw({ temperature: 1, topP: 0.7 }, 500))).toEqual(new Set([1, 2]));
  });

  it('chooses among the same tokens as a plain implementation', () => {
    fc.assert(
      fc.property(
        fc.float32Array({ minLength: 1, maxLength: 40, min: -100, max: 100, noNaN: true }),
        fc.double({ min: 0.05, max: 3, noNaN: true }),
        fc.nat(45),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.nat(1000),
        (values, temperature, topK, topP, seed) => {
          const id = new Sampler({ temperature, topK, topP, seed }, []).next(values.slice());
          const order = Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
          const kept = topK > 0 ? order.slice(0, topK) : order;
          const weights = kept.map((token) =>
            Math.exp((values[token]! - values[order[0]!]!) / temperature),
          );
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          // Mass of the tokens before this one must not have reached p yet.
          const rank = kept.indexOf(id);
          expect(rank).toBeGreaterThanOrEqual(0);
          const before = weights.slice(0, rank).reduce((sum, weight) => sum + weight, 0);
          expect(before).toBeLessThanOrEqual(topP * total + 1e-9);
        },
      ),
    );
  });

  it('makes tokens that were seen less likely, whatever their sign', () => {
    const seen = new Sampler({ repetitionPenalty: 2 }, [1]);
    // 3 / 2 = 1.5 falls behind 2; then 2 / 2 = 1 and 1.5 again …
    expect([seen.next(logits.slice()), seen.next(logits.slice())]).toEqual([2, 1]);
    const negative = new Sampler({ repetitionPenalty: 3 }, [0]);
    expect(negative.next(Float32Array.of(-1, -2))).toBe(1);
  });

  it.each<[SamplingOptions, string]>([
    [{ temperature: -1 }, 'temperature'],
    [{ temperature: Number.NaN }, 'temperature'],
    [{ topP: 0 }, 'topP'],
    [{ topP: 1.1 }, 'topP'],
    [{ topK: 1.5 }, 'topK'],
    [{ repetitionPenalty: 0 }, 'repetitionPenalty'],
    [{ seed: 0.5 }, 'seed'],
  ])('refuses %o', (options, key) => {
    expect(() => new Sampler(options, [])).toThrow(
      expect.objectContaining({
        code: 'GP_CONFIG_VALUE',
        details: expect.objectContaining({ key }),
      }),
    );
  });

  it('says so when the model computes no numbers', () => {
    expect(() => new Sampler({}, []).next(new Float32Array(3).fill(Number.NaN))).toThrow(
      expect.objectContaining({ code: 'GP_MODEL_RUNTIME' }),
    );
  });
});
