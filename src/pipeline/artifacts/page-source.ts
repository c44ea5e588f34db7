/** Where the pages of a document come from: a browser, a folder, or memory. */

import {
  type ChromiumOptions,
  DocumentRendering,
  type PageLayout,
  type RenderConfig,
  type RenderedPage,
  type RenderSummary,
} from '../../render/index.js';
import type { EncodedImage } from '../../vlm/index.js';
import type { SourceDocument } from '../read-document.js';

export interface SourcePage extends RenderedPage {
  /** Where its PNG lies already. */
  file?: string;
}

export interface PageSource {
  /** All pages were there before. */
  readonly cached: boolean;
  /** Sizes and source ranges, before any page is drawn. */
  layout(): AsyncIterable<PageLayout>;
  /** In order. */
  pages(): AsyncIterable<SourcePage>;
  /** Complete once all pages were taken. */
  summary(): Promise<RenderSummary>;
  /**
   * The visual tokens of a page where they may be known; else every page is encoded.
   *
   * @param encode makes them
   */
  visualTokens?(page: SourcePage, encode: () => Promise<EncodedImage>): Promise<EncodedImage>;
  close(): Promise<void>;
}

export interface RenderProgress {
  pagesDone: number;
  /** Share of the document that is drawn, 0 to 1. */
  share: number;
}

export interface OpenPagesOptions {
  signal?: AbortSignal | undefined;
  /** Told by sources that draw all pages before they give the first. */
  onPage?: ((progress: RenderProgress) => void) | undefined;
}

/** Whoever opens a source closes it. */
export type OpenPages = (
  document: SourceDocument,
  config: RenderConfig,
  options: OpenPagesOptions,
) => Promise<PageSource>;

export interface DrawOptions {
  chromium: () => ChromiumOptions;
  /** Browsers that draw side by side. @defaultValue cores, at most 4 */
  browsers?: number | undefined;
}

export function layoutOf({ index, widthPx, heightPx, lines }: RenderedPage): PageLayout {
  return { index, widthPx, heightPx, start: lines[0]!.start, end: lines.at(-1)!.end };
}

/** Pages as a browser draws them; nothing is kept. */
export function drawPages({ chromium, browsers }: DrawOptions): OpenPages {
  return async (document, config, { signal }) => {
    const rendering = new DocumentRendering(document.text, config, {
      chromium: chromium(),
      ...(browsers !== undefined && { browsers }),
      ...(signal && { signal }),
    });
    return {
      cached: false,
      layout: () => rendering.layout(),
      pages: () => rendering.pages(),
      summary: () => rendering.summary(),
      close: () => rendering.close(),
    };
  };
}
