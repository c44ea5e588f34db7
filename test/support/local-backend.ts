/** Documents opened with a model that runs here, for tests. */

import { drawPages, layoutOf, type OpenPages } from '../../src/pipeline/artifacts/page-source.js';
import type { OpenHooks, ReadingSettings } from '../../src/pipeline/backend.js';
import { LocalBackend, type LocalBackendOptions } from '../../src/pipeline/backends/local.js';
import type { LocalDocument } from '../../src/pipeline/backends/local-document.js';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import type { SourceDocument } from '../../src/pipeline/read-document.js';
import { type RenderedPage, type RenderSummary, renderConfigId } from '../../src/render/index.js';
import type { VisionLanguageModel } from '../../src/vlm/index.js';

export type OpenOptions = OpenHooks & Pick<LocalBackendOptions, 'chromium' | 'openPages'>;

/** The context lies in `folder`, as after `glyphpress compress -o`. */
export function openInFolder(
  model: VisionLanguageModel,
  folder: string,
  document: SourceDocument,
  settings: ReadingSettings,
  { chromium, openPages, ...hooks }: OpenOptions = {},
): Promise<LocalDocument> {
  const contexts = { locate: () => folder };
  const backend = new LocalBackend(model, { contexts, browsers: 1, chromium, openPages });
  return backend.open(document, settings, hooks);
}

/** For calls that must find everything in place. */
export const noBrowser = {
  chromium: () => {
    throw new Error('no browser is needed here');
  },
};

interface Drawn {
  pages: RenderedPage[];
  summary: RenderSummary;
}

/** Draws each text with each config once, and gives the same pages again: for tests of what follows. */
export function drawnOnce(): OpenPages {
  const draw = drawPages({ chromium: chromiumOptions, browsers: 1 });
  const drawn = new Map<string, Drawn>();
  return async (document, config, options) => {
    const key = `${document.id} ${renderConfigId(config)}`;
    const known = drawn.get(key);
    if (known) return replay(known);
    const source = await draw(document, config, options);
    const taken: RenderedPage[] = [];
    return {
      ...source,
      async *pages() {
        for await (const page of source.pages()) {
          taken.push(page);
          yield page;
        }
        drawn.set(key, { pages: taken, summary: await source.summary() });
      },
    };
  };
}

async function replay({ pages, summary }: Drawn): ReturnType<OpenPages> {
  return {
    cached: false,
    async *layout() {
      yield* pages.map(layoutOf);
    },
    async *pages() {
      yield* pages;
    },
    summary: async () => summary,
    close: async () => {},
  };
}
