/**
 * Chooses the next token from logits. Order as in transformers: repetition penalty, temperature,
 * top-k, top-p, draw.
 */
import { GlyphpressError } from '../errors.js';

export interface SamplingOptions {
  /** 0 takes the most probable token (greedy decoding). @defaultValue 0 */
  temperature?: number;
  /** Nucleus (top-p) sampling: keep the most probable tokens whose probabilities sum to this, in (0, 1]. @defaultValue 1 */
  topP?: number;
  /** Keep this many likeliest tokens; 0 keeps all. @defaultValue 0 */
  topK?: number;
  /** Divides positive and multiplies negative logits of tokens seen before. @defaultValue 1 */
  repetitionPenalty?: number;
  /** @defaultValue 0 */
  seed?: number;
}

export function checkSampling(options: SamplingOptions): void {
  const { temperature = 0, topP = 1, topK = 0, repetitionPenalty = 1, seed = 0 } = options;
  const rules: [string, number, boolean, string][] = [
    ['temperature', temperature, temperature >= 0, 'at least 0'],
    ['topP', topP, topP > 0 && topP <= 1, 'above 0 and at most 1'],
    ['topK', topK, Number.isInteger(topK) && topK >= 0, 'a whole number, 0 or more'],
    ['repetitionPenalty', repetitionPenalty, repetitionPenalty > 0, 'above 0'],
    ['seed', seed, Number.isSafeInteger(seed), 'a whole number'],
  ];
  for (const [key, actual, holds, expected] of rules) {
    if (holds && Number.isFinite(actual)) continue;
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: `Expected ${key} ${expected}, got ${actual}.`,
      hint: 'Correct the generation option.',
      details: { key, expected, actual },
    });
  }
}

/** Tokens e⁻²⁵ times as likely as the likeliest are only looked at when the others do not suffice. */
const LIKELY_REACH = 25;

export class Sampler {
  readonly #seen: Set<number>;
  readonly #random: () => number;

  /** @param prompt tokens that count as seen for the repetition penalty */
  constructor(
    private readonly options: SamplingOptions,
    prompt: Iterable<number>,
  ) {
    checkSampling(options);
    this.#seen = new Set(prompt);
    this.#random = mulberry32(options.seed ?? 0);
  }

  /** @param logits float32 [vocabulary]; overwritten */
  next(logits: Float32Array): number {
    const { temperature = 0, repetitionPenalty = 1 } = this.options;
    if (repetitionPenalty !== 1) {
      for (const id of this.#seen) {
        const logit = logits[id]!;
        logits[id] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
      }
    }
    const best = argmax(logits);
    if (Number.isNaN(logits[best])) {
      throw new GlyphpressError('GP_MODEL_RUNTIME', {
        message: 'The model computed logits that are not numbers.',
        hint: 'The weights are damaged, or too large for float32; get the checkpoint again.',
      });
    }
    const id = temperature === 0 ? best : this.#draw(logits, logits[best]!, temperature);
    this.#seen.add(id);
    return id;
  }

  #draw(logits: Float32Array, largest: number, temperature: number): number {
    const weight = (id: number) => Math.exp((logits[id]! - largest) / temperature);
    const candidates = this.#candidates(logits, largest, temperature, weight);
    let target = this.#random() * candidates.reduce((sum, id) => sum + weight(id), 0);
    for (const id of candidates) {
      target -= weight(id);
      if (target < 0) return id;
    }
    return candidates.at(-1)!;
  }

  /** What top-k and then top-p leave. */
  #candidates(
    logits: Float32Array,
    largest: number,
    temperature: number,
    weight: (id: number) => number,
  ): number[] {
    const { topK = 0, topP = 1 } = this.options;
    const all = Array.from(logits.keys());
    if (topK === 0 && topP === 1) return all;
    // Sorting a whole vocabulary for each token is slow, and its tail is almost never reached.
    let order = likeliest(logits, largest - LIKELY_REACH * temperature);
    if (topK > order.length) order = likeliest(logits, Number.NEGATIVE_INFINITY);
    if (topK > 0) order.length = Math.min(topK, order.length);
    const enough = topP * (topK > 0 ? order : all).reduce((sum, id) => sum + weight(id), 0);
    return (
      nucleus(order, weight, enough) ??
      nucleus(likeliest(logits, Number.NEGATIVE_INFINITY), weight, enough) ??
      order
    );
  }
}

/** The first tokens that together reach `mass`, or undefined when all do not. */
function nucleus(
  order: readonly number[],
  weight: (id: number) => number,
  mass: number,
): number[] | undefined {
  let sum = 0;
  const last = order.findIndex((id) => {
    sum += weight(id);
    return sum >= mass;
  });
  return last < 0 ? undefined : order.slice(0, last + 1);
}

/** Tokens with at least this logit, likeliest first. */
function likeliest(logits: Float32Array, floor: number): number[] {
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id += 1) if (!(logits[id]! < floor)) ids.push(id);
  return ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
}

export function argmax(values: Float32Array): number {
  let best = 0;
  for (let n = 1; n < values.length; n += 1) if (values[n]! > values[best]!) best = n;
  return best;
}

/** Small seeded generator of numbers in [0, 1) (public domain, Tommy Ettinger). */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
