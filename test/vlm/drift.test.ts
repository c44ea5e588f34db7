import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { measureDrift } from '../../src/vlm/drift.js';
import { KNOWN_MODELS, knownModelSizes } from '../../src/vlm/known-models.js';
import { quantiseToFolder } from '../../src/vlm/weights/quantised-folder.js';
import { TINY } from './golden.js';

const cacheDir = mkdtempSync(join(tmpdir(), 'glyphpress-drift-'));
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

describe('measureDrift', () => {
  const text = 'The keeper writes down which boats lie there.';
  const options = { cacheDir, threads: 1 };

  it('is nothing for float32, and grows as bits fall', async () => {
    const none = await measureDrift(TINY, 'fp32', text, options);
    expect(none).toMatchObject({
      layers: [0, 0, 0, 0],
      logitKl: { mean: 0, max: 0 },
      sameToken: 1,
      vision: { mean: 0, max: 0 },
    });
    const int8 = await measureDrift(TINY, 'int8', text, options);
    const int4 = await measureDrift(TINY, 'int4', text, options);
    expect(int8.rows).toBe(none.rows);
    for (const [layer, error] of int4.layers.entries()) {
      expect(int8.layers[layer]).toBeGreaterThan(0);
      expect(error).toBeGreaterThan(int8.layers[layer]!);
    }
    expect(int4.logitKl.mean).toBeGreaterThan(int8.logitKl.mean);
    expect(int4.logitKl.max).toBeGreaterThanOrEqual(int4.logitKl.mean);
    // The tower is in halves in both.
    expect(int8.vision!.mean).toBeGreaterThan(0);
    expect(int8.vision!.max).toBeLessThan(0.01);
    expect(int4.vision).toEqual(int8.vision);
  });

  it('is measured from the model that another was made from, too', async () => {
    const out = join(cacheDir, 'shipped');
    await quantiseToFolder(TINY, out, { dtype: 'int8', head: 'int8', vision: 'fp16' });
    const own = await measureDrift(out, 'int8', text, options);
    const made = await measureDrift(out, 'int8', text, { ...options, original: TINY });
    // Against its own numbers only the rounded rows of a product tell; against the original, its weights too.
    expect(own.logitKl.mean).toBeGreaterThan(0);
    expect(made.logitKl.mean).toBeGreaterThan(own.logitKl.mean);
    expect(own.vision!.max).toBe(0);
    expect(made.vision!.max).toBeGreaterThan(0);
  });

  it('needs some text', async () => {
    await expect(measureDrift(TINY, 'int8', 'no', options)).rejects.toMatchObject({
      code: 'GP_INPUT_EMPTY',
    });
  });
});

describe('known models', () => {
  const sizes = new Map(KNOWN_MODELS.map((model) => [model.id, knownModelSizes(model)]));

  // As their makers state them, embedding included.
  it.each([
    ['zai-org/Glyph', 10.29e9, 28],
    ['Qwen/Qwen3-VL-2B-Instruct', 2.13e9, 32],
    ['Qwen/Qwen2.5-VL-3B-Instruct', 3.75e9, 28],
    ['HuggingFaceTB/SmolLM2-135M-Instruct', 134.5e6, null],
    ['Qwen/Qwen2.5-0.5B-Instruct', 494e6, null],
    ['Qwen/Qwen3-0.6B', 596e6, null],
  ])('%s has the size that it is known for', (id, parameters, cellPx) => {
    const model = sizes.get(id)!;
    expect(model.parameters / parameters).toBeCloseTo(1, 2);
    expect(model.cellPx).toBe(cellPx);
    expect(model.memory.int4).toBeLessThan(model.memory.int8);
    expect(model.memory.int8).toBeLessThan(model.memory.fp32);
    expect(model.memory.fp16).toBe(model.memory.fp32);
  });
});
