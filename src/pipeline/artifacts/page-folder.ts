/** Pages on disk: `page-0001.png …` and `pages.json` with the span map, written as pages come. */

import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { makeFolder, unusableOutput } from '../../output-folder.js';
import {
  type GlyphAdvances,
  joinAdvances,
  type LineBox,
  NO_ADVANCES,
  newAdvances,
  type RenderedPage,
  type RenderSummary,
} from '../../render/index.js';
import { MANIFEST_FILE } from '../../store/artifact-folder.js';
import { linkOrCopy } from '../../store/folder-files.js';
import { isLeftover, PROCESS_TAG, PROCESS_TAG_PATTERN } from '../../store/process-tag.js';
import type { SourceDocument } from '../read-document.js';
import { layoutOf, type PageSource, type RenderProgress, type SourcePage } from './page-source.js';

export const PAGES_FILE = 'pages.json';

/** What `pages.json` says of one page. */
export interface PageRecord {
  file: string;
  widthPx: number;
  heightPx: number;
  /** Source range of the page, UTF-16 offsets. */
  start: number;
  end: number;
  lines: LineBox[];
  /**
   * Of its characters, as {@link RenderedPage} has them. On disk a page has those that no page before it had.
   */
  advances?: GlyphAdvances;
}

/** What `pages.json` holds. */
export interface PageIndex {
  /** 1: without advances. */
  version: 1 | 2;
  documentId: string;
  characters: number;
  pages: PageRecord[];
  render: RenderSummary;
}

const INDEX_VERSION = 2;

/** @returns pages with the advances of those before them too */
export function parsePageIndex(json: Buffer): PageIndex {
  const index = JSON.parse(json.toString('utf8')) as PageIndex;
  let known = NO_ADVANCES;
  const pages = index.pages.map((page) => {
    known = joinAdvances(known, page.advances ?? NO_ADVANCES);
    return known === NO_ADVANCES ? page : { ...page, advances: known };
  });
  return { ...index, pages };
}

/** Pages as they go to disk, one after the other: each character's advance once. */
export class IndexRecords {
  #known = NO_ADVANCES;

  next({ advances = NO_ADVANCES, ...page }: PageRecord): PageRecord {
    const more = newAdvances(advances, this.#known);
    this.#known = joinAdvances(this.#known, more);
    return more[0] === '' ? page : { ...page, advances: more };
  }
}

export function pageIndexOf(index: Omit<PageIndex, 'version'>): PageIndex {
  const records = new IndexRecords();
  return {
    version: INDEX_VERSION,
    ...index,
    pages: index.pages.map((page) => records.next(page)),
  };
}

export function pageFileName(index: number): string {
  return `page-${String(index + 1).padStart(4, '0')}.png`;
}

export function pageRecord(page: RenderedPage): PageRecord {
  const { index, ...layout } = layoutOf(page);
  const { lines, advances } = page;
  return { file: pageFileName(index), ...layout, lines, ...(advances && { advances }) };
}

/**
 * Writes pages and their index.
 *
 * @param take gets each page as it is written; the next page waits for it
 * @param foreignFiles in a folder of the caller's own, what else is there has its reason
 * @returns how many pages there are; an index without any is not written
 */
export async function writePages(
  source: Pick<PageSource, 'pages' | 'summary'>,
  folder: string,
  document: SourceDocument,
  take: (page: SourcePage, progress: RenderProgress) => Promise<void>,
  foreignFiles: ForeignFiles = 'keep',
): Promise<number> {
  const writer = await PageFolderWriter.open(folder, document, foreignFiles);
  try {
    let pagesDone = 0;
    for await (const page of source.pages()) {
      const { end } = await writer.add(page);
      await take(page, { pagesDone: ++pagesDone, share: end / document.text.length });
    }
    if (pagesDone === 0) await writer.abort();
    else await writer.finish(await source.summary());
    return pagesDone;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

export type ForeignFiles = 'refuse' | 'keep';

/** Also says that, and by whom, the folder is being written. */
const PARTIAL_INDEX = new RegExp(`^\\.pages\\.json\\.(${PROCESS_TAG_PATTERN})\\.partial$`);
const partialIndexName = (tag: string) => `.pages.json.${tag}.partial`;
const indexStart = (version: number) => `{"version":${version},"documentId":`;
const INDEX_STARTS = [1, INDEX_VERSION].map(indexStart);
const isPageFile = (name: string) => /^page-\d{4,}\.png$/.test(name);

/**
 * Writes a page as soon as it is there, so that memory does not grow with the document. `pages.json`
 * is complete only after {@link finish}; until then it has another name.
 */
export class PageFolderWriter {
  readonly #folder: string;
  readonly #index: WriteStream;
  readonly #partialIndex: string;
  readonly #written: string[] = [];
  readonly #records = new IndexRecords();

  private constructor(folder: string) {
    this.#folder = folder;
    this.#partialIndex = path.join(folder, partialIndexName(PROCESS_TAG));
    this.#index = createWriteStream(this.#partialIndex);
    // Errors are met where they are awaited.
    this.#index.on('error', () => {});
  }

  /**
   * Creates the folder. Pages of an earlier run go when the first new one is there.
   *
   * @param foreignFiles what to do where the folder holds files that glyphpress did not write; those
   *   that are kept stay as they are, except those that are named like pages
   * @throws {GlyphpressError} GP_OUTPUT_EXISTS if it holds such files, is a compressed document, or
   *   another process writes pages into it; GP_OUTPUT_UNWRITABLE, GP_STORAGE
   */
  static async open(
    folder: string,
    document: SourceDocument,
    foreignFiles: ForeignFiles = 'refuse',
  ): Promise<PageFolderWriter> {
    let writer: PageFolderWriter;
    try {
      await makeFolder(folder);
      await assertUsable(folder, foreignFiles);
      writer = new PageFolderWriter(folder);
      await once(writer.#index, 'open');
    } catch (cause) {
      if (cause instanceof GlyphpressError) throw cause;
      throw unusableOutput(folder, cause);
    }
    await writer.#write(
      `${indexStart(INDEX_VERSION)}${JSON.stringify(document.id)},"characters":${document.text.length},"pages":[`,
    );
    return writer;
  }

  async add(page: SourcePage): Promise<PageRecord> {
    const record = pageRecord(page);
    if (this.#written.length === 0) await removeEarlierPages(this.#folder);
    const separator = this.#written.length === 0 ? '' : ',';
    this.#written.push(record.file);
    const target = path.join(this.#folder, record.file);
    if (page.file === undefined) await writeFile(target, page.png);
    else await linkOrCopy(page.file, target);
    await this.#write(`${separator}\n${JSON.stringify(this.#records.next(record))}`);
    return record;
  }

  async finish(summary: RenderSummary): Promise<void> {
    await this.#write(`\n],"render":${JSON.stringify(summary)}}\n`);
    this.#index.end();
    await once(this.#index, 'close');

    await rename(this.#partialIndex, path.join(this.#folder, PAGES_FILE));
  }

  /** Leaves nothing behind: pages without an index are of no use. */
  async abort(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#index.closed) resolve();
      else this.#index.once('close', () => resolve());
    });
    this.#index.destroy();
    await closed;
    for (const file of this.#written) await rm(path.join(this.#folder, file), { force: true });
    await rm(this.#partialIndex, { force: true });
  }

  async #write(text: string): Promise<void> {
    if (this.#index.errored) throw this.#index.errored;
    if (!this.#index.write(text)) await once(this.#index, 'drain');
  }
}

async function assertUsable(folder: string, foreignFiles: ForeignFiles): Promise<void> {
  const names = await readdir(folder);
  if (names.includes(MANIFEST_FILE))
    throw occupied(folder, `${folder} holds another result (${MANIFEST_FILE})`);
  const interrupted = await clearInterrupted(folder, names);
  if (foreignFiles === 'keep') return;
  const arePagesOurs = interrupted || (await holdsIndex(folder));
  const isOurs = (name: string) =>
    PARTIAL_INDEX.test(name) || (arePagesOurs && (isPageFile(name) || name === PAGES_FILE));
  const foreign = names.filter((name) => !isOurs(name));
  if (foreign.length === 0) return;
  const more = foreign.length > 3 ? ` and ${foreign.length - 3} more` : '';
  throw occupied(
    folder,
    `${folder} holds files that glyphpress did not write: ${foreign.slice(0, 3).join(', ')}${more}`,
    foreign.slice(0, 20),
  );
}

/** @returns whether a process that is gone wrote pages here and did not finish */
async function clearInterrupted(folder: string, names: readonly string[]): Promise<boolean> {
  let interrupted = false;
  for (const name of names) {
    const tag = PARTIAL_INDEX.exec(name)?.[1];
    if (tag === undefined) continue;
    const info = await stat(path.join(folder, name)).catch(() => null);
    if (info && !isLeftover(tag, info.mtimeMs))
      throw occupied(folder, `Another process writes pages into ${folder}`);
    await rm(path.join(folder, name), { force: true });
    interrupted = true;
  }
  return interrupted;
}

function occupied(folder: string, message: string, foreign: string[] = []): GlyphpressError {
  return new GlyphpressError('GP_OUTPUT_EXISTS', {
    message,
    hint:
      foreign.length > 0
        ? 'Give another output folder, or --force to draw into this one: those files stay, except those that are named like pages.'
        : 'Give another output folder.',
    details: { folder, ...(foreign.length > 0 && { foreign }) },
  });
}

async function removeEarlierPages(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (isPageFile(name) || name === PAGES_FILE) await rm(path.join(folder, name), { force: true });
  }
}

async function holdsIndex(folder: string): Promise<boolean> {
  const file = await open(path.join(folder, PAGES_FILE)).catch(() => null);
  if (!file) return false;
  try {
    const start = Buffer.alloc(INDEX_STARTS[0]!.length);
    await file.read(start);
    return INDEX_STARTS.includes(start.toString());
  } finally {
    await file.close();
  }
}
