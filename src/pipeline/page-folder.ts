/** Pages on disk: `page-0001.png …` and `pages.json` with the span map, written as pages come. */

import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { LineBox, RenderedPage, RenderSummary } from '../render/index.js';
import type { SourceDocument } from './read-document.js';

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
}

export function pageFileName(index: number): string {
  return `page-${String(index + 1).padStart(4, '0')}.png`;
}

/**
 * Writes a page as soon as it is there, so that memory does not grow with the document. `pages.json`
 * is complete only after {@link finish}; until then it has another name.
 */
export class PageFolderWriter {
  readonly #folder: string;
  readonly #index: WriteStream;
  readonly #partialIndex: string;
  #pages = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#partialIndex = path.join(folder, `.${PAGES_FILE}.partial`);
    this.#index = createWriteStream(this.#partialIndex);
    // Errors are met where they are awaited.
    this.#index.on('error', () => {});
  }

  /** Creates the folder, and removes the pages of an earlier run in it. */
  static async open(folder: string, document: SourceDocument): Promise<PageFolderWriter> {
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder)) {
      if (/^page-\d{4,}\.png$/.test(name) || name === PAGES_FILE) await rm(path.join(folder, name));
    }
    const writer = new PageFolderWriter(folder);
    await writer.#write(
      `{"version":1,"documentId":${JSON.stringify(document.id)},"characters":${document.text.length},"pages":[`,
    );
    return writer;
  }

  async add(page: RenderedPage): Promise<PageRecord> {
    const record: PageRecord = {
      file: pageFileName(page.index),
      widthPx: page.widthPx,
      heightPx: page.heightPx,
      start: page.lines[0]!.start,
      end: page.lines.at(-1)!.end,
      lines: page.lines,
    };
    await Promise.all([
      writeFile(path.join(this.#folder, record.file), page.png),
      this.#write(`${this.#pages === 0 ? '' : ','}\n${JSON.stringify(record)}`),
    ]);
    this.#pages++;
    return record;
  }

  async finish(summary: RenderSummary): Promise<void> {
    await this.#write(`\n],"render":${JSON.stringify(summary)}}\n`);
    this.#index.end();
    await once(this.#index, 'close');

    await rename(this.#partialIndex, path.join(this.#folder, PAGES_FILE));
  }

  /** Leaves no half-written index behind. */
  async abort(): Promise<void> {
    this.#index.destroy();
    await rm(this.#partialIndex, { force: true });
  }

  async #write(text: string): Promise<void> {
    if (this.#index.errored) throw this.#index.errored;
    if (!this.#index.write(text)) await once(this.#index, 'drain');
  }
}
