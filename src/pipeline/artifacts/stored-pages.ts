/**
 * Pages as an artifact of their own, drawn page by page into a work folder beside it: whoever comes
 * after a crash draws only what is missing.
 */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { DocumentRendering, type RenderConfig } from '../../render/index.js';
import { sha256Hex } from '../../sha256.js';
import {
  type ArtifactForm,
  artifactAt,
  isArtifactProblem,
  isWholeArtifact,
  type Manifest,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../../store/artifact-folder.js';
import { differingParts } from '../../store/artifact-key.js';
import { touchEntry } from '../../store/cache-entries.js';
import { type AnyPlace, type FileSet, placeName } from '../../store/place.js';
import type { SourceDocument } from '../read-document.js';
import type { Key } from './keys.js';
import {
  PAGES_FILE,
  type PageIndex,
  type PageRecord,
  pageFileName,
  pageIndexOf,
  pageRecord,
  parsePageIndex,
} from './page-folder.js';
import type {
  DrawOptions,
  OpenPages,
  OpenPagesOptions,
  PageSource,
  SourcePage,
} from './page-source.js';

export const PAGES_FORM: ArtifactForm = { kind: 'glyphpress-pages', version: 2 };

export interface StoredPagesBody {
  documentId: string;
  pages: number;
  characters: number;
}

/** Pages that are on their way to the store while the next ones are drawn. */
const PAGES_UNDER_WAY = 8;

/** Where the pages of a document under a rendering are kept, and by which key. */
export interface PagePlace {
  folder: AnyPlace;
  key: Key;
}

/** Those of a folder on this machine. */
export interface PageFolder extends PagePlace {
  folder: string;
}

/** Pages that stay: drawn where they are missing or damaged, then read from their folder. */
export function keepPages(
  placeOf: (document: SourceDocument, config: RenderConfig) => PageFolder,
  options: DrawOptions,
): OpenPages {
  return async (document, config, more) => {
    const place = placeOf(document, config);
    if (!(await isWholeArtifact(place.folder, PAGES_FORM))) await artifactAt(place.folder).remove();
    const { drawn } = await ensurePages(document, config, place, { ...options, ...more });
    await touchEntry(place.folder);
    const pages = await openStoredPages(place, drawn === 0);
    if (!pages) throw noPages(place.folder);
    return pages;
  };
}

/**
 * Draws the pages that are not there yet.
 *
 * @returns how many pages there are, and how many were drawn now (0 when all were there)
 */
export async function ensurePages(
  document: SourceDocument,
  config: RenderConfig,
  { folder, key }: PagePlace,
  { chromium, browsers, signal, onPage }: DrawOptions & OpenPagesOptions,
): Promise<{ pages: number; drawn: number }> {
  const stored = await pagesManifest(folder, key);
  if (stored) return { pages: stored.body.pages, drawn: 0 };
  const work = artifactAt(folder).unfinished();
  const records = await finishedPages(work);
  const before = records.length;
  const rendering = new DocumentRendering(document.text, config, {
    chromium: chromium(),
    ...(browsers !== undefined && { browsers }),
    ...(signal && { signal }),
    pageRange: { start: before, end: Number.MAX_SAFE_INTEGER },
  });
  const underWay: Promise<void>[] = [];
  let [pagesDone, share] = [before, 0];
  try {
    for await (const page of rendering.pages()) {
      const record = pageRecord(page);
      records.push(record);
      const kept = keepPage(work, record, page.png).then(() => {
        share = Math.max(share, record.end / document.text.length);
        onPage?.({ pagesDone: ++pagesDone, share });
      });
      kept.catch(() => {}); // met where it is waited for
      underWay.push(kept);
      if (underWay.length >= PAGES_UNDER_WAY) await underWay.shift();
      signal?.throwIfAborted();
    }
    await Promise.all(underWay);
    const index = pageIndexOf({
      documentId: document.id,
      characters: document.text.length,
      pages: records,
      render: await rendering.summary(),
    });
    await writeArtifact<StoredPagesBody>(folder, PAGES_FORM, key, async (temporary) => {
      for (const { file } of records) await work.copyTo(file, path.join(temporary, file));
      await writeFile(path.join(temporary, PAGES_FILE), JSON.stringify(index));
      return { documentId: document.id, pages: records.length, characters: document.text.length };
    });
  } finally {
    await Promise.allSettled(underWay);
    await rendering.close();
  }
  await work.remove();
  return { pages: records.length, drawn: records.length - before };
}

/** @returns null if there are none with this key, or they are damaged */
async function pagesManifest(
  folder: AnyPlace,
  key: Key,
): Promise<Manifest<StoredPagesBody> | null> {
  const manifest = await readManifest<StoredPagesBody>(folder, PAGES_FORM).catch((error) => {
    if (isArtifactProblem(error)) return null;
    throw error;
  });
  return manifest && differingParts(manifest.key, key).length === 0 ? manifest : null;
}

/** The pages of {@link ensurePages}; null where there are none with this key, or their index is damaged. */
export async function openStoredPages(
  { folder, key }: PagePlace,
  cached = true,
): Promise<PageSource | null> {
  const manifest = await pagesManifest(folder, key);
  if (!manifest) return null;
  try {
    return pagesIn(folder, manifest, await readPageIndex(folder, manifest), cached);
  } catch (error) {
    if (isArtifactProblem(error)) return null;
    throw error;
  }
}

export async function readPageIndex(
  folder: AnyPlace,
  manifest: Manifest<unknown>,
): Promise<PageIndex> {
  return parsePageIndex(await readArtifactFile(folder, manifest, PAGES_FILE));
}

/** The pages of an artifact that holds some, a compressed document too; every byte is checked on the way. */
export function pagesIn(
  folder: AnyPlace,
  manifest: Manifest<unknown>,
  { pages, render }: PageIndex,
  cached = true,
): PageSource {
  return {
    cached,
    async *layout() {
      for (const [index, { widthPx, heightPx, start, end }] of pages.entries())
        yield { index, widthPx, heightPx, start, end };
    },
    async *pages() {
      for (const [index, { file, widthPx, heightPx, lines, advances }] of pages.entries()) {
        const png = await readArtifactFile(folder, manifest, file);
        const shared = { index, png, widthPx, heightPx, lines };
        const page: SourcePage = { ...shared, ...(advances && { advances }) };
        const lies = artifactAt(folder).pathOf(file);
        yield lies === undefined ? page : { ...page, file: lies };
      }
    },
    summary: async () => render,
    close: async () => {},
  };
}

/** How many pages of {@link ensurePages} are there, also while it is at work. */
export async function countDrawnPages({ folder, key }: PagePlace): Promise<number> {
  const manifest = await pagesManifest(folder, key);
  if (manifest) return manifest.body.pages;
  const names = await artifactAt(folder).unfinished().names();
  return names.filter((name) => name.endsWith('.png')).length;
}

/** A run of pages of {@link ensurePages}. @throws {GlyphpressError} GP_ARTIFACT_DAMAGED if it is not there */
export async function* storedPageRange(
  { folder, key }: PagePlace,
  range: { start: number; end: number },
): AsyncGenerator<{ index: number; png: Buffer }> {
  const manifest = await pagesManifest(folder, key);
  if (!manifest) throw noPages(folder);
  const { pages } = await readPageIndex(folder, manifest);
  for (const [at, { file }] of pages.slice(range.start, range.end).entries())
    yield { index: range.start + at, png: await readArtifactFile(folder, manifest, file) };
}

/** A page whose description says its checksum is whole, whichever of the two was there first. */
interface WorkRecord extends PageRecord {
  sha256: string;
}

const recordFileName = (file: string) => file.replace(/\.png$/, '.json');

async function keepPage(work: FileSet, record: PageRecord, png: Buffer): Promise<void> {
  const { file } = record;
  const described: WorkRecord = { ...record, sha256: sha256Hex(png) };
  // Two workers may draw the same page at once; each of them puts the same bytes there.
  await Promise.all([
    work.put(file, png),
    work.put(recordFileName(file), JSON.stringify(described)),
  ]);
}

/** The pages from the first one on that are whole. */
async function finishedPages(work: FileSet): Promise<PageRecord[]> {
  const records: PageRecord[] = [];
  for (;;) {
    const file = pageFileName(records.length);
    const described = parseRecord(await work.read(recordFileName(file)));
    const png = described && (await work.read(file));
    if (!described || !png) return records; // the first page that is missing
    const { sha256: expected, ...record } = described;
    if (sha256Hex(png) !== expected) return records;
    records.push(record);
  }
}

/** @returns null for one that is missing or half written */
function parseRecord(json: Buffer | null): WorkRecord | null {
  try {
    return json && (JSON.parse(json.toString('utf8')) as WorkRecord);
  } catch {
    return null;
  }
}

function noPages(place: AnyPlace): GlyphpressError {
  const folder = placeName(place);
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${folder} holds no pages of this rendering`,
    hint: 'They can be drawn again from the text.',
    details: { folder },
  });
}
