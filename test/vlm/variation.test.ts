/** What only glm4v's fixture is asked; the rest of its parity is in families.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/vlm/engine.js';
import { CASES, Golden, maxAbsDifference, TINY, TOLERANCE } from './golden.js';
import { goldenPrompt, type Prompt } from './prompts.js';

describe.each(CASES)('variation of rows, case %s', (name) => {
  const golden = new Golden(name);
  let engine: Engine;
  let prompt: Prompt;

  beforeAll(async () => {
    engine = await Engine.open(TINY, { threads: 2 });
    prompt = await goldenPrompt(engine, golden);
  });
  afterAll(() => engine.close());

  it('scores variation as the norm of what a layer changed', async () => {
    const { hidden } = await engine.forward(prompt.whole, [1, 2, 3]);
    const width = engine.checkpoint.config.text.hiddenSize;
    for (const layer of [2, 3]) {
      const expected = movement(
        golden.floats(`hidden.${layer - 2}`),
        golden.floats(`hidden.${layer - 1}`),
        width,
      );
      const stage = hidden.find((entry) => entry.layer === layer)!;
      expect(maxAbsDifference(stage.variation!, expected)).toBeLessThanOrEqual(TOLERANCE);
    }
  });

  it('scores the last layer of a stage of several', async () => {
    const other = await Engine.open(TINY, { threads: 1, cuts: [3] });
    const { hidden } = await other.forward(prompt.whole, []);
    await other.close();
    expect(hidden.map(({ layer }) => layer)).toEqual([3, 4]);
    const expected = movement(golden.floats('hidden.1'), golden.floats('hidden.2'), 64);
    expect(maxAbsDifference(hidden[0]!.variation!, expected)).toBeLessThanOrEqual(TOLERANCE);
  });
});

/** Norm of each row's change. */
function movement(before: Float32Array, after: Float32Array, width: number): Float32Array {
  return Float32Array.from({ length: after.length / width }, (_, row) => {
    let sum = 0;
    for (let d = row * width; d < (row + 1) * width; d += 1) sum += (after[d]! - before[d]!) ** 2;
    return Math.sqrt(sum);
  });
}
