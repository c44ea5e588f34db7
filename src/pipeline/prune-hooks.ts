/** A prune plan as the hooks that the model calls: the one place where prune meets vlm. */

import { dropAfterEncoder, dropBeforeLayer, type PrunePlan } from '../prune/index.js';
import type { EncodedImage, LayerDrop, PromptImage } from '../vlm/index.js';

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

/** Visual tokens of all pages → what enters the decoder, page by page. */
export function promptImages(
  pages: readonly EncodedImage[],
  plan: PrunePlan,
  dim: number,
): PromptImage[] {
  if (!plan.encoder) {
    return pages.map(({ tokenGrid, tokens }) => ({
      tokenGrid,
      tokens,
      kept: Int32Array.from({ length: tokens.length / dim }, (_, cell) => cell),
    }));
  }
  const counts = pages.map(({ tokens }) => tokens.length / dim);
  const total = counts.reduce((sum, n) => sum + n, 0);
  const all = new Float32Array(total * dim);
  const pageOfRow = new Int32Array(total);
  let row = 0;
  pages.forEach(({ tokens }, page) => {
    all.set(tokens, row * dim);
    pageOfRow.fill(page, row, row + counts[page]!);
    row += counts[page]!;
  });
  const { keptRows, tokens } = dropAfterEncoder(all, dim, plan, pageOfRow);
  let first = 0;
  let taken = 0;
  return pages.map(({ tokenGrid }, page) => {
    const end = first + counts[page]!;
    const from = taken;
    while (taken < keptRows.length && keptRows[taken]! < end) taken++;
    const kept = keptRows.slice(from, taken).map((kept) => kept - first);
    first = end;
    return { tokenGrid, tokens: tokens.slice(from * dim, taken * dim), kept };
  });
}

export function layerDrops(plan: PrunePlan, stopwatch: Stopwatch): LayerDrop[] {
  return plan.decoder.map((drop) => ({
    layer: drop.layer,
    needs: { variation: drop.method === 'v2drop', hidden: false },
    select: ({ rows, variation, image }) =>
      stopwatch.run(() => dropBeforeLayer(variation ?? new Float32Array(rows), drop, plan, image)),
  }));
}
