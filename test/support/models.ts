/** Checkpoints for tests: real graphs in ONNX Runtime, small enough to be quick. */

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './repository.js';

/** GLM-4V with four decoder layers and random weights; says nothing of its training. */
export const TINY_MODEL = path.join(ROOT, 'test/fixtures/vlm/tiny-glm4v');

/** A trained tower with an unfinished decoder, without its probe. */
export const TRAINED_TOWER = path.join(ROOT, 'models/reader');

/** The legibility probe of every reader with this code of visual tokens. */
export const READER_PROBE = path.join(ROOT, 'models/reader/probe');

/** A copy in `folder` that says of itself that it is untrained. */
export function untrainedModel(folder: string): string {
  cpSync(TINY_MODEL, folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, glyphpress: { trained: false } }));
  return folder;
}
