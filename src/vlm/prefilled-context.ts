/** A document that a model has read: what it is made with, and what is kept of it. */

import { GlyphpressError } from '../errors.js';
import { checkCuts } from './compile.js';
import type { ContextLayer } from './kv-cache.js';
import type { DropInput, DropNeeds, KeptCells, Selection } from './prefill.js';

/** A drop before decoder layer `layer`, 1 ≤ layer < layers. Text rows are never dropped. */
export interface LayerDrop {
  layer: number;
  needs: DropNeeds;
  /** Gets the visual rows still present; returns ascending indices into them to keep. */
  select(input: DropInput): Selection;
}

export interface PrefilledContext {
  layers: ContextLayer[];
  /** Position of the question's first token. */
  nextPosition: number;
  /** Visual rows in each layer. */
  layerVisualTokens: number[];
  /** Rows in the first layer. */
  promptTokens: number;
  /** Per drop, the cells that were left. */
  keptCells: KeptCells[][];
  /** Image and cell of each row of the prompt, −1 for text; absent in contexts that were stored without. */
  places?: { image: Int32Array; cell: Int32Array };
  /** The one question that this context can be asked: it stands before the images too. */
  questionFirst?: string;
  /** The document is text: there were no images. @defaultValue false */
  isText?: boolean;
}

/** What one head attends to. */
export interface AttendedCells {
  /** Image and cell of each visual token that is left in the layer. */
  image: Int32Array;
  cell: Int32Array;
  /** Share of the attention to the context, 0 to 1. */
  share: Float32Array;
}

export interface PrefillOptions {
  /**
   * Stands before the images, so that they are read with it in mind, and is asked behind them as ever.
   * The context then serves this question alone.
   */
  questionFirst?: string;
  /** Stands in the prompt behind the images, before the question; read as text, never as markup. */
  textAfterImages?: string;
  signal?: AbortSignal | undefined;
  onProgress?(done: number, total: number): void;
}

/** @throws {GlyphpressError} GP_PRUNE_PLAN where two stand before one layer */
export function checkDrops(drops: readonly LayerDrop[], layers: number): Map<number, LayerDrop> {
  checkCuts(
    drops.map(({ layer }) => layer),
    layers,
  );
  const byLayer = new Map(drops.map((drop) => [drop.layer, drop]));
  if (byLayer.size === drops.length) return byLayer;
  throw new GlyphpressError('GP_PRUNE_PLAN', {
    message: `Two drops stand before one layer: ${drops.map(({ layer }) => layer).join(', ')}.`,
    hint: 'Give each layer at most one drop.',
    details: { layers: drops.map(({ layer }) => layer) },
  });
}

/** What the images were read for is part of their keys and values. */
export function checkQuestion({ questionFirst }: PrefilledContext, question: string): void {
  if (questionFirst === undefined || questionFirst === question) return;
  throw new GlyphpressError('GP_ARTIFACT_MISMATCH', {
    message: 'The context was made for another question, which stands before its images.',
    hint: 'Prefill the images again: for this question, or for any, with no question before them.',
  });
}
