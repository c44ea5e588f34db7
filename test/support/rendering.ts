/** Real Chromium for tests: one document rendered whole. */

import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import {
  DocumentRendering,
  loadRenderConfig,
  type RenderConfig,
  type RenderedPage,
  type RenderOptions,
  type RenderSummary,
} from '../../src/render/index.js';

export const smallPage = {
  'page-size': '196,112',
  'margin-x': 4,
  'margin-y': 4,
  'font-family': 'DejaVu Sans',
  alignment: 'LEFT',
} as const;

export function smallConfig(overrides: Record<string, unknown> = {}): RenderConfig {
  return loadRenderConfig('default', { ...smallPage, 'grid-lock': false, ...overrides });
}

export interface Rendered {
  pages: RenderedPage[];
  summary: RenderSummary;
}

export async function renderAll(
  text: string,
  config: RenderConfig = smallConfig(),
  options: Partial<RenderOptions> = {},
): Promise<Rendered> {
  const rendering = new DocumentRendering(text, config, {
    chromium: chromiumOptions(),
    browsers: 1,
    ...options,
  });
  try {
    const pages: RenderedPage[] = [];
    for await (const page of rendering.pages()) pages.push(page);
    return { pages, summary: await rendering.summary() };
  } finally {
    await rendering.close();
  }
}

/** A number of words that differ from line to line, for documents of any length. */
export function words(count: number, seed = 1): string {
  const stems = [
    'harbour',
    'gate',
    'rope',
    'north',
    'ledger',
    'keeper',
    'tide',
    'signal',
    'of',
    'the',
    'a',
  ];
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return stems[state % stems.length];
  }).join(' ');
}
