import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CONTEXT_FILE,
  readContext,
  writeContext,
} from '../../../src/pipeline/artifacts/context-file.js';
import {
  float16ToFloat32,
  float32ToFloat16,
  type PrefilledContext,
} from '../../../src/vlm/index.js';
import { sharedFolder, temporaryFolder } from '../../support/folders.js';

const folder = sharedFolder();
const SHAPE = { kvHeads: 2, headDim: 3 };
const rounded = (values: Float32Array) => float16ToFloat32(float32ToFloat16(values));

/** Rows that differ in every value; no row of `length` is shared by two layers. */
function context(lengths: number[], cells: number[][][]): PrefilledContext {
  const values = (length: number, seed: number) =>
    Float32Array.from(
      { length: length * SHAPE.kvHeads * SHAPE.headDim },
      (_, i) => Math.sin(seed * 1000 + i) * 10 ** ((i % 7) - 3),
    );
  return {
    layers: lengths.map((length, layer) => ({
      length,
      keys: values(length, 2 * layer),
      values: values(length, 2 * layer + 1),
    })),
    nextPosition: 77,
    promptTokens: lengths[0]!,
    layerVisualTokens: lengths.map((length) => Math.max(0, length - 2)),
    keptCells: cells.map((images) =>
      images.map((cell, image) => ({ image, cell: Int32Array.from(cell) })),
    ),
  };
}

describe('a context on disk', () => {
  const store = async (original: PrefilledContext) => {
    const kvBytes = await writeContext(folder, original, SHAPE);
    return { kvBytes, read: readContext(readFileSync(path.join(folder, CONTEXT_FILE))) };
  };

  it('is the same context, keys and values rounded to float16', async () => {
    const layers = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    const cells = fc.array(
      fc.array(fc.uniqueArray(fc.nat(500), { maxLength: 6 }), { minLength: 1, maxLength: 13 }),
      { maxLength: 3 },
    );
    await fc.assert(
      fc.asyncProperty(layers, cells, async (lengths, kept) => {
        const original = context(lengths, kept);
        const { kvBytes, read } = await store(original);
        expect(read).toEqual({
          ...original,
          layers: original.layers.map(({ length, keys, values }) => ({
            length,
            keys: rounded(keys),
            values: rounded(values),
          })),
        });
        expect(kvBytes).toBe(lengths.reduce((sum, n) => sum + n * 2 * 3 * 2 * 2, 0));
      }),
      { numRuns: 60 },
    );
  });

  it('keeps a second time every bit that it kept at first', async () => {
    const { read } = await store(context([4, 2], [[[1, 5]]]));
    const again = await store(read);
    expect(again.read).toEqual(read);
  });

  it('is refused when its form is broken', () => {
    const bytes = readFileSync(path.join(folder, CONTEXT_FILE));
    for (const broken of [bytes.subarray(0, 4), bytes.subarray(0, -1), Buffer.from('{}')]) {
      expect(() => readContext(broken)).toThrow(
        expect.objectContaining({ code: 'GP_ARTIFACT_DAMAGED' }),
      );
    }
  });

  it('needs a folder', async () => {
    const file = path.join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    await expect(writeContext(file, context([1], []), SHAPE)).rejects.toThrow();
  });
});
