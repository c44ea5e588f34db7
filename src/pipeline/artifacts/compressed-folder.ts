/** A compressed folder as a source: its document and the settings that it was made with. */

import { GlyphpressError } from '../../errors.js';
import { renderingId } from '../../render/index.js';
import { readArtifactFile, readManifest } from '../../store/artifact-folder.js';
import { differingParts } from '../../store/artifact-key.js';
import type { KvDtype } from '../../vlm/index.js';
import type { SourceDocument } from '../read-document.js';
import type { ContextLibrary } from './context-library.js';
import type { Key } from './keys.js';
import type { OpenPages, PageSource } from './page-source.js';
import { CONTEXT_FORM, type CompressedBody, SOURCE_FILE } from './stored-context.js';
import { pagesIn, readPageIndex } from './stored-pages.js';

export interface CompressedSource {
  folder: string;
  document: SourceDocument;
  body: CompressedBody;
  /** What the context was made from and with. */
  key: Key;
}

/** What weights, keys and values of its model were held in: asked again, the same folder is found. */
export function typesOf({ key }: CompressedSource): { dtype?: string; kvDtype?: KvDtype } {
  return {
    ...(key.dtype !== undefined && { dtype: key.dtype }),
    ...(key.kvDtype !== undefined && { kvDtype: key.kvDtype as KvDtype }),
  };
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
      message: `${folder} is not a compressed document`,
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
  return { folder, document, body, key };
}

/**
 * Where the context of a compressed folder lies: in it, unless other settings are asked for. Such a
 * question leaves the folder as it was made.
 */
export function placeInFolder(
  { folder, key: made }: CompressedSource,
  asksForOther: boolean,
  library: ContextLibrary,
): { locate(key: Key): string | Promise<string> } {
  return {
    locate: (key) =>
      asksForOther && differingParts(made, key).length > 0 ? library.locate(key) : folder,
  };
}

/** The pages of a compressed folder; `otherwise` if they are wanted in another rendering, or are damaged. */
export function pagesInFolder(source: CompressedSource, otherwise: OpenPages): OpenPages {
  return async (document, config, options) =>
    (source.key.rendering === renderingId(config) ? await wholePages(source.folder) : null) ??
    otherwise(document, config, options);
}

async function wholePages(folder: string): Promise<PageSource | null> {
  try {
    const manifest = await readManifest(folder, CONTEXT_FORM);
    if (!manifest) return null;
    const pages = pagesIn(folder, manifest, await readPageIndex(folder, manifest));
    for await (const _ of pages.pages());
    return pages;
  } catch (error) {
    if (error instanceof GlyphpressError) return null;
    throw error;
  }
}
