/** What a reader sees on one page, as text: tower and legibility probe, no decoder. */

import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import {
  DocumentRendering,
  fitToCells,
  type RenderConfig,
  type RenderOptions,
  renderConfigId,
} from '../../render/index.js';
import { LegibilityProbe, type VisionLanguageModel } from '../../vlm/index.js';
import { decodePage } from '../artifacts/page-images.js';
import type { SourceDocument } from '../read-document.js';
import { type PageReading, readPage } from './read-page.js';

export interface Transcription extends PageReading {
  documentId: string;
  model: string;
  renderConfigId: string;
  /** From 1. */
  page: number;
  widthPx: number;
  heightPx: number;
}

/** Page by page, as drawn. @throws {GlyphpressError} GP_CHECKPOINT for a model without a legibility probe */
export async function* transcribeDocument(
  document: SourceDocument,
  givenConfig: RenderConfig,
  model: VisionLanguageModel,
  options: RenderOptions,
): AsyncGenerator<Transcription> {
  const config = fitToCells(givenConfig, model.vision.cellPx);
  const probe = LegibilityProbe.open(model.info.dir, model.vision.tokenWidth);
  const rendering = new DocumentRendering(document.text, config, options);
  let page = options.pageRange?.start ?? 0;
  try {
    for await (const drawn of rendering.pages()) {
      const encoded = await model.encodeImage(await decodePage(drawn.png));
      const { widthPx, heightPx } = drawn;
      page++;
      yield {
        documentId: document.id,
        model: path.basename(model.info.dir),
        renderConfigId: renderConfigId(config),
        page,
        widthPx,
        heightPx,
        ...readPage(probe.read(encoded), drawn),
      };
    }
  } finally {
    await rendering.close();
  }
}

/**
 * @param page from 1
 * @throws {GlyphpressError} GP_CHECKPOINT for a model without a legibility probe, GP_USAGE for a page behind the end
 */
export async function transcribePage(
  document: SourceDocument,
  config: RenderConfig,
  page: number,
  model: VisionLanguageModel,
  options: Omit<RenderOptions, 'pageRange'>,
): Promise<Transcription> {
  const pageRange = { start: page - 1, end: page };
  for await (const read of transcribeDocument(document, config, model, { ...options, pageRange }))
    return read;
  throw new GlyphpressError('GP_USAGE', {
    message: `The document ends before page ${page}`,
    hint: 'Give an earlier page.',
    details: { page },
  });
}
