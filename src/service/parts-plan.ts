/** The parts of a document, kept with its content: one that is handed in again needs no second layout. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type DocumentFit,
  type FitSettings,
  fitDocument,
  type LayoutTools,
} from '../pipeline/parts/document-fit.js';
import { PARTS_VERSION } from '../pipeline/parts/stored-plan.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import {
  type ArtifactForm,
  isArtifactProblem,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../store/artifact-folder.js';
import { keyName } from '../store/artifact-key.js';
import type { Work } from './work.js';

const PARTS_FORM: ArtifactForm = { kind: 'glyphpress-parts', version: 1 };
const PARTS_FILE = 'parts.json';

/**
 * As {@link fitDocument}, from the store where it is there.
 *
 * @throws {GlyphpressError} GP_CONTEXT_LENGTH, GP_BROWSER_…
 */
export async function fitOf(
  work: Work,
  document: SourceDocument,
  settings: FitSettings,
  tools: LayoutTools,
  maxParts: number,
): Promise<DocumentFit | null> {
  const stored = await readFit(work);
  if (stored?.parts && stored.parts.parts.length <= maxParts) return stored;
  const fit = await fitDocument(document, settings, tools, maxParts);
  if (fit?.parts) await keepFit(work, fit);
  return fit;
}

/** What the parts depend on is what contexts depend on. */
function placeOf({ record, place, reading }: Work) {
  const key = {
    document: record.contentHash,
    parts: reading.contextKey,
    rule: String(PARTS_VERSION),
  };
  return { folder: place.text(keyName(key)), key };
}

async function readFit(work: Work): Promise<DocumentFit | null> {
  const { folder } = placeOf(work);
  try {
    const manifest = await readManifest(folder, PARTS_FORM);
    if (!manifest) return null;
    return JSON.parse((await readArtifactFile(folder, manifest, PARTS_FILE)).toString('utf8'));
  } catch (error) {
    if (isArtifactProblem(error)) return null;
    throw error;
  }
}

async function keepFit(work: Work, fit: DocumentFit): Promise<void> {
  const { folder, key } = placeOf(work);
  await writeArtifact(folder, PARTS_FORM, key, async (temporary) => {
    await writeFile(path.join(temporary, PARTS_FILE), JSON.stringify(fit));
    return { parts: fit.parts!.parts.length };
  });
}
