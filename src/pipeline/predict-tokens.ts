/** What the pages of a document will cost, from their layout alone: before any is drawn or encoded. */

import { GlyphpressError } from '../errors.js';
import { type PrunePlan, predictEncodedTokens } from '../prune/index.js';
import {
  type ChromiumOptions,
  DocumentRendering,
  type PageLayout,
  type RenderConfig,
} from '../render/index.js';

export interface PredictedPage extends PageLayout {
  /** Cells that the page will have: V of the report is their sum over all pages. */
  visualTokens: number;
}

/** Rows and columns of visual tokens that a page of this size becomes. */
export type CellsOf = (page: { widthPx: number; heightPx: number }) => {
  rows: number;
  cols: number;
};

/**
 * Lays the document out and counts. Exact where pages are not cropped; a cropped page may differ by a
 * row or a column of cells from what is drawn.
 *
 * @param cellsOf of the model that will read the pages
 * @throws {GlyphpressError} GP_INPUT_EMPTY, GP_FONT, GP_BROWSER_…
 */
export async function predictPageTokens(
  text: string,
  config: RenderConfig,
  cellsOf: CellsOf,
  options: { chromium: ChromiumOptions; signal?: AbortSignal },
): Promise<PredictedPage[]> {
  const rendering = new DocumentRendering(text, config, { ...options, browsers: 1 });
  try {
    return await predictedPages(rendering, cellsOf);
  } finally {
    await rendering.close();
  }
}

/** The same with a rendering that goes on to draw the pages: it needs no second browser. */
export async function predictedPages(
  rendering: DocumentRendering,
  cellsOf: CellsOf,
): Promise<PredictedPage[]> {
  const pages: PredictedPage[] = [];
  // Where the lines of all pages lie would take as much memory as the text, several times.
  for await (const { lines: _, advances: __, ...page } of rendering.layout()) {
    const { rows, cols } = cellsOf(page);
    pages.push({ ...page, visualTokens: rows * cols });
  }
  return pages;
}

/**
 * Visual tokens that reach the decoder must have positions in it.
 *
 * @param contentDrops tokens that the plan drops because of what the pages show; unknown before they
 *   are drawn
 * @throws {GlyphpressError} GP_CONTEXT_LENGTH with both counts
 */
export function assertTokensFit(
  visualTokens: number,
  plan: PrunePlan,
  limit: number,
  contentDrops = 0,
): void {
  const predicted = predictEncodedTokens(visualTokens, plan, contentDrops);
  if (predicted <= limit) return;
  const dropped =
    predicted < visualTokens ? `, ${predicted} after the drop behind the encoder` : '';
  throw new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `The document takes ${visualTokens} visual tokens${dropped}; this model holds ${limit}`,
    hint: 'Render more densely, prune more right after the encoder, or split the document.',
    details: { visualTokens, encodedTokens: predicted, limit },
  });
}

/** Whether what the plan drops behind the encoder depends on what the pages show. */
export function dropsByContent({ encoder }: PrunePlan): boolean {
  return encoder?.method === 'blank' || encoder?.blank === 'drop' || encoder?.repeats === 'drop';
}
