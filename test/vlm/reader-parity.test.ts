/** The shipped reader against Hugging Face's class on real pages; see training/fixtures/make_reader_golden.py. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodePage } from '../../src/pipeline/artifacts/page-images.js';
import { type PromptImage, SafetensorsFile, VisionLanguageModel } from '../../src/vlm/index.js';
import { maxAbsDifference, READER } from './golden.js';

const folder = fileURLToPath(new URL('../fixtures/reader', import.meta.url));
const { question, rows } = JSON.parse(readFileSync(`${folder}/question.json`, 'utf8'));
const golden = SafetensorsFile.open(`${folder}/golden.safetensors`);

/** float32 there and here, over many layers. */
const TOLERANCE = 1e-3;

describe('the shipped reader against transformers 5.18.0', () => {
  let model: VisionLanguageModel;
  beforeAll(async () => {
    model = await VisionLanguageModel.open(READER);
  });
  afterAll(async () => {
    await model.close();
    golden.close();
  });

  it('is the checkpoint that the golden file was made with', () => {
    const weights = createHash('sha256').update(readFileSync(`${READER}/model.safetensors`));
    expect(golden.metadata.weights_sha256).toBe(weights.digest('hex'));
  });

  const cases: [string, number[]][] = [
    ['page1', [1]],
    ['page2', [2]],
    ['page3', [3]],
    ['all', [1, 2, 3]],
  ];
  it.each(cases)('gives the same logits, %s', async (name, pages) => {
    const images: PromptImage[] = [];
    for (const page of pages) {
      const image = await decodePage(readFileSync(`${folder}/page-000${page}.png`));
      const { tokenGrid, tokens } = await model.encodeImage(image);
      const kept = Int32Array.from({ length: tokenGrid.rows * tokenGrid.cols }, (_, cell) => cell);
      images.push({ tokenGrid, tokens, kept });
    }
    const { logits } = await model.forward(images, question);
    const expected = golden.readFloat32(`${name}.logits`);
    const last = logits.subarray(logits.length - rows * model.info.vocabSize);
    expect(maxAbsDifference(last, expected)).toBeLessThanOrEqual(TOLERANCE);
  });
});
