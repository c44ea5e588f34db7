/** Quantised models in ONNX Runtime, held against float32 models of the same numbers. */

import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { EMBEDDING } from '../../src/vlm/decoders/decoder-graph.js';
import { Engine, type EngineOptions } from '../../src/vlm/engine.js';
import { float16ToFloat32 } from '../../src/vlm/float16.js';
import { inspectModel } from '../../src/vlm/inspect.js';
import { VisionLanguageModel } from '../../src/vlm/model.js';
import { relativeError } from '../../src/vlm/relative-error.js';
import { SafetensorsFile } from '../../src/vlm/safetensors.js';
import type { WritableTensor } from '../../src/vlm/safetensors-writer.js';
import { chooseDtype, weightMemory } from '../../src/vlm/weights/dtype.js';
import { placeWeights } from '../../src/vlm/weights/placement.js';
import { dequantiseRows, quantiseSymmetric } from '../../src/vlm/weights/quantise.js';
import { quantiseToFolder } from '../../src/vlm/weights/quantised-folder.js';
import {
  type Dtype,
  modelHash,
  QUANTISER_VERSION,
  weightUses,
} from '../../src/vlm/weights/recipe.js';
import { findWeight, readRows } from '../../src/vlm/weights/stored-weight.js';
import { Golden, maxAbsDifference, TINY } from './golden.js';
import { goldenPrompt } from './prompts.js';
import {
  asF16,
  asF32,
  copyCheckpoint,
  replaceWeights,
  tinyWeights,
  type Variant,
} from './variants.js';

const scratch = mkdtempSync(join(tmpdir(), 'glyphpress-weights-'));
const opened: Variant[] = [];
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
  for (const { remove } of opened) remove();
});
const cacheDir = join(scratch, 'cache');

function variant(): Variant {
  const copy = copyCheckpoint();
  opened.push(copy);
  return copy;
}

async function run(dir: string, options: EngineOptions = {}) {
  const engine = await Engine.open(dir, { threads: 1, cacheDir, ...options });
  try {
    const prompt = await goldenPrompt(engine, new Golden('three'));
    const { logits, hidden } = await engine.forward(prompt.whole, [1, 2, 3]);
    const prefilled = await engine.prefill(prompt.whole, [], {
      select: async () => new Int32Array(),
    });
    const keys = prefilled.caches.at(-1)!.toContext().keys as Float32Array;
    return { logits, hidden: hidden.at(-1)!.data, keys, features: prompt.encoded[0]!.tokens };
  } finally {
    await engine.close();
  }
}

/** The numbers that the quantised weights stand for, as a float32 checkpoint. */
async function dequantised(dtype: Dtype): Promise<string> {
  const checkpoint = openCheckpoint(TINY);
  const { derivedFile } = await placeWeights(checkpoint, dtype, { cacheDir });
  const shard = SafetensorsFile.open(derivedFile!);
  const tensors: WritableTensor[] = [...checkpoint.weights].map(([name, original]) => {
    const weight = findWeight([name], original.shape, [shard]) ?? original;
    return {
      name,
      dtype: 'F32',
      shape: original.shape,
      data: readRows(weight, 0, original.shape[0]!),
    };
  });
  const { dir } = variant();
  await replaceWeights(dir, tensors);
  shard.close();
  checkpoint.close();
  return dir;
}

describe.each<[Dtype, 1 | 4, number]>([
  ['int4', 1, 1e-3],
  ['int8', 1, 1e-3],
  ['fp16', 1, 1e-3],
])('a model in %s at accuracy level %i', (dtype, accuracyLevel, tolerance) => {
  it('computes what float32 computes with the dequantised weights', async () => {
    const actual = await run(TINY, { dtype, accuracyLevel });
    const expected = await run(await dequantised(dtype), { dtype: 'fp32' });
    for (const part of ['features', 'hidden', 'logits'] as const) {
      expect(maxAbsDifference(actual[part], expected[part])).toBeLessThanOrEqual(tolerance);
    }
    // And it is not the original: something was rounded.
    const original = await run(TINY, { dtype: 'fp32' });
    expect(maxAbsDifference(actual.logits, original.logits)).toBeGreaterThan(0);
  });
});

describe('a quantised model', () => {
  it('multiplies several rows in float32, and one alone as fast as it can', async () => {
    const expected = await run(await dequantised('int4'), { dtype: 'fp32' });
    const several = await run(TINY, { dtype: 'int4' });
    expect(maxAbsDifference(several.keys, expected.keys)).toBeLessThanOrEqual(1e-3);
    const one = await run(TINY, { dtype: 'int4', prefillChunk: 1 });
    expect(relativeError(one.keys, expected.keys)).toBeGreaterThan(1e-3);
    expect(relativeError(one.keys, expected.keys)).toBeLessThan(0.1);
    const exact = await run(TINY, { dtype: 'int4', prefillChunk: 1, accuracyLevel: 1 });
    expect(maxAbsDifference(exact.keys, expected.keys)).toBeLessThanOrEqual(1e-3);
  });

  it.each<[Dtype, number]>([
    ['int8', 0.08],
    ['int4', 0.35],
  ])('in %s stays near the original at the fast level', async (dtype, relative) => {
    const { keys } = await run(TINY, { dtype, prefillChunk: 1 });
    const original = await run(TINY, { dtype: 'fp32' });
    expect(relativeError(keys, original.keys)).toBeLessThan(relative);
  });

  it('is derived once, from half precision too, and again when the file was cut short', async () => {
    const { dir } = variant();
    await replaceWeights(dir, tinyWeights().map(asF16));
    const own = join(scratch, 'own');
    const first = await run(dir, { dtype: 'int4', cacheDir: own });
    const [model] = readdirSync(join(own, 'models'));
    const file = join(own, 'models', model!, `weights-int4-v${QUANTISER_VERSION}.safetensors`);
    const { mtimeMs, size } = statSync(file);
    await run(dir, { dtype: 'int4', cacheDir: own });
    expect(statSync(file).mtimeMs).toBe(mtimeMs);
    truncateSync(file, size - 1000);
    const again = await run(dir, { dtype: 'int4', cacheDir: own });
    expect(statSync(file).size).toBe(size);
    expect(maxAbsDifference(again.logits, first.logits)).toBe(0);
  });

  it('does not depend on how many rows are turned at a time', async () => {
    const checkpoint = openCheckpoint(TINY);
    const bytes = async (name: string, pieceElements: number) => {
      const options = { cacheDir: join(scratch, name), pieceElements };
      const { derivedFile } = await placeWeights(checkpoint, 'int4', options);
      const file = SafetensorsFile.open(derivedFile!);
      const all = [...file.tensors.keys()].map((tensor) => Buffer.from(file.readBytes(tensor)));
      file.close();
      return Buffer.concat(all);
    };
    expect(Buffer.compare(await bytes('small', 100), await bytes('large', 1e7))).toBe(0);
    checkpoint.close();
  });

  it('refuses weights that are no numbers', async () => {
    const { dir } = variant();
    const weights = tinyWeights();
    weights.find(({ name }) => name.endsWith('layers.2.mlp.down_proj.weight'))!.data[7] =
      Number.NaN;
    await replaceWeights(dir, weights.map(asF32));
    const checkpoint = openCheckpoint(dir);
    const own = join(scratch, 'nan');
    await expect(placeWeights(checkpoint, 'int4', { cacheDir: own })).rejects.toMatchObject({
      code: 'GP_TENSOR_VALUE',
      message: expect.stringContaining('layers.2.mlp.down_proj.weight holds NaN'),
    });
    // Nothing half-written stays.
    expect(readdirSync(join(own, 'models', checkpoint.hash.slice(0, 32)))).toEqual([]);
    checkpoint.close();
  });

  it('has a name of its own for each dtype, and the checkpoint its own for float32', () => {
    const hash = inspectModel(TINY, undefined, 'fp32').checkpointHash;
    const checkpoint = openCheckpoint(TINY);
    expect(hash).toBe(checkpoint.hash);
    checkpoint.close();
    const names = ['fp32', 'fp16', 'int8', 'int4'].map(
      (dtype) => inspectModel(TINY, undefined, dtype).checkpointHash,
    );
    expect(new Set(names).size).toBe(4);
    expect(modelHash(hash, 'int4', 1)).not.toBe(modelHash(hash, 'int4', 4));
  });

  it('refuses a context that was made in another dtype by its key', async () => {
    const models = await Promise.all(
      ['fp32', 'int8'].map((dtype) =>
        VisionLanguageModel.open(TINY, { dtype, threads: 1, cacheDir }),
      ),
    );
    const [full, int8] = models.map(({ info }) => info);
    expect(full!.dtype).toBe('fp32');
    expect(int8!.dtype).toBe('int8');
    expect(full!.checkpointHash).not.toBe(int8!.checkpointHash);
    await Promise.all(models.map((model) => model.close()));
  });
});

describe('a shipped quantised checkpoint', () => {
  it.each<Dtype>(['int8', 'int4'])('in %s is loaded without the original', async (dtype) => {
    const out = join(scratch, `shipped-${dtype}`);
    const written = await quantiseToFolder(TINY, out, { dtype, shardBytes: 100_000 });
    expect(written.shards.length).toBeGreaterThan(2);
    for (const { file, bytes } of written.shards) {
      expect(statSync(join(out, file)).size).toBe(bytes);
    }
    const checkpoint = openCheckpoint(out);
    expect(checkpoint.quantisedDtype).toBe(dtype);
    // Used where it lies: nothing is written to the cache.
    const { derivedFile } = await placeWeights(checkpoint, dtype, { cacheDir });
    expect(derivedFile).toBeUndefined();
    checkpoint.close();
    expect(inspectModel(out).dtype).toBe(dtype);
    const shipped = await run(out, { accuracyLevel: 1 });
    const compiled = await run(TINY, { dtype, accuracyLevel: 1 });
    // Visual rows are equal; text rows differ by the rounded embedding.
    expect(maxAbsDifference(shipped.features, compiled.features)).toBe(0);
    const own = await run(out, { dtype: 'fp32' });
    expect(maxAbsDifference(shipped.logits, own.logits)).toBeLessThanOrEqual(1e-3);
  });

  it('has the head and the tower that were asked for, and loads them as they are', async () => {
    const sizes: number[] = [];
    for (const [head, vision] of [
      ['int8', 'fp16'],
      ['int4', 'fp16'],
      ['int4', 'int8'],
    ] as const) {
      const out = join(scratch, `parts-${head}-${vision}`);
      const written = await quantiseToFolder(TINY, out, { dtype: 'int4', head, vision });
      expect(written).toMatchObject({ vision, towerError: null });
      sizes.push(written.bytes);
      // float32 takes the numbers that are stored; as stored, they are multiplied where they lie.
      const full = await run(out, { dtype: 'fp32' });
      const own = await run(out, { accuracyLevel: 1 });
      expect(maxAbsDifference(own.features, full.features)).toBeLessThanOrEqual(1e-4);
      expect(maxAbsDifference(own.logits, full.logits)).toBeLessThanOrEqual(1e-3);
    }
    expect(sizes[1]).toBeLessThan(sizes[0]!);
    expect(sizes[2]).toBeLessThan(sizes[1]!);
  });

  it('measures what eight bits cost its tower, and has halves where that is too much', async () => {
    const out = join(scratch, 'auto');
    const { vision, towerError } = await quantiseToFolder(TINY, out, { dtype: 'int4' });
    const { mean, max } = towerError!;
    expect(mean).toBeGreaterThan(0.001);
    expect(max).toBeGreaterThanOrEqual(mean);
    expect(vision).toBe(mean < 0.01 ? 'int8' : 'fp16');
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
    const original = await run(TINY, { dtype: 'fp32' });
    const shipped = await run(out);
    const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
    const difference = shipped.features.map((value, n) => value - original.features[n]!);
    expect(norm(difference) / norm(original.features)).toBeLessThan(0.01);
  });

  it('keeps what was trained in four bits as it is, and no more than that', async () => {
    const { dir } = variant();
    const name = /layers\.1\.mlp\.down_proj\.weight$/;
    const layout = { bits: 4 as const, blockSize: 32 };
    const trained = tinyWeights()
      .map(asF32)
      .map((tensor) => {
        if (!name.test(tensor.name)) return tensor;
        const [rows, columns] = tensor.shape as [number, number];
        const { blocks, scales } = quantiseSymmetric(
          tensor.data as Float32Array,
          { rows, columns },
          layout,
        );
        const floats = { blocks, scales: float16ToFloat32(scales) };
        return { ...tensor, data: dequantiseRows(floats, { rows, columns, ...layout }) };
      });
    await replaceWeights(dir, trained);
    const out = join(scratch, 'trained');
    await quantiseToFolder(dir, out, { dtype: 'int4', vision: 'fp16' });
    const [from, to] = [openCheckpoint(dir), openCheckpoint(out)];
    const kinds = [...to.weights].flatMap(([name, weight]) =>
      weight.form === 'quantised' && weight.bits === 4 ? [[name, weight.offset.kind]] : [],
    );
    const symmetric = kinds.filter(([, kind]) => kind === 'none').map(([name]) => name!);
    expect(symmetric).toEqual([expect.stringMatching(name)]);
    expect(kinds.length).toBeGreaterThan(10);
    const [{ shape }] = [from.weights.get(symmetric[0]!)!];
    const all = [from, to].map((one) => readRows(one.weights.get(symmetric[0]!)!, 0, shape[0]!));
    expect(maxAbsDifference(all[0]!, all[1]!)).toBe(0);
    from.close();
    to.close();
  });

  it('is not quantised a second time, nor written over something', async () => {
    const out = join(scratch, 'once');
    await quantiseToFolder(TINY, out, { dtype: 'int8' });
    await expect(
      quantiseToFolder(out, join(scratch, 'twice'), { dtype: 'int4' }),
    ).rejects.toMatchObject({ code: 'GP_MODEL_DTYPE' });
    await expect(quantiseToFolder(TINY, out, { dtype: 'int8' })).rejects.toMatchObject({
      code: 'GP_OUTPUT_EXISTS',
    });
  });

  it('with a part missing says so', async () => {
    const { dir } = variant();
    const tensors = tinyWeights().map(asF32);
    const at = tensors.findIndex(({ name }) => name.endsWith('layers.0.mlp.down_proj.weight'));
    const { name, shape } = tensors[at]!;
    const blocks = [shape[0]!, Math.ceil(shape[1]! / 32), 16];
    const data = new Uint8Array(blocks.reduce((a, b) => a * b, 1));
    tensors[at] = { name: `${name}.int4`, dtype: 'U8', shape: blocks, data };
    await replaceWeights(dir, tensors);
    expect(() => openCheckpoint(dir)).toThrow(
      expect.objectContaining({
        code: 'GP_CHECKPOINT',
        message: expect.stringContaining(`has ${name}.int4 but no ${name}.scales`),
      }),
    );
  });
});

describe('the dtype that is chosen', () => {
  it('is what was asked for, and float32 for a small model, without a word', () => {
    const checkpoint = openCheckpoint(TINY);
    expect(chooseDtype(checkpoint)).toEqual({ dtype: 'fp32', reason: null });
    expect(chooseDtype(checkpoint, 'int4')).toEqual({ dtype: 'int4', reason: null });
    checkpoint.close();
  });

  it('follows the memory of the machine for a large one, and says so', () => {
    const checkpoint = openCheckpoint(TINY);
    // The tiny model's configs with the weights of a large one: only shapes are looked at.
    const { weights } = checkpoint;
    const large = new Map(
      [...weights].map(([name, weight]) => [
        name,
        { ...weight, shape: weight.shape.map((size, axis) => (axis === 0 ? size * 4000 : size)) },
      ]),
    );
    const model = { ...checkpoint, weights: large };
    const [int8, int4] = [weightMemory(model, 'int8'), weightMemory(model, 'int4')];
    expect(int4).toBeLessThan(int8);
    expect(chooseDtype(model, undefined, 3 * int8)).toMatchObject({
      dtype: 'int8',
      reason: expect.stringMatching(/weights in int8: .* GB .*--dtype/),
    });
    expect(chooseDtype(model, undefined, 1.5 * int8).dtype).toBe('int4');
    checkpoint.close();
  });
});

describe('weightUses', () => {
  it('knows what is multiplied from the graphs alone', () => {
    const checkpoint = openCheckpoint(TINY);
    const uses = weightUses(checkpoint);
    expect(new Set(uses.keys())).toEqual(new Set(checkpoint.weights.keys()));
    const multiplied = [...uses].filter(([, use]) => use.multiplied).map(([name]) => name);
    const matrices = [...checkpoint.weights]
      .filter(([, { shape }]) => shape.length > 1)
      .map(([name]) => name);
    const looked = ['model.visual.embeddings.position_embedding.weight'];
    const embedding = EMBEDDING;
    expect(new Set(multiplied)).toEqual(
      new Set(matrices.filter((name) => name !== embedding && !looked.includes(name))),
    );
    expect(uses.get(embedding)).toEqual({ part: 'embedding', multiplied: false, inBlock: false });
    checkpoint.close();
  });
});
