import { GlyphpressError, ShapeError } from '../errors.js';
import { assertDropOrder } from './drop-order.js';
import type { PrunePlan } from './prune-plan.js';
import { assertRowCount, budgetedCount, retainedCount } from './retained-count.js';

/** Visual tokens along the decoder, in the words of the report. */
export interface TokenAccount {
  /** Visual tokens present in each decoder layer. */
  layerTokens: number[];
  /** Their mean: what the papers call retained tokens. */
  contextTokens: number;
  /** Those of the last layer. */
  finalTokens: number;
}

/**
 * Tokens that reach the decoder: visualTokens after the encoder drop of the plan.
 *
 * @param contentDrops tokens that go because of what the pages show (blank cells, repetitions), as
 *   far as the plan drops them; without it the result is the most that can be left
 */
export function predictEncodedTokens(
  visualTokens: number,
  plan: PrunePlan,
  contentDrops = 0,
): number {
  assertRowCount(visualTokens);
  assertRowCount(contentDrops);
  const rows = Math.max(Math.min(visualTokens, 1), visualTokens - contentDrops);
  const ratio = plan.encoder?.keepRatio;
  return ratio === undefined ? rows : retainedCount(rows, ratio);
}

/**
 * What a plan leaves in every layer, known before anything runs. The ranking scope and the floors of
 * a plan move tokens between pages and never change a count.
 *
 * @param encodedTokens E, tokens that reach layer 0 ({@link predictEncodedTokens})
 * @param layers decoder layers of the model
 * @throws {GlyphpressError} GP_PRUNE_PLAN if the plan does not fit the layers
 */
export function predictTokens(
  encodedTokens: number,
  layers: number,
  plan: PrunePlan,
): TokenAccount {
  assertRowCount(encodedTokens);
  assertDropOrder(plan.decoder, layers);
  let tokens = encodedTokens;
  const layerTokens = Array.from({ length: layers }, (_, layer) => {
    const drop = plan.decoder.find((stage) => stage.layer === layer);
    if (drop) tokens = budgetedCount(tokens, drop);
    return tokens;
  });
  return accountTokens(layerTokens);
}

/**
 * The account of what really happened.
 *
 * @param layerTokens visual tokens present in each decoder layer, at least one layer
 * @throws {ShapeError} if a count is no integer ≥ 0 or there is no layer
 * @throws {GlyphpressError} GP_TENSOR_VALUE if a later layer holds more than an earlier one
 */
export function accountTokens(layerTokens: readonly number[]): TokenAccount {
  if (layerTokens.length === 0) {
    throw new ShapeError(
      'layerTokens',
      '[L], L ≥ 1',
      [0],
      'Pass one count for each decoder layer.',
    );
  }
  let sum = 0;
  layerTokens.forEach((tokens, layer) => {
    assertRowCount(tokens);
    if (layer > 0 && tokens > layerTokens[layer - 1]!) {
      throw new GlyphpressError('GP_TENSOR_VALUE', {
        message: `Expected at most ${layerTokens[layer - 1]} visual tokens in layer ${layer}, got ${tokens}`,
        hint: 'Dropped tokens do not come back: check which rows each stage received.',
        details: { tensor: 'layerTokens', layer, value: tokens, before: layerTokens[layer - 1] },
      });
    }
    sum += tokens;
  });
  return {
    layerTokens: [...layerTokens],
    contextTokens: sum / layerTokens.length,
    finalTokens: layerTokens.at(-1)!,
  };
}

/**
 * The mean over layers as a share of the visual tokens, before any rounding to whole tokens and
 * without what the content of pages decides (blank cells, repetitions): the most that is left.
 *
 * @throws {GlyphpressError} GP_PRUNE_PLAN if a drop keeps a count, which is no share
 */
export function contextShare(layers: number, plan: PrunePlan): number {
  assertDropOrder(plan.decoder, layers);
  let share = plan.encoder?.keepRatio ?? 1;
  let sum = 0;
  for (let layer = 0; layer < layers; layer++) {
    const drop = plan.decoder.find((stage) => stage.layer === layer);
    if (drop?.keepCount !== undefined) {
      throw new GlyphpressError('GP_PRUNE_PLAN', {
        message: `Expected a keepRatio at layer ${layer}, got keepCount ${drop.keepCount}`,
        hint: 'Use predictTokens with a token count for plans that keep a number of tokens.',
        details: { path: 'decoder[].keepCount', value: drop.keepCount, allowed: 'keepRatio' },
      });
    }
    if (drop) share *= drop.keepRatio;
    sum += share;
  }
  return sum / layers;
}
