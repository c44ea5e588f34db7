/** Pages of every rendering that was drawn, by the hash of text and rendering. */

import path from 'node:path';
import { pagesKey, textKey } from '../pipeline/artifacts/keys.js';
import type { OpenPages } from '../pipeline/artifacts/page-source.js';
import { keepPages } from '../pipeline/artifacts/stored-pages.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { ChromiumOptions, RenderConfig, RenderedPage } from '../render/index.js';
import { keyName } from '../store/artifact-key.js';
import type { Spent } from './evaluator.js';

export class PageStore {
  /** The pages of a text, drawn unless they were before. */
  readonly open: OpenPages;

  /** @param spent receives the rendering time */
  constructor(folder: string, chromium: () => ChromiumOptions, spent: Spent) {
    const place = (document: SourceDocument, config: RenderConfig) => {
      const key = pagesKey(textKey(document), config);
      return { folder: path.join(folder, keyName(key)), key };
    };
    const keep = keepPages(place, { chromium, browsers: 1 });
    this.open = async (document, config, options) => {
      const start = performance.now();
      const source = await keep(document, config, options);
      if (!source.cached) spent.renderMs += performance.now() - start;
      return source;
    };
  }

  async pages(
    document: SourceDocument,
    config: RenderConfig,
    signal?: AbortSignal,
  ): Promise<RenderedPage[]> {
    const source = await this.open(document, config, { signal });
    try {
      const pages: RenderedPage[] = [];
      for await (const page of source.pages()) pages.push(page);
      return pages;
    } finally {
      await source.close();
    }
  }
}
