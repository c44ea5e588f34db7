/** How much text a page of a rendering holds: lengths in pages become lengths in characters. */

import { type ChromiumOptions, DocumentRendering, type RenderConfig } from '../render/index.js';
import { type Haystack, joinSentences } from './haystack.js';
import { SeededRandom } from './seeded-random.js';

/** Pages that are laid out (not drawn) to measure. */
const SAMPLE_PAGES = 4;
/** Texts differ in how well they fill lines; this much is left free, so that none runs over. */
const SLACK = 0.03;

/** Characters of this haystack that every page holds. Layout only: no page is drawn. */
export async function charactersPerPage(
  config: RenderConfig,
  haystack: Haystack,
  options: { chromium: ChromiumOptions; signal?: AbortSignal },
): Promise<number> {
  const random = new SeededRandom('page capacity');
  for (let characters = 40_000; ; characters *= 4) {
    const text = joinSentences(haystack(random, characters));
    const ends = await pageEnds(text, config, options);
    // The last page is not full unless another one follows.
    const full = ends.length > SAMPLE_PAGES ? ends.slice(0, SAMPLE_PAGES) : ends.slice(0, -1);
    if (full.length === 0) continue;
    const smallest = Math.min(...full.map((end, i) => end - (full[i - 1] ?? 0)));
    return Math.floor(smallest * (1 - SLACK));
  }
}

async function pageEnds(
  text: string,
  config: RenderConfig,
  { chromium, signal }: { chromium: ChromiumOptions; signal?: AbortSignal },
): Promise<number[]> {
  const ends: number[] = [];
  const rendering = new DocumentRendering(text, config, {
    chromium,
    browsers: 1,
    pageRange: { start: SAMPLE_PAGES, end: SAMPLE_PAGES },
    onPlanned: ({ sourceOffset }) => ends.push(sourceOffset),
    ...(signal && { signal }),
  });
  try {
    for await (const _ of rendering.pages());
  } finally {
    await rendering.close();
  }
  return ends;
}
