import { describe, expect, it } from 'vitest';
import { Engine } from '../../src/vlm/engine.js';
import { inspectModel } from '../../src/vlm/inspect.js';
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

describe('a model without a tower', () => {
  it('says so, and takes no page', async () => {
    const { checkpoint } = fixture('llama');
    expect(inspectModel(checkpoint)).toMatchObject({ family: 'llama', vision: null, page: null });
    const engine = await Engine.open(checkpoint, { threads: 1, dtype: 'fp32' });
    const page = { data: new Uint8Array(28 * 28), widthPx: 28, heightPx: 28, channels: 1 } as const;
    await expect(engine.encodeImage(page)).rejects.toMatchObject({ code: 'GP_MODEL_NO_VISION' });
    await engine.close();
  });
});
