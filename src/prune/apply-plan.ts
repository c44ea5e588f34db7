import { GlyphpressError, ShapeError } from '../errors.js';
import { pruneByApproximationError } from './apet.js';
import { gatherRows, matrixRows } from './contract.js';
import { type DecoderDrop, dropSeed, type PrunePlan } from './prune-plan.js';
import { selectAtRandom } from './random.js';
import { type RowPlaces, trailingScores } from './reading-trail.js';
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
  if (encoder.method !== 'apet' && encoder.method !== 'random') throw needsPages(encoder.method);
  const options = { ...encoder, pageOfRow, seed: dropSeed(plan, 0) };
  if (encoder.method === 'apet') return pruneByApproximationError(visualTokens, dim, options);
  const keptRows = selectAtRandom(n, options);
  return { keptRows, tokens: gatherRows(visualTokens, dim, keptRows) };
}

/**
 * The visual rows that one decoder drop of a plan keeps, by V²Drop or at random.
 *
 * @param variation float32 [N], the change of each visual token over the layer before; a random drop
 *   reads only its length
 * @param pageOfRow int32 [N], the page of each token that is still present
 * @param cells where those tokens stand, for a drop with a trail
 * @returns row indices [K], ascending
 * @throws {GlyphpressError} GP_PRUNE_PLAN for a trail without cells
 */
export function dropBeforeLayer(
  variation: Float32Array,
  drop: DecoderDrop,
  plan: PrunePlan,
  pageOfRow: Int32Array,
  cells?: Omit<RowPlaces, 'pageOfRow'>,
): Int32Array {
  assertPages(pageOfRow, variation.length);
  if (drop.method === 'apet') throw needsHidden(drop.layer);
  const options = { ...drop, pageOfRow, seed: dropSeed(plan, drop.layer) };
  if (drop.method === 'random') return selectAtRandom(variation.length, options);
  if (!drop.trail) return selectByVariation(variation, options);
  if (!cells) throw needsCells(drop.layer);
  return selectByVariation(trailingScores(variation, drop.trail, { pageOfRow, ...cells }), options);
}

/**
 * Carry out one decoder drop of a plan by ApET: the second stage of its paper.
 *
 * Source: `layer_prune`, github.com/MaQianKun0/ApET @70cc01b, see APET_FORMS. There the hidden states
 * that leave the layer before are ranked, as here those that enter `drop.layer`.
 *
 * @param hidden float32 [N, D], the visual rows as they enter drop.layer
 * @param pageOfRow int32 [N], the page of each token that is still present
 * @returns keptRows [K], ascending, and their values float32 [K, D]; values differ from the rows of
 *   `hidden` only where the drop merges or writes its basis
 * @throws {GlyphpressError} as pruneByApproximationError
 */
export function dropHiddenBeforeLayer(
  hidden: Float32Array,
  dim: number,
  drop: DecoderDrop,
  plan: PrunePlan,
  pageOfRow: Int32Array,
): { keptRows: Int32Array; tokens: Float32Array } {
  assertPages(pageOfRow, matrixRows('hidden', hidden, dim));
  const options = { ...drop, pageOfRow, seed: dropSeed(plan, drop.layer) };
  return pruneByApproximationError(hidden, dim, options);
}

function assertPages(pageOfRow: Int32Array, rows: number): void {
  if (pageOfRow.length === rows) return;
  throw new ShapeError(
    'pageOfRow',
    `[${rows}]`,
    [pageOfRow.length],
    'Gather pageOfRow by the rows that the drop before kept.',
  );
}

function needsHidden(layer: number): GlyphpressError {
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `The method "apet" at layer ${layer} needs hidden states, and only their variation came`,
    hint: 'Use dropHiddenBeforeLayer.',
    details: { path: 'decoder[].method', value: 'apet', layer },
  });
}

function needsCells(layer: number): GlyphpressError {
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `The trail of the drop at layer ${layer} needs the cells of its tokens, and none came`,
    hint: 'Pass cellOfRow and colsOfPage, or leave trail out.',
    details: { path: 'decoder[].trail', value: 'no cells', layer },
  });
}

function needsPages(method: string): GlyphpressError {
  return new GlyphpressError('GP_PRUNE_PLAN', {
    message: `The method "${method}" needs the pages themselves, and only their tokens came`,
    hint: 'Use dropEncodedPages with the signals of each page.',
    details: { path: 'encoder.method', value: method },
  });
}
