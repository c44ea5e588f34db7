/**
 * Several documents in one context: the visual tokens of all their pages, prefilled together in the
 * order that they are named.
 */

import type { PrunePlan } from '../../prune/index.js';
import type { PrefilledContext, PromptImage, VisionLanguageModel } from '../../vlm/index.js';
import type { PageSource } from '../artifacts/page-source.js';
import { PageEncoder } from './encode-pages.js';
import { layerDrops, promptImages, Stopwatch } from './prune-hooks.js';

export interface JoinedDocument {
  pages: Pick<PageSource, 'pages' | 'visualTokens'>;
  /** Exact values that stand beside its pages; empty for none. */
  sidecar: string;
}

/**
 * What the plan drops behind the encoder is chosen within each document, so each keeps the visual
 * tokens that it has alone; drops in the decoder rank the rows of all documents.
 *
 * @throws {GlyphpressError} GP_CONTEXT_LENGTH for more rows than the model holds
 */
export async function joinDocuments(
  model: VisionLanguageModel,
  plan: PrunePlan,
  documents: readonly JoinedDocument[],
): Promise<PrefilledContext> {
  const images: PromptImage[] = [];
  for (const { pages } of documents) {
    const encoder = new PageEncoder(model, plan, { countsBlank: false });
    for await (const page of pages.pages()) await encoder.add(page, pages);
    images.push(...promptImages(encoder.images, plan, model.vision.tokenWidth, encoder.signals));
  }
  const text = documents.map(({ sidecar }) => sidecar).join('');
  return model.prefill(images, layerDrops(plan, images, new Stopwatch()), {
    ...(text !== '' && { textAfterImages: text }),
  });
}
