/** The folder of a run that may be broken off: what it depends on, so that only the same run goes on in it. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { makeFolderSync } from '../output-folder.js';
import { differingParts } from './artifact-key.js';
import { writeWholeSync } from './write-whole.js';

export const RUN_FILE = 'run.json';

/** What is run. */
export interface RunForm {
  /** Stands in `run.json`, with its version. */
  form: string;
  /** For people, with the article that it takes. */
  name: string;
  article: 'a' | 'an';
  /** What one of them is called. */
  run: string;
}

/**
 * Makes the folder, or checks that its run is this one.
 *
 * @param key what the results depend on
 * @throws {GlyphpressError} GP_ARTIFACT_MISMATCH, GP_OUTPUT_EXISTS, GP_ARTIFACT_DAMAGED
 */
export function openRunFolder(folder: string, kind: RunForm, key: Record<string, string>): void {
  const file = path.join(folder, RUN_FILE);
  if (existsSync(file)) {
    const differing = differingParts(readRunKey(folder, kind), key);
    if (differing.length === 0) return;
    throw new GlyphpressError('GP_ARTIFACT_MISMATCH', {
      message: `${folder} holds a ${kind.run} with another ${differing.join(', ')}`,
      hint: `Give another folder, or the options that the ${kind.run} was begun with.`,
      details: { folder, differing },
    });
  }
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new GlyphpressError('GP_OUTPUT_EXISTS', {
      message: `${folder} holds something that is no ${kind.name}`,
      hint: 'Give another folder.',
      details: { folder },
    });
  }
  makeFolderSync(folder);
  writeWholeSync(file, `${JSON.stringify({ form: kind.form, key }, null, 2)}\n`);
}

/**
 * @param folder holds a run
 * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED
 */
export function readRunKey(folder: string, kind: RunForm): Record<string, string> {
  const file = path.join(folder, RUN_FILE);
  try {
    const { form, key } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    if (form === kind.form && typeof key === 'object' && key !== null)
      return key as Record<string, string>;
  } catch {}
  throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${file} does not describe ${kind.article} ${kind.name} of this version`,
    hint: `Start a new ${kind.run} in another folder.`,
    details: { file },
  });
}
