/** Drops that follow each other down the decoder. */

import { planError } from './plan-error.js';
import type { DecoderDrop } from './prune-plan.js';

/** @throws {GlyphpressError} GP_PRUNE_PLAN for a layer out of order or a drop with nothing to drop */
export function assertDropOrder(decoder: readonly DecoderDrop[], layers?: number): void {
  let atMost = Number.POSITIVE_INFINITY;
  decoder.forEach((drop, i) => {
    const after = i === 0 ? 0 : decoder[i - 1]!.layer;
    const path = `decoder[${i}].layer`;
    if (!Number.isSafeInteger(drop.layer) || drop.layer <= after) {
      throw planError(path, drop.layer, `integer ≥ ${after + 1}, so that layers ascend`);
    }
    if (layers !== undefined && drop.layer >= layers) {
      throw planError(path, drop.layer, `1 ≤ layer < ${layers}, the decoder layers of the model`);
    }
    if (atMost === 1) {
      throw planError(
        `decoder[${i}]`,
        drop,
        'no drop after keepCount 1, which leaves nothing to drop',
      );
    }
    if (drop.keepCount !== undefined) {
      if (drop.keepCount >= atMost) {
        throw planError(
          `decoder[${i}].keepCount`,
          drop.keepCount,
          `integer < ${atMost}, the tokens left`,
        );
      }
      atMost = drop.keepCount;
    }
  });
}
