/** Documents opened with a model that runs here, for tests. */

import type { OpenHooks, ReadingSettings } from '../../src/pipeline/backend.js';
import { LocalBackend, type LocalBackendOptions } from '../../src/pipeline/backends/local.js';
import type { LocalDocument } from '../../src/pipeline/backends/local-document.js';
import type { SourceDocument } from '../../src/pipeline/read-document.js';
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
