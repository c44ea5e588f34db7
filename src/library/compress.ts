/** Document → a folder that can be opened many times. */

import { assertNoOtherDocument } from '../pipeline/artifacts/compressed-folder.js';
import type { OpenHooks } from '../pipeline/backend.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import type { CompressionReport } from '../pipeline/report.js';
import { type DocumentInput, type InputOptions, readInput } from './input.js';
import { type ModelOptions, openModel, type ReadingOptions, readingSettings } from './reading.js';

export interface CompressOptions extends InputOptions, ReadingOptions, ModelOptions {
  /** Replace the context of another document. @defaultValue false */
  force?: boolean;
  browsers?: number;
  onProgress?: OpenHooks['onProgress'];
}

/**
 * Writes pages, report and context into `folder`. What is there already is kept where it was made from
 * the same document with the same settings.
 *
 * @throws {GlyphpressError} GP_OUTPUT_EXISTS, GP_OUTPUT_UNWRITABLE, GP_STORAGE, and as `open`
 */
export async function compress(
  input: DocumentInput,
  folder: string,
  options: CompressOptions = {},
): Promise<CompressionReport> {
  const { signal, onProgress, browsers, force = false } = options;
  const document = await readInput(input, options);
  if (!force) await assertNoOtherDocument(folder, document);
  const { model, close } = await openModel(options);
  try {
    const backend = new LocalBackend(model, { contexts: { locate: () => folder }, browsers });
    const settings = readingSettings(options, model.info);
    const opened = await backend.open(document, settings, { signal, onProgress });
    await opened.close();
    return opened.report;
  } finally {
    await close();
  }
}
