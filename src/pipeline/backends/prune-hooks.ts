/** A prune plan as the hooks that the model calls: the one place where prune meets vlm. */

import {
  dropBeforeLayer,
  dropEncodedPages,
  dropHiddenBeforeLayer,
  type PageSignals,
  type PrunePlan,
} from '../../prune/index.js';
import type { EncodedImage, LayerDrop, PromptImage } from '../../vlm/index.js';

/** Measures the time that decisions take, apart from the model's. */
export class Stopwatch {
  ms = 0;
  run<T>(work: () => T): T {
    const start = performance.now();
    try {
      return work();
    } finally {
      this.ms += performance.now() - start;
    }
  }
}

/**
 * Visual tokens of all pages → what enters the decoder, page by page.
 *
 * @param signals of each page; only plans that read pixels need them
 */
export function promptImages(
  pages: readonly EncodedImage[],
  plan: PrunePlan,
  dim: number,
  signals: readonly PageSignals[] = [],
): PromptImage[] {
  const encoded = pages.map(({ tokenGrid, tokens }, page) => ({
    grid: tokenGrid,
    tokens,
    ...(signals[page] && { signals: signals[page] }),
  }));
  return dropEncodedPages(encoded, dim, plan).map((kept, page) => ({
    tokenGrid: pages[page]!.tokenGrid,
    ...kept,
  }));
}

/** @param images what {@link promptImages} gave, for their grids */
export function layerDrops(
  plan: PrunePlan,
  images: readonly Pick<PromptImage, 'tokenGrid'>[],
  stopwatch: Stopwatch,
): LayerDrop[] {
  const colsOfPage = (page: number) => images[page]!.tokenGrid.cols;
  return plan.decoder.map((drop) => ({
    layer: drop.layer,
    needs: {
      variation: drop.method === 'v2drop' ? (drop.metric ?? 'l2') : false,
      hidden: drop.method === 'apet',
    },
    select: ({ rows, variation, hidden, image, cell }) =>
      stopwatch.run(() => {
        const places = { cellOfRow: cell, colsOfPage };
        if (!hidden)
          return dropBeforeLayer(variation ?? new Float32Array(rows), drop, plan, image, places);
        const dim = rows === 0 ? 1 : hidden.length / rows;
        const { keptRows, tokens } = dropHiddenBeforeLayer(hidden, dim, drop, plan, image);
        return { kept: keptRows, hidden: tokens };
      }),
  }));
}
