/** What steps begin with: the text of a document, and the pages of it. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { GlyphpressError } from '../errors.js';
import type { RenderProgress } from '../pipeline/artifacts/page-source.js';
import { ensurePages } from '../pipeline/artifacts/stored-pages.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import { extractText } from './extract.js';
import { documentOfPiece } from './pieces.js';
import type { StepTools } from './step-tools.js';
import { pagePlace, sourceOf, storedText, storeText, type Work } from './work.js';

/** The text of a document, extracted once. */
export async function ensureText(work: Work, signal: AbortSignal): Promise<SourceDocument> {
  const { record, reading, place } = work;
  const stored = await storedText(work);
  if (stored !== null) return sourceOf(record, stored);
  const { encoding } = reading.asked;
  const text = await place.withUpload(async (upload) => {
    await assertWhole(upload, record.contentHash);
    return extractText(upload, {
      mediaType: record.mediaType,
      name: record.filename ?? 'The document',
      ...(encoding !== undefined && { encoding }),
      signal,
    });
  });
  await storeText(work, text);
  return sourceOf(record, text);
}

/** What came in is all there is: damage to it cannot be mended, and must not be compressed. */
async function assertWhole(upload: string, expected: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(upload)) hash.update(chunk as Buffer);
  if (hash.digest('hex') === expected) return;
  throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: 'The document was damaged in the store before it was read',
    hint: 'Submit it again.',
  });
}

/**
 * Draws what is missing of the pages of a piece.
 *
 * @param document the whole one
 */
export function draw(
  piece: Work,
  document: SourceDocument,
  { chromium = chromiumOptions, browsers }: StepTools,
  more: { signal?: AbortSignal | undefined; onPage?: (state: RenderProgress) => void },
): Promise<{ pages: number; drawn: number }> {
  const { renderConfig } = piece.reading;
  return ensurePages(documentOfPiece(document, piece), renderConfig, pagePlace(piece), {
    chromium,
    browsers,
    ...more,
  });
}

export function damagedPages(): GlyphpressError {
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: 'The pages of this document are damaged in the store',
    hint: 'They are drawn again from its text when the step is tried again.',
  });
}
