/** Pages of every rendering that was drawn, by the hash of text and rendering. */

import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import {
  ensurePages,
  pagesOf,
  readPageIndex,
  storedPages,
} from '../pipeline/artifacts/drawn-pages.js';
import type { PageSource } from '../pipeline/compress.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import {
  type ChromiumOptions,
  type RenderConfig,
  type RenderedPage,
  renderingId,
} from '../render/index.js';
import { readArtifactFile } from '../store/artifact-folder.js';
import { keyName } from '../store/artifact-key.js';
import type { Spent } from './evaluator.js';

export class PageStore {
  /** @param spent is told what drawing takes */
  constructor(
    private readonly folder: string,
    private readonly chromium: () => ChromiumOptions,
    private readonly spent: Spent,
  ) {}

  /** Names the pages of a text under a rendering. */
  nameOf(document: SourceDocument, config: RenderConfig): string {
    return keyName(keyOf(document, config));
  }

  /** All pages, drawn unless they were before. */
  async pages(
    document: SourceDocument,
    config: RenderConfig,
    signal?: AbortSignal,
  ): Promise<RenderedPage[]> {
    const folder = await this.#ensure(document, config, signal);
    const manifest = await storedPages(folder, keyOf(document, config));
    if (!manifest) {
      // Damaged: the next attempt draws them anew.
      await rm(folder, { recursive: true, force: true });
      return this.pages(document, config, signal);
    }
    const { pages } = await readPageIndex(folder, manifest);
    return Promise.all(
      pages.map(async ({ file, widthPx, heightPx, lines }, index) => ({
        index,
        png: await readArtifactFile(folder, manifest, file),
        widthPx,
        heightPx,
        lines,
      })),
    );
  }

  /** The same pages as {@link pages}, in the way that compressing a document takes them. */
  async source(
    document: SourceDocument,
    config: RenderConfig,
    signal?: AbortSignal,
  ): Promise<PageSource> {
    return pagesOf(await this.#ensure(document, config, signal), keyOf(document, config));
  }

  async #ensure(
    document: SourceDocument,
    config: RenderConfig,
    signal?: AbortSignal,
  ): Promise<string> {
    const key = keyOf(document, config);
    const folder = path.join(this.folder, keyName(key));
    if (existsSync(folder) && (await storedPages(folder, key))) return folder;
    const start = performance.now();
    await ensurePages(document, config, folder, key, {
      chromium: this.chromium,
      browsers: 1,
      signal,
    });
    this.spent.renderMs += performance.now() - start;
    return folder;
  }
}

function keyOf(document: SourceDocument, config: RenderConfig): Record<string, string> {
  return { document: document.hash, rendering: renderingId(config) };
}
