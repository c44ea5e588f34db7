/** Pages, span map and text of a document, as far as they are there. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { type PageIndex, pageFileName } from '../pipeline/artifacts/page-folder.js';
import { CONTEXT_FORM } from '../pipeline/artifacts/stored-context.js';
import { PAGES_FORM, readPageIndex, workFolderOf } from '../pipeline/artifacts/stored-pages.js';
import { type ArtifactForm, readArtifactFile, readManifest } from '../store/artifact-folder.js';
import { contextFolder, pagePlace, type Work } from './work.js';

/** The finished context holds the pages; before it there are the drawn ones. */
async function artifactOf(work: Work) {
  const candidates: [string, ArtifactForm][] = [
    [contextFolder(work), CONTEXT_FORM],
    [pagePlace(work).folder, PAGES_FORM],
  ];
  for (const [folder, form] of candidates) {
    const manifest = await readManifest<unknown>(folder, form).catch(() => null);
    if (manifest) return { folder, manifest };
  }
  return null;
}

/** @returns null for a page that is not there, or not yet */
export async function pageImage(work: Work, index: number): Promise<Buffer | null> {
  const file = pageFileName(index);
  const artifact = await artifactOf(work);
  if (artifact) {
    if (!Object.hasOwn(artifact.manifest.files, file)) return null;
    return readArtifactFile(artifact.folder, artifact.manifest, file);
  }
  const drawn = path.join(workFolderOf(pagePlace(work).folder), file);
  return readFile(drawn).catch(() => null);
}

/** A file of the finished context; null where it has none of this name, or there is no context. */
export async function contextFile(work: Work, file: string): Promise<Buffer | null> {
  const folder = contextFolder(work);
  const manifest = await readManifest<unknown>(folder, CONTEXT_FORM).catch(() => null);
  if (!manifest || !Object.hasOwn(manifest.files, file)) return null;
  return readArtifactFile(folder, manifest, file);
}

/** @throws {GlyphpressError} GP_DOCUMENT_PENDING before all pages are drawn */
export async function pageIndex(work: Work): Promise<PageIndex> {
  const artifact = await artifactOf(work);
  if (artifact) return readPageIndex(artifact.folder, artifact.manifest);
  throw notThere(work, 'pages');
}

/** Pending where it will come, a state that does not allow it where it never will, damage where it was. */
export function notThere({ record }: Work, what: string): GlyphpressError {
  if (record.state === 'completed') {
    return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
      message: `The ${what} of this document cannot be read from the store any more`,
      hint: 'Submit the same document again: what is damaged is made anew, for this one too.',
    });
  }
  const over = ['failed', 'cancelled'].includes(record.state);
  return new GlyphpressError(over ? 'GP_DOCUMENT_STATE' : 'GP_DOCUMENT_PENDING', {
    message: `The document has no ${what}${over ? `: it is ${record.state}` : ' yet'}`,
    hint: over ? 'Submit it again.' : 'Follow its events, or ask again.',
    details: { state: record.state, stage: record.stage },
  });
}
