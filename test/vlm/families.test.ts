import { describe } from 'vitest';
import { testFamily } from './family-contract.js';
import { FIXTURES, TINY } from './golden.js';

/** By family, and by the text decoder where a family takes several. */
const WITH_VISION = [
  'glm_ocr',
  'lighton_ocr-llama',
  'lighton_ocr-qwen3',
  'qwen2_vl',
  'qwen2_5_vl',
  'qwen3_vl',
];
const TEXT_ONLY = ['llama', 'qwen2', 'qwen3'];

const fixture = (name: string) => ({
  name,
  folder: `${FIXTURES}/${name}`,
  checkpoint: `${FIXTURES}/${name}/model`,
});

describe('against transformers 5.24.0', () => {
  for (const name of WITH_VISION) testFamily(fixture(name), { vision: true });
  for (const name of TEXT_ONLY) testFamily(fixture(name), { vision: false });
});

describe('against transformers 5.18.0', () => {
  testFamily({ name: 'glm4v', folder: FIXTURES, checkpoint: TINY }, { vision: true });
});
