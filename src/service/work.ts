/** A document with all that its record leads to: settings, folders, and what is stored in them. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TokensPlace } from '../pipeline/artifacts/encoded-pages.js';
import { CONTEXT_FORM } from '../pipeline/artifacts/stored-context.js';
import type { PagePlace } from '../pipeline/artifacts/stored-pages.js';
import type { DocumentPart } from '../pipeline/parts/plan-parts.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { DocumentRecord } from '../queue/document-record.js';
import {
  type ArtifactForm,
  isArtifactProblem,
  isWholeArtifact,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../store/artifact-folder.js';
import type { AnyPlace } from '../store/place.js';
import type { ContentPlace, ContentStore } from './content-store.js';
import { type DocumentReading, parseSettings, readingOf } from './document-settings.js';
import type { ModelRegistry } from './models.js';

const TEXT_FORM: ArtifactForm = { kind: 'glyphpress-text', version: 1 };
const TEXT_FILE = 'source.txt';

export interface Work<Place extends ContentPlace = ContentPlace> {
  record: DocumentRecord;
  /** What the record's settings come to. */
  reading: DocumentReading;
  place: Place;
  /** Only this part of the document, whose names the reading then has; see pieces.ts. */
  part?: DocumentPart;
}

interface StoreOf<Place> {
  place(...content: Parameters<ContentStore['place']>): Place;
}

/** @throws {GlyphpressError} GP_MODEL_UNKNOWN and others, for a service with another set-up */
export function openWork<Place extends ContentPlace>(
  record: DocumentRecord,
  { store, models }: { store: StoreOf<Place>; models: ModelRegistry },
): Work<Place> {
  const settings = parseSettings(record.settings);
  return {
    record,
    reading: readingOf(settings, models.info(settings.model), record.mediaType),
    place: store.place(record.tenant, record.contentHash),
  };
}

/** What readers call the document, whichever record it came by: equal bytes, equal name. */
export function sourceOf({ contentHash: hash }: DocumentRecord, text: string): SourceDocument {
  return { id: `doc_${hash.slice(0, 24)}`, hash, text };
}

export function textFolder({ place, reading }: Work): AnyPlace {
  return place.text(reading.textKey);
}

export function contextFolder({ place, reading }: Work): AnyPlace {
  return place.context(reading.contextKey);
}

export function tokensFolder({ place, reading }: Work): TokensPlace {
  return place.tokens(reading.tokensKey);
}

export function pagePlace({ record, place, reading }: Work): PagePlace {
  const { pagesKey } = reading;
  return { folder: place.pages(pagesKey), key: { document: record.contentHash, pages: pagesKey } };
}

/** The text as far as it was extracted; null before that, and where it is damaged. */
export async function storedText(work: Work): Promise<string | null> {
  const folder = textFolder(work);
  try {
    const manifest = await readManifest(folder, TEXT_FORM);
    if (!manifest) return null;
    return (await readArtifactFile(folder, manifest, TEXT_FILE)).toString('utf8');
  } catch (error) {
    if (isArtifactProblem(error)) return null;
    throw error;
  }
}

export async function storeText(work: Work, text: string): Promise<void> {
  const key = { document: work.record.contentHash, text: work.reading.textKey };
  await writeArtifact(textFolder(work), TEXT_FORM, key, async (temporary) => {
    await writeFile(path.join(temporary, TEXT_FILE), text);
    return { characters: text.length };
  });
}

/** Every byte of it is looked at: handing a document in again is how a damaged one is mended. */
export function hasContext(work: Work): Promise<boolean> {
  return isWholeArtifact(contextFolder(work), CONTEXT_FORM);
}
