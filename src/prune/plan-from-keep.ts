import { GlyphpressError } from '../errors.js';
import { contextShare } from './accounting.js';
import type { DecoderDrop, PrunePlan } from './prune-plan.js';

/**
 * Where V²Drop drops, as shares of the decoder depth: layers 3, 17 and 22 of 32, the schedule of the
 * paper with the best scores on reading (TextVQA) of those it compares.
 */
const DROP_DEPTHS = [3 / 32, 17 / 32, 22 / 32];

/**
 * Minimum keep ratio of one decoder drop. The paper's "128" schedule keeps 28 %, then 25 %, for 94 % of
 * the score; its next one keeps 5 % and loses 13 %. Below this, the encoder shares the loss.
 */
const MIN_DROP_KEEP_RATIO = 0.25;

/**
 * A plan that keeps a share of the visual tokens, counted as the papers do: mean over the layers.
 *
 * Schedule: V²Drop before about 9 %, 53 % and 69 % of the layers, each drop keeping the same share r,
 * solved so that the mean is keepRatio. All layers before the first drop see every token, so drops
 * from layer ℓ on reach no mean below ℓ/layers, and r ≥ 0.25 raises that bound (to 0.22 for 32
 * layers). For less, r stays 0.25 and ApET drops the rest right after the encoder. Unlike in the paper
 * no drop removes everything: text needs its visual tokens deeper than photographs do.
 *
 * @param keepRatio contextTokens / visualTokens, in (0, 1]
 * @param layers decoder layers of the model, at least 1. A model of 1 layer is pruned by ApET alone.
 * @returns a plan whose {@link contextShare} is keepRatio to 5 decimals; counts then round per drop
 * @throws {GlyphpressError} GP_PRUNE_PLAN for a ratio or layer count out of range
 */
export function planFromKeep(keepRatio: number, layers: number): PrunePlan {
  assertKeep(keepRatio, layers);
  if (keepRatio === 1) return { decoder: [] };

  const at = dropLayers(layers);
  const drops = (ratio: number): DecoderDrop[] =>
    at.map((layer) => ({ layer, keepRatio: ratio, method: 'v2drop' }));
  const minimum = contextShare(layers, { decoder: drops(MIN_DROP_KEEP_RATIO) });
  if (keepRatio < minimum) {
    const share = ceilDigits(keepRatio / minimum);
    return {
      encoder: { method: 'apet', keepRatio: share },
      decoder: drops(MIN_DROP_KEEP_RATIO),
    };
  }
  // The mean grows with the ratio: halve the interval until it is narrower than a written digit.
  let low = MIN_DROP_KEEP_RATIO;
  let high = 1;
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (contextShare(layers, { decoder: drops(middle) }) < keepRatio) low = middle;
    else high = middle;
  }
  return { decoder: drops(ceilDigits(high)) };
}

/**
 * V²Drop alone for a share of the visual tokens: the schedule of {@link planFromKeep} without a
 * minimum ratio, so that no encoder drop joins in.
 *
 * @returns null where drops between layers cannot reach the share: the layers before the first drop
 *   see every token
 */
export function decoderPlanFromKeep(keepRatio: number, layers: number): PrunePlan | null {
  const whole = planFromKeep(keepRatio, layers);
  if (!whole.encoder) return whole;
  const at = dropLayers(layers);
  if (at.length === 0 || keepRatio <= at[0]! / layers) return null;
  const drops = (ratio: number): DecoderDrop[] =>
    at.map((layer) => ({ layer, keepRatio: ratio, method: 'v2drop' }));
  let [low, high] = [0, MIN_DROP_KEEP_RATIO];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (contextShare(layers, { decoder: drops(middle) }) < keepRatio) low = middle;
    else high = middle;
  }
  return { decoder: drops(ceilDigits(high)) };
}

/** The drop layers for a decoder: distinct, ascending, within [1, layers). */
const dropLayers = (layers: number) => layersAtDepths(DROP_DEPTHS, layers);

/**
 * A schedule for another model: the layers at the same relative depths.
 *
 * @param depths ascending, as shares of the decoder's layers
 * @returns distinct layers, ascending, within [1, layers); fewer than depths where a decoder has too
 *   few layers, the last ones being left out
 */
export function layersAtDepths(depths: readonly number[], layers: number): number[] {
  const at: number[] = [];
  for (const depth of depths) {
    const layer = Math.max((at.at(-1) ?? 0) + 1, Math.round(depth * layers));
    if (layer < layers) at.push(layer);
  }
  return at;
}

/** @throws {GlyphpressError} GP_PRUNE_PLAN for a ratio or layer count out of range */
export function assertKeep(keepRatio: number, layers: number): void {
  if (!(keepRatio > 0 && keepRatio <= 1)) {
    throw rangeError('keepRatio', keepRatio, '0 < keepRatio ≤ 1');
  }
  if (!Number.isSafeInteger(layers) || layers < 1) {
    throw rangeError('layers', layers, 'integer ≥ 1');
  }
}

/** Six decimals keep a plan readable; upwards, because counts round downwards. At most 1. */
export const ceilDigits = (ratio: number) => Math.min(1, Math.ceil(ratio * 1e6 - 1e-4) / 1e6);

function rangeError(path: string, value: number, allowed: string): GlyphpressError {
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Expected ${path}: ${allowed}; got ${value}`,
    hint: 'For example, 0.5 keeps half of the visual tokens in the mean over the layers.',
    details: { path, value: String(value), allowed },
  });
}
