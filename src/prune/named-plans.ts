/**
 * Plans by name: what papers did, and what suits text. Layers scale with the depth of the decoder, so
 * that a name means the same schedule for every model.
 */
import { GlyphpressError } from '../errors.js';
import { APET_FORMS } from './apet.js';
import { layersAtDepths } from './plan-from-keep.js';
import type { DecoderDrop, PrunePlan } from './prune-plan.js';
import { V2DROP_SCHEDULES } from './v2drop-schedules.js';

export interface NamedPlan {
  name: string;
  /** What it does and where it comes from, in a sentence or two. */
  about: string;
  /** The plan for a decoder with this number of layers. */
  build(layers: number): PrunePlan;
}

/** ApET's schedule for 192 of 576 tokens: 288 behind the vision tower, 96 from layer 16 of 32 on. */
const APET_PAPER = { keep: 288 / 576, depth: 16 / 32, keepInside: 96 / 288 };

/**
 * ApET over dense text: blank cells first, a floor for each line of cells, and the neighbours of what is
 * kept. Best of the plans that were measured, see docs/results/pruning.md.
 */
export const textAwareApet = (keepRatio: number): PrunePlan => ({
  encoder: { method: 'apet', keepRatio, blank: 'drop', minPerLine: 1, neighbours: 1 },
  decoder: [],
});

const PLANS: readonly NamedPlan[] = [
  {
    name: 'lossless',
    about:
      'Drops cells without ink after the encoder, and nothing else. How much that is depends on the page.',
    build: () => ({ encoder: { method: 'blank' }, decoder: [] }),
  },
  {
    name: 'balanced',
    about:
      'Blank cells first, then text-aware ApET down to 85 %: the amount that published measurements on dense text still call safe.',
    build: () => textAwareApet(0.85),
  },
  {
    name: 'v2drop-paper',
    about:
      'V²Drop as published for 192 of 576 tokens (layers 3, 17 and 22 of 32): keeps 50 %, then 30 %, then one token.',
    build: (layers) => ({ decoder: v2dropPaper(layers) }),
  },
  {
    name: 'apet-paper',
    about:
      "ApET as published for 192 of 576 tokens, in the form of the authors' LLaVA code: keeps half after the encoder, then a third in the middle of the decoder; dropped tokens are averaged into kept ones.",
    build: (layers) => ({
      encoder: { method: 'apet', keepRatio: APET_PAPER.keep, ...APET_FORMS['llava-encoder'] },
      decoder: layersAtDepths([APET_PAPER.depth], layers).map((layer) => ({
        layer,
        keepRatio: APET_PAPER.keepInside,
        method: 'apet',
        ...APET_FORMS['llava-decoder'],
      })),
    }),
  },
  {
    name: 'stacked-4x',
    about:
      'Blank cells and text-aware ApET, down to three quarters: a page that holds three text tokens a visual token ends at four.',
    build: () => textAwareApet(0.75),
  },
];

export const NAMED_PLANS: Readonly<Record<string, NamedPlan>> = Object.freeze(
  Object.fromEntries(PLANS.map((plan) => [plan.name, plan])),
);

/**
 * @returns the plan with its name as id, or null if no plan has this name
 * @throws {GlyphpressError} GP_PRUNE_PLAN if layers is no count
 */
export function namedPlan(name: string, layers: number): PrunePlan | null {
  if (!Number.isSafeInteger(layers) || layers < 1) {
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `Expected the decoder layers of a model, got ${layers}`,
      hint: 'Give an integer of at least 1.',
      details: { path: 'layers', value: String(layers), allowed: 'integer ≥ 1' },
    });
  }
  return Object.hasOwn(NAMED_PLANS, name)
    ? { id: name, ...NAMED_PLANS[name]!.build(layers) }
    : null;
}

/** A decoder that is too shallow for three drops keeps the first ones. */
function v2dropPaper(layers: number): DecoderDrop[] {
  const { plan, decoderLayers } = V2DROP_SCHEDULES['paper-192'];
  const depths = plan.decoder.map(({ layer }) => layer / decoderLayers);
  return layersAtDepths(depths, layers).map((layer, i) => ({ ...plan.decoder[i]!, layer }));
}
