/** Checkpoints for tests: real graphs in ONNX Runtime, small enough to be quick. */

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RawRenderConfig } from '../../src/render/index.js';
import { ROOT } from './repository.js';

/** GLM-4V with four decoder layers and random weights; says nothing of its training. */
export const TINY_MODEL = path.join(ROOT, 'test/fixtures/vlm/tiny-glm4v');

/**
 * A small trained reader (8.65 M parameters, four layers) that finds values by the words before them and
 * has a legibility probe: quick, and right where it was trained to be. vitest.config.ts makes it the model
 * of tests that name none.
 */
export const LOOK_UP_READER = path.join(ROOT, 'models/look-up-reader');

export const READER_PROBE = path.join(LOOK_UP_READER, 'probe');

/** What it was trained to read. */
export const LOOK_UP_RENDERING: RawRenderConfig = JSON.parse(
  readFileSync(path.join(LOOK_UP_READER, 'config.json'), 'utf8'),
).glyphpress.render;

/** The reader that ships: larger and slower, for what is about it. */
export const SHIPPED_READER = path.join(ROOT, 'models/reader');

/** A copy in `folder` that says of itself that it is untrained. */
export function untrainedModel(folder: string): string {
  return tinyModelThat(folder, { trained: false });
}

/** A copy in `folder` that reads passages without the pages. */
export function passagesAloneModel(folder: string): string {
  return tinyModelThat(folder, { passages: 'alone' });
}

function tinyModelThat(folder: string, glyphpress: Record<string, unknown>): string {
  cpSync(TINY_MODEL, folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, glyphpress }));
  return folder;
}

/** A copy in `folder` that holds fewer positions, so that short documents are too long for it. */
export function shortModel(model: string, folder: string, maxPositions: number): string {
  cpSync(model, folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.text_config.max_position_embeddings = maxPositions;
  writeFileSync(file, JSON.stringify(config));
  return folder;
}
