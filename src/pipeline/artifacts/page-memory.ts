/** The pages and visual tokens of one document in memory, for whoever opens it again and again. */

import { type RenderedPage, type RenderSummary, renderingId } from '../../render/index.js';
import type { EncodedImage } from '../../vlm/index.js';
import { layoutOf, type OpenPages, type PageSource } from './page-source.js';

interface Kept {
  name: string;
  pages: RenderedPage[];
  /** Null until all pages were drawn. */
  summary: RenderSummary | null;
  images: EncodedImage[];
}

/** Keeps what was opened last, so openings of one document under one rendering should follow each other. */
export function keepLastPages(draw: OpenPages): OpenPages {
  let kept: Kept | null = null;
  return async (document, config, options) => {
    const name = `${document.hash} ${renderingId(config)}`;
    if (kept?.name !== name || !kept.summary) kept = { name, pages: [], summary: null, images: [] };
    return kept.summary
      ? replayed(kept, kept.summary)
      : recorded(kept, await draw(document, config, options));
  };
}

function replayed(kept: Kept, summary: RenderSummary): PageSource {
  return {
    cached: true,
    async *layout() {
      for (const page of kept.pages) yield layoutOf(page);
    },
    async *pages() {
      yield* kept.pages;
    },
    summary: async () => summary,
    visualTokens: async ({ index }, encode) => (kept.images[index] ??= await encode()),
    close: async () => {},
  };
}

function recorded(kept: Kept, source: PageSource): PageSource {
  return {
    cached: source.cached,
    layout: () => source.layout(),
    async *pages() {
      for await (const page of source.pages()) {
        kept.pages.push(page);
        yield page;
      }
    },
    summary: async () => (kept.summary = await source.summary()),
    visualTokens: async ({ index }, encode) => (kept.images[index] ??= await encode()),
    close: () => source.close(),
  };
}
