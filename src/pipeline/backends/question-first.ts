/**
 * The question before the pages too: their tokens are read, and dropped, with it in mind. Such a context
 * serves its question alone, so it is made for it and removed with the answer. Its key names the
 * question: nothing takes it for the context of a document.
 */

import { rm } from 'node:fs/promises';
import {
  type CompressedContext,
  type CompressHooks,
  type CompressSettings,
  ensureCompressed,
} from '../compress.js';
import type { SourceDocument } from '../read-document.js';

/**
 * @param folder for this context alone; it is made here, and gone with the answer
 * @param use asks the question; any other is refused
 * @throws {GlyphpressError} GP_CHECKPOINT if the model takes no text before images
 */
export async function withQuestionFirst<T>(
  document: SourceDocument,
  settings: CompressSettings & { questionFirst: string },
  folder: string,
  hooks: CompressHooks,
  use: (compressed: CompressedContext) => Promise<T>,
): Promise<T> {
  // Before pages are drawn and encoded for nothing.
  settings.model.checkQuestionFirst(settings.questionFirst);
  const compressed = await ensureCompressed(document, settings, folder, hooks);
  try {
    return await use(compressed);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await settings.model.forget(compressed.context);
  }
}
