/** The folder of a search: what it depends on, so that only the same search goes on in it. */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { differingParts } from '../pipeline/compress.js';

export const RUN_FILE = 'run.json';
export const TRIALS_FILE = 'trials.jsonl';
export const SUMMARY_FILE = 'summary.json';
export const REPORT_FILE = 'report.html';
export const TRANSCRIPT_FILE = 'llm.jsonl';
export const BEST_FOLDER = 'best';
export const CACHE_FOLDER = 'cache';

const FORM = 'glyphpress-search-1';

/**
 * Makes the folder, or checks that its search is this one.
 *
 * @param key what trials depend on
 * @throws {GlyphpressError} GP_ARTIFACT_MISMATCH, GP_OUTPUT_EXISTS, GP_ARTIFACT_DAMAGED
 */
export function openRunFolder(folder: string, key: Record<string, string>): void {
  const file = path.join(folder, RUN_FILE);
  if (existsSync(file)) {
    const differing = differingParts(readRunKey(folder), key);
    if (differing.length === 0) return;
    throw new GlyphpressError('GP_ARTIFACT_MISMATCH', {
      message: `${folder} holds a search with another ${differing.join(', ')}`,
      hint: 'Give another folder, or the options that the search was begun with.',
      details: { folder, differing },
    });
  }
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new GlyphpressError('GP_OUTPUT_EXISTS', {
      message: `${folder} holds something that is no search`,
      hint: 'Give another folder.',
      details: { folder },
    });
  }
  mkdirSync(folder, { recursive: true });
  writeWhole(file, `${JSON.stringify({ form: FORM, key }, null, 2)}\n`);
}

/** @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_ARTIFACT_DAMAGED */
export function readRunKey(folder: string): Record<string, string> {
  const file = path.join(folder, RUN_FILE);
  if (!existsSync(file)) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `${folder} holds no search: ${RUN_FILE} does not exist`,
      hint: 'Give the folder of a glyphpress search (-o).',
      details: { folder },
    });
  }
  try {
    const { form, key } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    if (form === FORM && typeof key === 'object' && key !== null)
      return key as Record<string, string>;
  } catch {}
  throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${file} does not describe a search of this version`,
    hint: 'Start a new search in another folder.',
    details: { file },
  });
}

/** A reader never sees half of it. */
export function writeWhole(file: string, data: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, data);
  renameSync(temporary, file);
}
