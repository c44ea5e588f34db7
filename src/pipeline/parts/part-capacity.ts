/** How many visual tokens of a document fit into a model beside question and answer. */

import { type PrunePlan, predictEncodedTokens } from '../../prune/index.js';

/** Positions kept free for the template, the question and its answer: a share of the context, bounded. */
const RESERVED_SHARE = 1 / 8;
const MAX_RESERVED_POSITIONS = 2_048;

/**
 * @param maxPositions of the model
 * @param sidecar text tokens beside the pages
 * @returns visual tokens before the drop behind the encoder; drops that depend on what pages show are not counted on
 */
export function partCapacity(maxPositions: number, plan: PrunePlan, sidecar: number): number {
  const reserved =
    Math.min(MAX_RESERVED_POSITIONS, Math.ceil(maxPositions * RESERVED_SHARE)) + sidecar;
  const room = Math.max(0, maxPositions - reserved);
  // The count after the drop grows with the count before it.
  let [fits, fails] = [0, 1];
  while (predictEncodedTokens(fails, plan) <= room) [fits, fails] = [fails, fails * 2];
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2);
    if (predictEncodedTokens(middle, plan) <= room) fits = middle;
    else fails = middle;
  }
  return fits;
}
