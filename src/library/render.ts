/** Document → page images, and what they will cost before they are drawn. */

import { DEFAULT_MODEL } from '../package-file.js';
import { gridOf, type PageSize } from '../pipeline/cells.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { predictPageTokens } from '../pipeline/predict-tokens.js';
import { type RenderResult, renderToFolder } from '../pipeline/render-to-folder.js';
import { resolveRendering } from '../pipeline/settings.js';
import { countTextTokens, DEFAULT_TEXT_TOKENIZER } from '../pipeline/text-tokens.js';
import { renderingOf } from '../vlm/index.js';
import { type DocumentInput, type InputOptions, readInput } from './input.js';
import type { ReadingOptions } from './reading.js';

export interface RenderingOptions extends InputOptions, Pick<ReadingOptions, 'rendering'> {
  /** Folder of the model whose rendering is the default. @defaultValue the shipped reader */
  model?: string;
}

export interface RenderOptions extends RenderingOptions {
  /** Draw into a folder that holds other files; they stay. @defaultValue false */
  force?: boolean;
  browsers?: number;
  /** `pagesDone` counts pages; `share` is that of the document, 0 to 1. */
  onPage?: (progress: { pagesDone: number; share: number }) => void;
}

/**
 * Draws page-0001.png … and pages.json, the span map: which characters of the source each line box holds.
 *
 * @throws {GlyphpressError} GP_INPUT_…, GP_CONFIG_…, GP_OUTPUT_…, GP_STORAGE, GP_BROWSER_…
 * @throws the signal's reason
 */
export async function render(
  input: DocumentInput,
  folder: string,
  options: RenderOptions = {},
): Promise<RenderResult> {
  const { signal, browsers, onPage, force = false } = options;
  const document = await readInput(input, options);
  return renderToFolder(document, configOf(options), folder, {
    chromium: chromiumOptions(),
    browsers,
    signal,
    onPage,
    foreignFiles: force ? 'keep' : 'refuse',
  });
}

export interface TokenEstimate {
  characters: number;
  /** Tokens of the text in `tokenizer`. */
  textTokens: number;
  tokenizer: string;
  pages: number;
  /** Cells of all pages, as GLM-4V counts them. */
  visualTokens: number;
  /** textTokens / visualTokens */
  renderRatio: number;
}

/**
 * What pages will cost, from their layout alone: nothing is drawn or encoded. Exact where pages are not
 * cropped; a cropped page may differ by a row or a column of cells.
 *
 * @throws {GlyphpressError} as {@link render}
 */
export async function estimateTokens(
  input: DocumentInput,
  options: RenderingOptions = {},
): Promise<TokenEstimate> {
  const { signal } = options;
  const { text } = await readInput(input, options);
  const config = configOf(options);
  const cellsOf = (page: PageSize) => gridOf(page, config.visualTokenPx);
  const pages = await predictPageTokens(text, config, cellsOf, {
    chromium: chromiumOptions(),
    ...(signal && { signal }),
  });
  const textTokens = countTextTokens(text);
  const visualTokens = pages.reduce((sum, page) => sum + page.visualTokens, 0);
  return {
    characters: text.length,
    textTokens,
    tokenizer: DEFAULT_TEXT_TOKENIZER,
    pages: pages.length,
    visualTokens,
    renderRatio: visualTokens === 0 ? 0 : textTokens / visualTokens,
  };
}

function configOf({ rendering, model = DEFAULT_MODEL }: RenderingOptions) {
  return rendering === undefined
    ? resolveRendering(undefined, renderingOf(model))
    : resolveRendering({ config: rendering });
}
