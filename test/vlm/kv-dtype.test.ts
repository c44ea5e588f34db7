/** Keys and values in fewer bits: what an answer over such a cache computes. */
import { describe, expect, it } from 'vitest';
import { Engine, type EngineOptions } from '../../src/vlm/engine.js';
import { inspectModel } from '../../src/vlm/inspect.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';
import { kvFromFloat32, kvToFloat32 } from '../../src/vlm/kv-rows.js';
import { Golden, TINY } from './golden.js';
import { goldenPrompt } from './prompts.js';

const select = async () => new Int32Array(0);

/** Prefill in pieces of 7 rows, then five tokens, one by one. */
async function answer(options: EngineOptions) {
  const engine = await Engine.open(TINY, { threads: 1, prefillChunk: 7, ...options });
  try {
    const { prefix } = await goldenPrompt(engine, new Golden('one'));
    const { handle, caches } = await engine.prefill(prefix, [], { select });
    const bytes = caches.reduce((sum, cache) => sum + cache.byteLength, 0);
    const context = caches.map((cache) => cache.toContext());
    const ask = async (of: number) => {
      const tokens: [id: number, logProb: number][] = [];
      const request = {
        tokenIds: [5, 6, 7],
        position: prefix.next,
        maxNewTokens: 5,
        sampling: {},
        stopLoops: false,
      };
      await engine.generate(of, request, (id, logProb) => tokens.push([id, logProb]));
      return tokens;
    };
    return {
      bytes,
      context,
      fresh: await ask(handle),
      loaded: await ask(engine.loadContext(context)),
      ask: (layers: typeof context) => ask(engine.loadContext(layers)),
      close: () => engine.close(),
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

describe.each([
  ['fp16', 0.5, 2e-3],
  ['int8', 0.32, 5e-2],
] as const)('a cache in %s', (kvDtype, share, tolerance) => {
  it('answers as float32 does over the same rounded rows, in a part of the memory', async () => {
    const exact = await answer({ kvDtype: 'fp32' });
    const small = await answer({ kvDtype });
    try {
      expect(small.bytes / exact.bytes).toBeLessThanOrEqual(share);
      // A context that was handed around answers as the fresh one.
      expect(small.loaded).toEqual(small.fresh);
      // Rounded, and not by much.
      const logProbs = (tokens: typeof exact.fresh) => tokens.map(([, logProb]) => logProb);
      const difference = logProbs(small.fresh).map((p, n) =>
        Math.abs(p - logProbs(exact.fresh)[n]!),
      );
      expect(Math.max(...difference)).toBeGreaterThan(0);
      expect(Math.max(...difference)).toBeLessThan(tolerance);
      // The same numbers, widened beforehand: the graph widens them rightly. Rows of the question and the
      // answer are rounded in one of the two only.
      const headDim = inspectModel(TINY).headDim;
      const widened = small.context.map(({ length, keys, values }) => ({
        length,
        keys: kvToFloat32(keys, headDim),
        values: kvToFloat32(values, headDim),
      }));
      const byHand = await exact.ask(widened);
      expect(byHand[0]![0]).toBe(small.fresh[0]![0]);
      expect(Math.abs(byHand[0]![1] - small.fresh[0]![1])).toBeLessThan(1e-5);
    } finally {
      await exact.close();
      await small.close();
    }
  });

  it('takes in a context of another type', async () => {
    const small = await answer({ kvDtype });
    const shape = { dtype: kvDtype, kvHeads: 2, headDim: inspectModel(TINY).headDim };
    const plain = kvFromFloat32(
      new Float32Array(2 * 4 * shape.headDim).fill(0.5),
      'fp16',
      shape.headDim,
    );
    const cache = LayerCache.fromContext({ length: 4, keys: plain, values: plain }, shape);
    const back = kvToFloat32(cache.toContext().keys, shape.headDim);
    expect(Math.max(...back.map((value) => Math.abs(value - 0.5)))).toBeLessThan(1e-6);
    await small.close();
  });
});

describe('the type of keys and values', () => {
  it('is told by the model with the bytes that follow from it', () => {
    const [fp32, fp16, int8] = (['fp32', 'fp16', 'int8'] as const).map((kvDtype) =>
      inspectModel(TINY, undefined, 'fp32', kvDtype),
    );
    expect(fp16!.kvBytesPerToken).toBe(fp32!.kvBytesPerToken / 2);
    expect(fp32!.storedKvBytesPerToken).toBe(fp16!.storedKvBytesPerToken);
    expect(int8!.storedKvBytesPerToken).toBeLessThan(fp16!.storedKvBytesPerToken);
    expect(int8!.kvBytesPerToken).toBe(int8!.storedKvBytesPerToken);
  });
});
