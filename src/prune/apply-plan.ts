import { ShapeError } from '../errors.js';
import { pruneByApproximationError } from './apet.js';
import { gatherRows, matrixRows } from './contract.js';
import { type DecoderDrop, dropSeed, type PrunePlan } from './prune-plan.js';
import { selectAtRandom } from './random.js';
import { selectByVariation } from './v2drop.js';

/**
 * Carry out the encoder drop of a plan.
 *
 * @param visualTokens float32 [N, D], the output of the vision encoder
 * @param pageOfRow int32 [N], the page of each token
 * @returns keptRows [K], ascending, and their values float32 [K, D]; all rows if the plan has no
 *   encoder drop
 */
export function dropAfterEncoder(
  visualTokens: Float32Array,
  dim: number,
  plan: PrunePlan,
  pageOfRow: Int32Array,
): { keptRows: Int32Array; tokens: Float32Array } {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const { encoder } = plan;
  if (!encoder)
    return { keptRows: Int32Array.from({ length: n }, (_, i) => i), tokens: visualTokens };
  const options = { ...encoder, pageOfRow, seed: dropSeed(plan, 0) };
  if (encoder.method === 'apet') return pruneByApproximationError(visualTokens, dim, options);
  const keptRows = selectAtRandom(n, options);
  return { keptRows, tokens: gatherRows(visualTokens, dim, keptRows) };
}

/**
 * The visual rows that one decoder drop of a plan keeps.
 *
 * @param variation float32 [N], the change of each visual token over the layer before; a random drop
 *   reads only its length
 * @param pageOfRow int32 [N], the page of each token that is still present
 * @returns row indices [K], ascending
 */
export function dropBeforeLayer(
  variation: Float32Array,
  drop: DecoderDrop,
  plan: PrunePlan,
  pageOfRow: Int32Array,
): Int32Array {
  if (pageOfRow.length !== variation.length) {
    throw new ShapeError(
      'pageOfRow',
      `[${variation.length}]`,
      [pageOfRow.length],
      'Gather pageOfRow by the rows that the drop before kept.',
    );
  }
  const options = { ...drop, pageOfRow, seed: dropSeed(plan, drop.layer) };
  return drop.method === 'v2drop'
    ? selectByVariation(variation, options)
    : selectAtRandom(variation.length, options);
}
