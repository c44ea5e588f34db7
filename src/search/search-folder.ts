/** The folder of a search: what lies in it, so that only the same search goes on in it. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { openRunFolder, RUN_FILE, type RunForm, readRunKey } from '../store/run-folder.js';

export const TRIALS_FILE = 'trials.jsonl';
export const SUMMARY_FILE = 'summary.json';
export const REPORT_FILE = 'report.html';
export const TRANSCRIPT_FILE = 'llm.jsonl';
export const BEST_FOLDER = 'best';
export const CACHE_FOLDER = 'cache';

const FORM: RunForm = { form: 'glyphpress-search-1', name: 'search', article: 'a', run: 'search' };

/**
 * @param key what trials depend on
 * @throws {GlyphpressError} as {@link openRunFolder}
 */
export function openSearchFolder(folder: string, key: Record<string, string>): void {
  openRunFolder(folder, FORM, key);
}

/** @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_ARTIFACT_DAMAGED */
export function checkSearchFolder(folder: string): void {
  if (!existsSync(path.join(folder, RUN_FILE))) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `${folder} holds no search: ${RUN_FILE} does not exist`,
      hint: 'Give the folder of a glyphpress search (-o).',
      details: { folder },
    });
  }
  readRunKey(folder, FORM);
}
