/** A compressed folder as a source: its document and the settings that it was made with. */

import { GlyphpressError } from '../../errors.js';
import { readArtifactFile, readManifest } from '../../store/artifact-folder.js';
import { CONTEXT_FORM, type CompressedBody, SOURCE_FILE } from '../compress.js';
import type { SourceDocument } from '../read-document.js';

export interface CompressedSource {
  document: SourceDocument;
  body: CompressedBody;
  /** What the context was made from and with. */
  key: Record<string, string>;
}

/**
 * To be called before the work: what was compressed from another text is not replaced unasked.
 *
 * @throws {GlyphpressError} GP_OUTPUT_EXISTS if the folder holds the context of another document
 */
export async function assertNoOtherDocument(
  folder: string,
  document: SourceDocument,
): Promise<void> {
  // Whatever cannot be read as a context is for the writer to judge.
  const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM).catch(() => null);
  if (!manifest || manifest.key.document === document.hash) return;
  const { documentId } = manifest.body;
  throw new GlyphpressError('GP_OUTPUT_EXISTS', {
    message: `${folder} holds another compressed document (${documentId})`,
    hint: 'Give another output folder, or --force to replace it.',
    details: { folder, documentId },
  });
}

/** @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_ARTIFACT_DAMAGED, GP_ARTIFACT_MISMATCH */
export async function readCompressedSource(folder: string): Promise<CompressedSource> {
  const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM);
  if (!manifest) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `${folder} is no compressed document`,
      hint: 'Make one: glyphpress compress FILE -o DIR. Or ask a text file directly.',
      details: { folder },
    });
  }
  const { body, key } = manifest;
  const text = (await readArtifactFile(folder, manifest, SOURCE_FILE)).toString('utf8');
  const document: SourceDocument = {
    id: body.documentId,
    hash: body.documentHash,
    text,
    ...(body.files && { files: body.files }),
  };
  return { document, body, key };
}
