import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { generateAnswer } from '../../src/pipeline/backends/generate.js';
import {
  type GenerateEvent,
  type GenerateOptions,
  type GenerateResult,
  type LayerDrop,
  type PrefilledContext,
  type PromptImage,
  SafetensorsFile,
  VisionLanguageModel,
  type WritableTensor,
  writeSafetensors,
} from '../../src/vlm/index.js';
import { WorkerClient } from '../../src/vlm/worker/client.js';
import { Golden, maxAbsDifference, READER, TINY, TOLERANCE } from './golden.js';
import { asF32, copyCheckpoint, editJson, replaceWeights, tinyWeights } from './variants.js';

const golden = new Golden('three');
const cacheDir = mkdtempSync(join(tmpdir(), 'glyphpress-cache-'));
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));
const { question } = golden;
let model: VisionLanguageModel;
let images: PromptImage[];

beforeAll(async () => {
  model = await VisionLanguageModel.open(TINY, { threads: 1, prefillChunk: 20 });
  images = await encode(model);
});
afterAll(() => model.close());

const others: VisionLanguageModel[] = [];
afterEach(async () => {
  for (const other of others.splice(0)) await other.close();
});
async function open(options: Parameters<typeof VisionLanguageModel.open>[1], dir = TINY) {
  const other = await VisionLanguageModel.open(dir, { threads: 1, cacheDir, ...options });
  others.push(other);
  return other;
}

async function encode(from: VisionLanguageModel): Promise<PromptImage[]> {
  const encoded: PromptImage[] = [];
  for (const image of golden.images) {
    const { tokenGrid, tokens } = await from.encodeImage(image);
    const kept = Int32Array.from({ length: tokenGrid.rows * tokenGrid.cols }, (_, n) => n);
    encoded.push({ tokenGrid, tokens, kept });
  }
  return encoded;
}

async function ask(
  of: VisionLanguageModel,
  context: PrefilledContext,
  options: Partial<GenerateOptions> = {},
  text = question,
): Promise<{ ids: number[]; text: string; events: GenerateEvent[]; result: GenerateResult }> {
  const events: GenerateEvent[] = [];
  const answer = of.answer(context, text, { maxNewTokens: 32, ...options });
  for (;;) {
    const next = await answer.next();
    if (next.done) {
      const ids = events.map(({ tokenId }) => tokenId);
      return { ids, text: events.map((event) => event.text).join(''), events, result: next.value };
    }
    events.push(next.value);
  }
}

/** Keeps every other visual row before the layer. */
function halve(
  layer: number,
  needs: LayerDrop['needs'] = { variation: false, hidden: false },
): LayerDrop {
  const select: LayerDrop['select'] = ({ rows }) =>
    Int32Array.from({ length: Math.ceil(rows / 2) }, (_, n) => 2 * n);
  return { layer, needs, select };
}

const snapshot = (context: PrefilledContext) => structuredClone(context);

describe('VisionLanguageModel', () => {
  it('goes from pages to the reference answer', async () => {
    const context = await model.prefill(images, []);
    expect(context.promptTokens).toBe(
      golden.integers('input_ids').length - new TextEncoder().encode(question).length - 2,
    );
    const { ids, result } = await ask(model, context);
    expect(ids).toEqual(golden.integers('greedy'));
    expect(result).toEqual({
      finishReason: 'length',
      completionTokens: 32,
      repeatedTokens: 0,
      promptTokens: golden.integers('input_ids').length,
    });
  });

  it('leaves a context as it was, and answers the same again', async () => {
    const context = await model.prefill(images, [halve(2)]);
    const before = snapshot(context);
    const first = await ask(model, context);
    await ask(model, context, { maxNewTokens: 5 }, 'Something else?');
    const again = await ask(model, context);
    expect(again.ids).toEqual(first.ids);
    expect(context).toEqual(before);
  });

  it('answers over a context that went through a file and another model instance', async () => {
    const context = await model.prefill(images, [halve(1), halve(3)]);
    expect(context.layers.map(({ length }) => length)).toHaveLength(4);
    expect(context.layerVisualTokens).toEqual([27, 14, 14, 7]);
    const expected = await ask(model, context);

    const folder = mkdtempSync(join(tmpdir(), 'glyphpress-context-'));
    const path = join(folder, 'context.safetensors');
    const tensors = context.layers.flatMap(({ length, keys, values }, layer): WritableTensor[] => [
      { name: `key.${layer}`, dtype: 'F32', shape: [2, length, 16], data: keys as Float32Array },
      {
        name: `value.${layer}`,
        dtype: 'F32',
        shape: [2, length, 16],
        data: values as Float32Array,
      },
    ]);
    await writeSafetensors(path, tensors);
    const file = SafetensorsFile.open(path);
    const layers = context.layers.map(({ length }, layer) => ({
      length,
      keys: file.readFloat32(`key.${layer}`),
      values: file.readFloat32(`value.${layer}`),
    }));
    file.close();
    rmSync(folder, { recursive: true });

    const other = await open({});
    const loaded = await ask(other, { ...context, layers });
    expect(loaded.ids).toEqual(expected.ids);
  });

  it('sends a context again after the worker dropped it for a newer one', async () => {
    const small = await open({ contextCacheBytes: 1 });
    const a = await small.prefill(images, []);
    const b = await small.prefill(images, [halve(1)]);
    const [fromA, fromB] = [await ask(small, a), await ask(small, b)];
    expect(fromA.ids).toEqual((await ask(model, await model.prefill(images, []))).ids);
    expect(fromB.ids).toEqual((await ask(small, b)).ids);
    await small.forget(b);
    expect((await ask(small, b)).ids).toEqual(fromB.ids);
  });

  it('answers several questions over one context at the same time', async () => {
    const context = await model.prefill(images, []);
    const questions = ['One?', 'Two, a longer one?', 'Three'];
    const alone: number[][] = [];
    for (const text of questions) alone.push((await ask(model, context, {}, text)).ids);
    const together = await Promise.all(questions.map((text) => ask(model, context, {}, text)));
    expect(together.map(({ ids }) => ids)).toEqual(alone);
  });

  it('gives a drop what it asked for, and only that', async () => {
    const seen: string[][] = [];
    const watch = (layer: number, needs: LayerDrop['needs']): LayerDrop => ({
      ...halve(layer, needs),
      select: (input) => {
        seen.push(Object.keys(input).sort());
        expect(input.image).toHaveLength(input.rows);
        if (input.variation) expect(input.variation.every((score) => score > 0)).toBe(true);
        if (input.hidden) expect(input.hidden).toHaveLength(input.rows * 64);
        return halve(layer).select(input);
      },
    });
    await model.prefill(images, [
      watch(1, { variation: true, hidden: false }),
      watch(2, { variation: false, hidden: true }),
      watch(3, { variation: false, hidden: false }),
    ]);
    const base = ['cell', 'image', 'layer', 'rows'];
    expect(seen).toEqual([[...base, 'variation'].sort(), [...base, 'hidden'].sort(), base]);
  });

  it('reads pages of which the encoder prune kept little or nothing', async () => {
    const width = model.info.hiddenSize;
    const pruned = images.map(({ tokenGrid, tokens }, n) => {
      const kept = n === 0 ? new Int32Array(0) : Int32Array.of(1, 3);
      const rows = Float32Array.from(kept, () => 0);
      const some = new Float32Array(rows.length * width);
      for (const [row, cell] of kept.entries())
        some.set(tokens.subarray(cell * width, (cell + 1) * width), row * width);
      return { tokenGrid, tokens: some, kept };
    });
    const whole = await model.prefill(images, []);
    const context = await model.prefill(pruned, [halve(2)]);
    expect(context.layerVisualTokens).toEqual([4, 4, 2, 2]);
    expect(context.nextPosition).toBe(whole.nextPosition);
    expect(context.keptCells[0]!.map(({ image, cell }) => [image, ...cell])).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect((await ask(model, context)).ids).toHaveLength(32);
  });

  it('is as long as its context has room for, where nobody sets a limit', async () => {
    const context = await model.prefill(images, []);
    // Random weights: what ends it is the limit.
    const text = 'why? '.repeat(300);
    const cut = await ask(model, context, { maxNewTokens: undefined, stopLoops: false }, text);
    expect(cut.result.finishReason).toBe('length');
    expect(cut.result.promptTokens + cut.result.completionTokens).toBe(model.info.maxPositions);
  });

  it('works without any page', async () => {
    const context = await model.prefill([], []);
    expect((await ask(model, context, { maxNewTokens: 3 })).ids).toHaveLength(3);
  });

  it('computes hidden rows and logits of a whole prompt', async () => {
    const { hidden, logits } = await model.forward(images, question, [2]);
    expect(
      maxAbsDifference(hidden.find(({ layer }) => layer === 2)!.data, golden.floats('hidden.1')),
    ).toBeLessThanOrEqual(TOLERANCE);
    expect(maxAbsDifference(logits, golden.floats('logits'))).toBeLessThanOrEqual(TOLERANCE);
  });

  it('reads a view into a larger buffer without its surroundings', async () => {
    const [page] = golden.images;
    const larger = new Uint8Array(page!.data.length + 300);
    larger.set(page!.data, 100);
    const view = larger.subarray(100, 100 + page!.data.length);
    const { tokens } = await model.encodeImage({ ...page!, data: view });
    expect(maxAbsDifference(tokens, images[0]!.tokens)).toBe(0);
  });

  it('counts tokens and cells', () => {
    expect(model.countTokens('héllo')).toBe(6);
    expect(model.visualTokenGrid({ widthPx: 84, heightPx: 56 })).toMatchObject({
      rows: 2,
      cols: 3,
    });
  });

  it('runs the reader that ships', async () => {
    const reader = await open({ cuts: [2] }, READER);
    const page = {
      data: new Uint8Array(588 * 840).fill(255),
      widthPx: 588,
      heightPx: 840,
      channels: 1 as const,
    };
    const { tokenGrid, tokens } = await reader.encodeImage(page);
    expect(tokenGrid).toEqual({ rows: 30, cols: 21 });
    const kept = Int32Array.from({ length: 630 }, (_, n) => n);
    const context = await reader.prefill([{ tokenGrid, tokens, kept }], [halve(2)]);
    const { result } = await ask(reader, context, { maxNewTokens: 8 });
    expect(result.completionTokens).toBeGreaterThan(0);
  });
});

describe('generation', () => {
  it('repeats with a seed, differs from greedy, and stops at a stop token', async () => {
    const context = await model.prefill(images, []);
    const sampling = { temperature: 1.5, topP: 0.95, topK: 50, repetitionPenalty: 1.1, seed: 7 };
    const first = await ask(model, context, sampling);
    expect((await ask(model, context, sampling)).ids).toEqual(first.ids);
    expect(first.ids).not.toEqual(golden.integers('greedy'));
    const seeds = Array.from({ length: 40 }, (_, seed) => seed);
    const results: GenerateResult[] = [];
    for (const seed of seeds)
      results.push((await ask(model, context, { temperature: 5, seed })).result);
    const stopped = results.find(({ finishReason }) => finishReason === 'stop')!;
    expect(stopped.completionTokens).toBeLessThan(32);
  });

  it('tells how likely each token was, whatever the sampling', async () => {
    const context = await model.prefill(images, []);
    const { logits } = await model.forward(images, question);
    const last = logits.subarray(-model.info.vocabSize);
    const total = Math.log([...last].reduce((sum, logit) => sum + Math.exp(logit), 0));
    for (const options of [
      {},
      { temperature: 4, seed: 3 },
      { repetitionPenalty: 1.9, temperature: 2, topK: 90, seed: 5 },
    ]) {
      const [first, ...rest] = (await ask(model, context, options)).events;
      expect(first!.logProb).toBeCloseTo(last[first!.tokenId]! - total, 3);
      for (const { logProb } of rest) expect(logProb).toBeLessThanOrEqual(1e-6);
    }
  });

  it('ends when the answer only repeats itself, and tells what is repetition', async () => {
    // Without what attention and MLPs add, a token depends on the one before alone: a cycle is near.
    const variant = copyCheckpoint((dir) =>
      editJson(dir, 'generation_config.json', (config) => {
        config.eos_token_id = [];
      }),
    );
    onTestFinished(variant.remove);
    const weights = tinyWeights();
    for (const { name, data } of weights)
      if (/language_model.*(o_proj|down_proj)/.test(name)) data.fill(0);
    await replaceWeights(variant.dir, weights.map(asF32));
    const forgetful = await open({}, variant.dir);
    const context = await forgetful.prefill(images, []);
    const long = { maxNewTokens: 900 };
    const all = await ask(forgetful, context, { ...long, stopLoops: false });
    const { ids, result } = await ask(forgetful, context, long);
    expect(all.result).toMatchObject({ finishReason: 'length', completionTokens: 900 });
    expect(result.finishReason).toBe('loop');
    expect(ids).toEqual(all.ids.slice(0, ids.length));
    expect(result.completionTokens).toBe(ids.length);
    const { repeatedTokens } = result;
    expect(repeatedTokens).toBeGreaterThanOrEqual(64);
    // What stands at the end is the same cycle on and on, also where the answer would have gone on.
    const rest = all.ids.slice(ids.length - repeatedTokens);
    const isCycle = (length: number) =>
      rest.every((id, at) => at < length || id === rest[at - length]);
    const cycle = rest.findIndex((_, n) => n > 0 && isCycle(n));
    expect(cycle).toBeGreaterThan(0);
    expect(cycle).toBeLessThanOrEqual(256);
    // One copy stays.
    const kept = all.ids.slice(0, ids.length - repeatedTokens);
    expect(kept.slice(-cycle)).toEqual(rest.slice(0, cycle));
    const { answer, finishReason, logProb } = await generateAnswer(
      forgetful,
      context,
      question,
      long,
    );
    expect(finishReason).toBe('loop');
    const untrimmed = all.events.slice(0, kept.length).map(({ text }) => text);
    expect(answer).toBe(untrimmed.join('').trim());
    expect(logProb!.min).toBeLessThanOrEqual(logProb!.mean);
  });

  it('ends when it is aborted, and can be left early', async () => {
    const context = await model.prefill(images, []);
    const abort = new AbortController();
    const answer = model.answer(context, question, { maxNewTokens: 1500, signal: abort.signal });
    let count = 0;
    let result: GenerateResult | undefined;
    while (!result) {
      const next = await answer.next();
      if (next.done) result = next.value;
      else if (++count === 3) abort.abort();
    }
    expect(result.finishReason).toBe('aborted');
    expect(result.completionTokens).toBeLessThan(1500);

    const left = model.answer(context, question, { maxNewTokens: 1500 });
    for await (const _ of left) break;
    expect((await ask(model, context, { signal: AbortSignal.abort() })).result.finishReason).toBe(
      'aborted',
    );
    expect((await ask(model, context)).ids).toEqual(golden.integers('greedy'));
  });

  it.each([
    [{ maxNewTokens: 0 }, 'GP_CONFIG_VALUE'],
    [{ maxNewTokens: 2000 }, 'GP_CONTEXT_LENGTH'],
    [{ temperature: -1 }, 'GP_CONFIG_VALUE'],
  ])('refuses %o', async (options, code) => {
    const context = await model.prefill(images, []);
    await expect(ask(model, context, options)).rejects.toMatchObject({ code });
  });

  it('refuses a context of another model', async () => {
    const context = await model.prefill(images, []);
    const reader = await open({}, READER);
    await expect(ask(reader, context)).rejects.toMatchObject({ code: 'GP_TENSOR_SHAPE' });
  });
});

describe('prefill', () => {
  it('reports progress up to the end', async () => {
    const seen: [number, number][] = [];
    await model.prefill(images, [halve(2)], {
      onProgress: (done, total) => seen.push([done, total]),
    });
    const done = seen.map(([value]) => value);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(seen.at(-1)![0]).toBe(seen.at(-1)![1]);
  });

  it('stops when it is aborted', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const prefill = model.prefill(images, [], {
      signal: abort.signal,
      onProgress: () => abort.abort(reason),
    });
    await expect(prefill).rejects.toBe(reason);
  });

  it.each<[string, () => Parameters<VisionLanguageModel['prefill']>, string]>([
    ['a drop before layer 0', () => [images, [halve(0)]], 'GP_PRUNE_PLAN'],
    ['a drop after the last layer', () => [images, [halve(4)]], 'GP_PRUNE_PLAN'],
    ['two drops before one layer', () => [images, [halve(2), halve(2)]], 'GP_PRUNE_PLAN'],
    [
      'a selection out of order',
      () => [images, [{ ...halve(2), select: () => Int32Array.of(3, 1) }]],
      'GP_TENSOR_SHAPE',
    ],
    [
      'cells that are not there',
      () => [[{ ...images[0]!, kept: Int32Array.of(0, 1, 2, 3, 4, 99) }], []],
      'GP_TENSOR_SHAPE',
    ],
    [
      'tokens that do not match the cells',
      () => [[{ ...images[0]!, tokens: new Float32Array(3) }], []],
      'GP_TENSOR_SHAPE',
    ],
    [
      'a document that is too long',
      () => [Array.from({ length: 200 }, () => images[1]!), []],
      'GP_CONTEXT_LENGTH',
    ],
  ])('refuses %s', async (_, args, code) => {
    await expect(model.prefill(...args())).rejects.toMatchObject({ code });
  });

  it('passes on what a callback throws, and goes on working', async () => {
    const error = new Error('from select');
    const throwing = () => {
      throw error;
    };
    await expect(model.prefill(images, [{ ...halve(2), select: throwing }])).rejects.toBe(error);
    await expect(model.prefill(images, [], { onProgress: throwing })).rejects.toBe(error);
    await expect(model.prefill(images, [])).resolves.toBeDefined();
  });
});

describe('the worker', () => {
  it('fails an answer in progress when it dies, however slowly the answer is read', async () => {
    const context = await model.prefill(images, []);
    const other = await open({});
    const answer = other.answer(context, question, { maxNewTokens: 1500 });
    await answer.next();
    const { worker } = other as unknown as { worker: WorkerClient };
    worker.breakDown();
    // The failure comes while nobody waits for a token; it must neither get lost nor end the process.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const rest = (async () => {
      for await (const _ of answer);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'GP_MODEL_RUNTIME' });
  });

  it('turns its end into an error, for calls in progress and later ones', async () => {
    const client = new WorkerClient(TINY, { threads: 1 });
    const page = {
      data: new Uint8Array(280 * 280),
      widthPx: 280,
      heightPx: 280,
      channels: 1 as const,
    };
    await client.call('open', undefined);
    const running = client.call('encodeImage', page);
    client.breakDown();
    await expect(running).rejects.toMatchObject({ code: 'GP_MODEL_RUNTIME' });
    await expect(client.call('encodeImage', page)).rejects.toMatchObject({
      code: 'GP_MODEL_RUNTIME',
    });
    await client.close();
  });

  it('gives its errors back with code and details', async () => {
    await expect(
      model.encodeImage({ data: new Uint8Array(3), widthPx: 9, heightPx: 9, channels: 1 }),
    ).rejects.toMatchObject({
      code: 'GP_TENSOR_SHAPE',
      details: { tensor: 'page image' },
    });
  });

  it('refuses calls after close', async () => {
    const closed = await VisionLanguageModel.open(TINY, { threads: 1 });
    await closed.close();
    await closed.close();
    await expect(closed.prefill([], [])).rejects.toMatchObject({ code: 'GP_MODEL_RUNTIME' });
  });

  it('says what is wrong with a folder when it is opened', async () => {
    await expect(VisionLanguageModel.open('/no/such/model')).rejects.toMatchObject({
      code: 'GP_CHECKPOINT',
    });
    await expect(VisionLanguageModel.open(TINY, { cuts: [9] })).rejects.toMatchObject({
      code: 'GP_PRUNE_PLAN',
    });
    await expect(VisionLanguageModel.open(TINY, { prefillChunk: 0 })).rejects.toMatchObject({
      code: 'GP_CONFIG_VALUE',
    });
  });
});
