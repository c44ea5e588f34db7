/** The control of a prune plan. */

import type { DecoderDrop, DropScope, PrunePlan } from './prune-plan.js';

/**
 * The same drops, drawn at random: the control for any claim about a plan. What the page content
 * decides stays, so that the counts are equal.
 */
export function randomTwin(plan: PrunePlan): PrunePlan {
  const { encoder } = plan;
  return {
    ...(plan.id !== undefined && { id: `${plan.id} (random)` }),
    ...(plan.seed !== undefined && { seed: plan.seed }),
    ...(encoder && {
      encoder:
        encoder.method === 'blank'
          ? encoder
          : {
              method: 'random',
              keepRatio: encoder.keepRatio,
              ...scopeOf(encoder),
              ...(encoder.blank && { blank: encoder.blank }),
              ...(encoder.repeats && { repeats: encoder.repeats }),
            },
    }),
    decoder: plan.decoder.map(randomDrop),
  };
}

function randomDrop(drop: DecoderDrop): DecoderDrop {
  const { layer, keepRatio, keepCount } = drop;
  const budget = keepCount === undefined ? { keepRatio } : { keepCount };
  return { layer, method: 'random', ...budget, ...scopeOf(drop) };
}

function scopeOf({ scope, minPerPage }: DropScope): DropScope {
  return { ...(scope && { scope }), ...(minPerPage !== undefined && { minPerPage }) };
}
