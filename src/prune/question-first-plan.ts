/** The plan for a context that is made for one question. */

import { textAwareApet } from './named-plans.js';
import { assertKeep, ceilDigits } from './plan-from-keep.js';
import type { PrunePlan } from './prune-plan.js';

/** What the decoder drop keeps at least: below it, the encoder shares the loss. */
const MIN_DROP_KEEP_RATIO = 0.12;

/** The end of the subject, " is " and a value of a dozen characters, in cells of five, with some to spare. */
const TRAIL = 8;

/**
 * V²Drop that hears the question: one drop in the middle of the decoder, ranked with what stands before
 * a token. The layers below it let visual tokens look at the question, where it stands before them.
 *
 * The drop keeps a share s of what reaches it, solved so that the mean over the layers is keepRatio; s is
 * at least 0.12, and what is still too much goes behind the encoder, by {@link textAwareApet}.
 *
 * @param keepRatio contextTokens / visualTokens, in (0, 1]
 * @param layers decoder layers of the model, at least 1. One layer leaves no room for a drop between layers.
 * @throws {GlyphpressError} GP_PRUNE_PLAN for a ratio or layer count out of range
 */
export function questionFirstPlan(keepRatio: number, layers: number): PrunePlan {
  assertKeep(keepRatio, layers);
  if (keepRatio === 1) return { decoder: [] };
  if (layers === 1) return textAwareApet(keepRatio);
  const layer = Math.ceil(layers / 2);
  const below = layer / layers;
  const kept = Math.max(MIN_DROP_KEEP_RATIO, (keepRatio - below) / (1 - below));
  const encoded = keepRatio / (below + (1 - below) * kept);
  return {
    ...(encoded < 1 && { encoder: textAwareApet(ceilDigits(encoded)).encoder! }),
    decoder: [{ layer, keepRatio: ceilDigits(kept), method: 'v2drop', trail: TRAIL }],
  };
}
