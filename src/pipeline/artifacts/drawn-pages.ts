/**
 * Pages as an artifact of their own, drawn page by page into a work folder beside it: whoever comes
 * after a crash draws only what is missing.
 */

import { createHash } from 'node:crypto';
import { copyFile, link, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { makeFolder } from '../../output-folder.js';
import {
  type ChromiumOptions,
  DocumentRendering,
  type RenderConfig,
  type RenderedPage,
  type RenderSummary,
} from '../../render/index.js';
import {
  type ArtifactForm,
  type Manifest,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../../store/artifact-folder.js';
import { writeWhole } from '../../store/write-whole.js';
import type { PageSource } from '../compress.js';
import type { SourceDocument } from '../read-document.js';
import type { RenderProgress } from '../render-to-folder.js';
import { PAGES_FILE, type PageRecord, pageFileName, pageRecord } from './page-folder.js';

export const PAGES_FORM: ArtifactForm = { kind: 'glyphpress-pages', version: 1 };

export interface DrawnPagesBody {
  documentId: string;
  pages: number;
  characters: number;
}

/** What `pages.json` holds, also inside a compressed folder. */
export interface PageIndex {
  version: 1;
  documentId: string;
  characters: number;
  pages: PageRecord[];
  render: RenderSummary;
}

export interface DrawOptions {
  chromium: () => ChromiumOptions;
  browsers?: number | undefined;
  signal?: AbortSignal | undefined;
  onPage?: ((progress: RenderProgress) => void) | undefined;
}

/** The folder in which pages lie until all are there. */
export function workFolderOf(folder: string): string {
  return `${folder}.work`;
}

/**
 * Draws the pages that are not there yet.
 *
 * @returns how many pages there are, and how many were drawn now (0 when all were there)
 */
export async function ensurePages(
  document: SourceDocument,
  config: RenderConfig,
  folder: string,
  key: Record<string, string>,
  options: DrawOptions,
): Promise<{ pages: number; drawn: number }> {
  const stored = await storedPages(folder, key);
  if (stored) return { pages: stored.body.pages, drawn: 0 };
  const work = workFolderOf(folder);
  await makeFolder(work);
  const records = await finishedPages(work);
  const before = records.length;
  const rendering = new DocumentRendering(document.text, config, {
    chromium: options.chromium(),
    ...(options.browsers !== undefined && { browsers: options.browsers }),
    ...(options.signal && { signal: options.signal }),
    pageRange: { start: before, end: Number.MAX_SAFE_INTEGER },
  });
  try {
    for await (const page of rendering.pages()) {
      const record = await keepPage(work, page);
      records.push(record);
      options.onPage?.({ pagesDone: records.length, share: record.end / document.text.length });
      options.signal?.throwIfAborted();
    }
    const index: PageIndex = {
      version: 1,
      documentId: document.id,
      characters: document.text.length,
      pages: records,
      render: await rendering.summary(),
    };
    await writeArtifact<DrawnPagesBody>(folder, PAGES_FORM, key, async (temporary) => {
      for (const { file } of records)
        await linkOrCopy(path.join(work, file), path.join(temporary, file));
      await writeFile(path.join(temporary, PAGES_FILE), JSON.stringify(index));
      return {
        documentId: document.id,
        pages: records.length,
        characters: document.text.length,
      };
    });
  } finally {
    await rendering.close();
  }
  await rm(work, { recursive: true, force: true });
  return { pages: records.length, drawn: records.length - before };
}

/** The pages of {@link ensurePages} as what compress takes; every byte is checked on the way. */
export function pagesOf(folder: string, key: Record<string, string>): PageSource {
  return async (target, { signal, onPage }, take) => {
    const manifest = await storedPages(folder, key);
    if (!manifest) throw noPages(folder);
    const { pages, characters, render } = await readPageIndex(folder, manifest);
    for (const [index, record] of pages.entries()) {
      signal?.throwIfAborted();
      const png = await readArtifactFile(folder, manifest, record.file);
      await linkOrCopy(path.join(folder, record.file), path.join(target, record.file));
      const { widthPx, heightPx, lines } = record;
      await take({ index, png, widthPx, heightPx, lines });
      onPage?.({ pagesDone: index + 1, share: record.end / characters });
    }
    await copyFile(path.join(folder, PAGES_FILE), path.join(target, PAGES_FILE));
    return render;
  };
}

/** @returns null if there are none, they were made with other settings, or their list is damaged */
export async function storedPages(
  folder: string,
  key: Record<string, string>,
): Promise<Manifest<DrawnPagesBody> | null> {
  const manifest = await readManifest<DrawnPagesBody>(folder, PAGES_FORM).catch((error) => {
    if (error instanceof GlyphpressError) return null;
    throw error;
  });
  if (!manifest) return null;
  return Object.keys(key).every((part) => manifest.key[part] === key[part]) ? manifest : null;
}

export async function readPageIndex(
  folder: string,
  manifest: Manifest<unknown>,
): Promise<PageIndex> {
  return JSON.parse((await readArtifactFile(folder, manifest, PAGES_FILE)).toString('utf8'));
}

/** A page whose description says the right checksum is whole: the description is written last. */
interface WorkRecord extends PageRecord {
  sha256: string;
}

const recordFileName = (file: string) => file.replace(/\.png$/, '.json');

async function keepPage(work: string, page: RenderedPage): Promise<PageRecord> {
  const record = pageRecord(page);
  const { file } = record;
  // Two workers may draw the same page at once; each of them puts the same bytes there.
  await writeWhole(path.join(work, file), page.png);
  const described: WorkRecord = { ...record, sha256: sha256(page.png) };
  await writeWhole(path.join(work, recordFileName(file)), JSON.stringify(described));
  return record;
}

/** The pages from the first one on that are whole. */
async function finishedPages(work: string): Promise<PageRecord[]> {
  const records: PageRecord[] = [];
  for (;;) {
    const file = pageFileName(records.length);
    try {
      const text = await readFile(path.join(work, recordFileName(file)), 'utf8');
      const { sha256: expected, ...record } = JSON.parse(text) as WorkRecord;
      if (sha256(await readFile(path.join(work, file))) !== expected) return records;
      records.push(record);
    } catch {
      return records; // the first page that is missing or half written
    }
  }
}

/** Where the file system has no hard links, or no more of them, the bytes are copied. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function noPages(folder: string): GlyphpressError {
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${folder} holds no pages of this rendering`,
    hint: 'They can be drawn again from the text.',
    details: { folder },
  });
}
