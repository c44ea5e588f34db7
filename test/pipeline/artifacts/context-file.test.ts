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
  KV_DTYPES,
  type KvDtype,
  type KvRows,
  kvFromFloat32,
  type PrefilledContext,
} from '../../../src/vlm/index.js';
import { sharedFolder, temporaryFolder } from '../../support/folders.js';

const folder = sharedFolder();
const SHAPE = { kvHeads: 2, headDim: 3 };
const as = (dtype: KvDtype, rows: KvRows) =>
  kvFromFloat32(rows as Float32Array, dtype, SHAPE.headDim);

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

  it('is the same context: float32 as float16, eight bits as they are', async () => {
    const layers = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    const cells = fc.array(
      fc.array(fc.uniqueArray(fc.nat(500), { maxLength: 6 }), { minLength: 1, maxLength: 13 }),
      { maxLength: 3 },
    );
    const dtypes = fc.constantFrom(...KV_DTYPES);
    await fc.assert(
      fc.asyncProperty(layers, cells, dtypes, async (lengths, kept, dtype) => {
        const plain = context(lengths, kept);
        const inType = (to: KvDtype) => ({
          ...plain,
          layers: plain.layers.map(({ length, keys, values }) => ({
            length,
            keys: as(to, keys),
            values: as(to, values),
          })),
        });
        const original = inType(dtype);
        const { kvBytes, read } = await store(original);
        expect(read).toEqual(dtype === 'int8' ? original : inType('fp16'));
        // Three halves, or three codes and a scale.
        const rowBytes = dtype === 'int8' ? 3 + 4 : 2 * 3;
        expect(kvBytes).toBe(lengths.reduce((sum, n) => sum + n * 2 * 2 * rowBytes, 0));
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
