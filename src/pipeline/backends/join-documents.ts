/**
 * Several documents in one context: the visual tokens of all their pages, prefilled together in the
 * order that they are named.
 */

import { needsSignals, type PageSignals, type PrunePlan, pageSignals } from '../../prune/index.js';
import type {
  EncodedImage,
  PrefilledContext,
  PromptImage,
  VisionLanguageModel,
} from '../../vlm/index.js';
import type { PageRecord } from '../artifacts/page-folder.js';
import { decodePage } from '../artifacts/page-images.js';
import { layerDrops, promptImages, Stopwatch } from './prune-hooks.js';

export interface JoinedDocument {
  pages: AsyncIterable<{ png: Buffer; image: EncodedImage; lines: PageRecord['lines'] }>;
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
  const { tokenWidth } = model.vision;
  const images: PromptImage[] = [];
  for (const { pages } of documents) {
    const encoded: EncodedImage[] = [];
    const signals: PageSignals[] = [];
    for await (const { png, image, lines } of pages) {
      encoded.push(image);
      if (!needsSignals(plan)) continue;
      const hashes = plan.encoder?.repeats === 'drop';
      signals.push(pageSignals(await decodePage(png), image.tokenGrid, lines, { hashes }));
    }
    images.push(...promptImages(encoded, plan, tokenWidth, signals));
  }
  const text = documents.map(({ sidecar }) => sidecar).join('');
  return model.prefill(images, layerDrops(plan, images, new Stopwatch()), {
    ...(text !== '' && { textAfterImages: text }),
  });
}
