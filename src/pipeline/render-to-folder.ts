/** Document → pages on disk, with the figures that rendering alone can tell. */

import { GlyphpressError } from '../errors.js';
import { blankCells, countBlank } from '../prune/index.js';
import {
  DocumentRendering,
  type RenderConfig,
  type RenderedPage,
  type RenderOptions,
  type RenderSummary,
} from '../render/index.js';
import { type ForeignFiles, writePages } from './artifacts/page-folder.js';
import { decodePage } from './artifacts/page-images.js';
import type { RenderProgress } from './artifacts/page-source.js';
import { gridOf, type PageSize, visualTokensOf } from './cells.js';
import type { SourceDocument } from './read-document.js';
import { countTextTokens, DEFAULT_TEXT_TOKENIZER } from './text-tokens.js';

export interface RenderToFolderOptions extends Omit<RenderOptions, 'onPlanned'> {
  onPage?: ((progress: RenderProgress) => void) | undefined;
  /** What to do where the folder holds files that glyphpress did not write. @defaultValue 'keep' */
  foreignFiles?: ForeignFiles | undefined;
  /** Look into the pixels of every page. @defaultValue false */
  countBlank?: boolean;
}

export interface RenderResult {
  documentId: string;
  renderConfigId: string;
  pages: number;
  characters: number;
  textTokens: number;
  tokenizer: string;
  visualTokens: number;
  /** Of the pages that were drawn; of the whole document unless a page range was given. */
  renderRatio: number;
  /** Visual tokens of cells without ink; null unless they were counted. */
  blankTokens: number | null;
  /** renderRatio without the blank ones; null unless they were counted. */
  inkedRatio: number | null;
  missingGlyphs: number;
  controlCharacters: number;
  invisibleCharacters: number;
  missingSample: string[];
  fontSubstitution: RenderSummary['fontSubstitution'];
  renderer: RenderSummary['renderer'];
  browserRestarts: number;
  renderMs: number;
  pagesPerSecond: number;
}

/** `glyphpress render`: pages, `pages.json`, and the ratio that they reach. */
export async function renderToFolder(
  document: SourceDocument,
  config: RenderConfig,
  folder: string,
  options: RenderToFolderOptions,
): Promise<RenderResult> {
  const start = performance.now();
  const sizes: PageSize[] = [];
  let [from, to] = [Number.POSITIVE_INFINITY, 0];
  let blankTokens = options.countBlank ? 0 : null;
  const rendering = new DocumentRendering(document.text, config, options);
  const take = async (page: RenderedPage, progress: RenderProgress) => {
    sizes.push({ widthPx: page.widthPx, heightPx: page.heightPx });
    from = Math.min(from, page.lines[0]!.start);
    to = page.lines.at(-1)!.end;
    if (blankTokens !== null) {
      const grid = gridOf(page, config.visualTokenPx);
      blankTokens += countBlank({ blank: blankCells(await decodePage(page.png), grid) });
    }
    options.onPage?.(progress);
  };
  let summary: RenderSummary;
  try {
    if ((await writePages(rendering, folder, document, take, options.foreignFiles)) === 0)
      throw behindTheEnd(options.pageRange!.start);
    summary = await rendering.summary();
  } finally {
    await rendering.close();
  }
  const renderMs = performance.now() - start;
  const isWhole = options.pageRange === undefined;
  const textTokens = countTextTokens(isWhole ? document.text : document.text.slice(from, to));
  const visualTokens = visualTokensOf(sizes, config.visualTokenPx);
  return {
    documentId: document.id,
    renderConfigId: summary.renderConfigId,
    pages: sizes.length,
    characters: summary.characters,
    textTokens,
    tokenizer: DEFAULT_TEXT_TOKENIZER,
    visualTokens,
    renderRatio: visualTokens === 0 ? 0 : textTokens / visualTokens,
    blankTokens,
    inkedRatio: blankTokens === null ? null : textTokens / Math.max(1, visualTokens - blankTokens),
    ...summary.counts,
    missingSample: summary.missingSample,
    fontSubstitution: summary.fontSubstitution,
    renderer: summary.renderer,
    browserRestarts: summary.browserRestarts,
    renderMs,
    pagesPerSecond: (sizes.length / renderMs) * 1000,
  };
}

function behindTheEnd(firstPage: number): GlyphpressError {
  return new GlyphpressError('GP_USAGE', {
    message: `The document ends before page ${firstPage + 1}`,
    hint: 'Give an earlier first page.',
    details: { firstPage: firstPage + 1 },
  });
}
