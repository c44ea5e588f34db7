import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, type RunForms } from '../../src/vlm/compile.js';
import { runStage } from '../../src/vlm/decoder.js';
import { EMBEDDING } from '../../src/vlm/decoders/decoder-graph.js';
import { Engine } from '../../src/vlm/engine.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';
import { runPrefill } from '../../src/vlm/prefill.js';
import { type PromptRows, promptRows, promptShape } from '../../src/vlm/prompt.js';
import { argmax } from '../../src/vlm/sampler.js';
import { StagePool } from '../../src/vlm/stage-pool.js';
import { readRows } from '../../src/vlm/weights/stored-weight.js';
import { Golden, maxAbsDifference, TINY, TOLERANCE } from './golden.js';
import { goldenPrompt, imageTokenOf, type Prompt } from './prompts.js';

const cutsArbitrary = fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });

describe('stages', () => {
  const golden = new Golden('three');
  let engine: Engine;
  let prompt: Prompt;
  let onePiece: Awaited<ReturnType<Engine['forward']>>;

  beforeAll(async () => {
    engine = await Engine.open(TINY, { threads: 1 });
    prompt = await goldenPrompt(engine, golden);
    onePiece = await engine.forward(prompt.whole, []);
    expect(onePiece.hidden).toHaveLength(1);
  });
  afterAll(() => engine.close());

  /** A stage pool with exactly these cuts, however the engine's own is cut by now. */
  async function withStages<T>(
    cuts: number[],
    use: (stages: Awaited<ReturnType<StagePool['acquire']>>['stages']) => Promise<T>,
    runForms?: RunForms,
  ) {
    const compiled = await compile(engine.checkpoint, 'fp32');
    const pool = new StagePool({ ...compiled, ...(runForms && { runForms }) }, 1, cuts);
    const lease = await pool.acquire([]);
    try {
      return await use(lease.stages);
    } finally {
      await lease.release();
      await pool.close();
    }
  }

  it('computes the same, cut anywhere and in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(cutsArbitrary, fc.integer({ min: 1, max: 80 }), async (cuts, chunk) => {
        const reference = await withStages([], (stages) => prefillCaches(stages, 1000));
        const caches = await withStages(cuts, (stages) => prefillCaches(stages, chunk));
        expectSame(caches, reference);
      }),
      { numRuns: 15 },
    );
  });

  it('computes the same by one graph for all runs as by one for each form', async () => {
    const reference = await withStages([2], (stages) => prefillCaches(stages, 1));
    const caches = await withStages([2], (stages) => prefillCaches(stages, 1), ['any']);
    expectSame(caches, reference);
  });

  function expectSame(actual: readonly LayerCache[], expected: readonly LayerCache[]): void {
    expect(actual).toHaveLength(expected.length);
    for (const [layer, cache] of actual.entries()) {
      const [a, b] = [cache.toContext(), expected[layer]!.toContext()];
      expect(a.length).toBe(b.length);
      expect(maxAbsDifference(a.keys, b.keys)).toBeLessThanOrEqual(TOLERANCE);
      expect(maxAbsDifference(a.values, b.values)).toBeLessThanOrEqual(TOLERANCE);
    }
  }

  async function prefillCaches(
    stages: Awaited<ReturnType<StagePool['acquire']>>['stages'],
    chunk: number,
  ) {
    const { text } = engine.checkpoint.config;
    const hidden = embed(prompt.whole);
    const input = { ...prompt.whole, hidden };
    return (
      await runPrefill(
        stages,
        text,
        input,
        [],
        { run: { chunk, operations: Number.POSITIVE_INFINITY }, kvDtype: 'fp32' },
        { select: never },
      )
    ).caches;
  }

  /** Rows as they enter layer 0, read from the checkpoint independently of the engine. */
  function embed(rows: PromptRows): Float32Array {
    const width = engine.checkpoint.config.text.hiddenSize;
    const weight = engine.checkpoint.weights.get(EMBEDDING)!;
    const table = readRows(weight, 0, weight.shape[0]!);
    const visual = rows.features.flatMap((feature) =>
      Array.from({ length: feature.length / width }, (_, n) =>
        feature.subarray(n * width, (n + 1) * width),
      ),
    );
    const hidden = new Float32Array(rows.tokenIds.length * width);
    for (const [row, id] of rows.tokenIds.entries()) {
      hidden.set(
        id < 0 ? visual.shift()! : table.subarray(id * width, (id + 1) * width),
        row * width,
      );
    }
    return hidden;
  }

  it('decodes with the cache what one pass over all rows gives', async () => {
    const { handle } = await engine.prefill(prompt.prefix, [], { select: never });
    const tokens: number[] = [];
    const request = {
      tokenIds: prompt.suffixIds,
      position: prompt.prefix.next,
      maxNewTokens: 12,
      sampling: {},
    };
    await engine.generate(handle, request, (id) => tokens.push(id));
    const { config } = engine.checkpoint;
    const vocabulary = config.text.vocabSize;
    const firstOfEach = tokenIdsOf(prompt.whole);
    for (let count = 0; count < tokens.length; count += 1) {
      const rows = promptRows(
        [...firstOfEach, ...tokens.slice(0, count)],
        promptShape(config),
        prompt.images,
      );
      const { logits } = await engine.forward(rows, []);
      expect(argmax(logits.subarray(-vocabulary))).toBe(tokens[count]);
    }
  });

  it('drops rows as if they had never been there from that layer on', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 10_000 }),
        async (dropLayers, seed) => {
          const layers = dropLayers.sort((a, b) => a - b);
          const keeps = new Map<number, Set<string>>();
          const drops = layers.map((layer) => ({
            layer,
            needs: { variation: true, hidden: true },
          }));
          const { handle, caches, layerVisualTokens, keptCells } = await engine.prefill(
            prompt.prefix,
            drops,
            {
              select: async ({ layer }, input) => {
                expect(input.variation).toHaveLength(input.rows);
                expect(input.hidden).toHaveLength(input.rows * 64);
                const kept = Int32Array.from({ length: input.rows }, (_, n) => n).filter(
                  (n) => hash(n, layer + seed) < 0.6,
                );
                keeps.set(
                  layer,
                  new Set(Array.from(kept, (n) => `${input.image[n]}:${input.cell[n]}`)),
                );
                return kept;
              },
            },
          );
          const tokens: number[] = [];
          const request = {
            tokenIds: prompt.suffixIds,
            position: prompt.prefix.next,
            maxNewTokens: 4,
            sampling: {},
          };
          await engine.generate(handle, request, (id) => tokens.push(id));

          const expected = await recompute(layers, keeps, tokens);
          expect(tokens).toEqual(expected.tokens);
          expect(caches.map((cache) => cache.length)).toEqual(expected.lengths);
          expect(layerVisualTokens).toHaveLength(4);
          expect(
            keptCells.map((groups) => groups.reduce((sum, { cell }) => sum + cell.length, 0)),
          ).toEqual(layers.map((layer) => keeps.get(layer)!.size));
        },
      ),
      { numRuns: 10 },
    );
  });

  /** Every row at once, layer by layer, without a cache; rows leave the matrix where they were dropped. */
  async function recompute(layers: number[], keeps: Map<number, Set<string>>, tokens: number[]) {
    const { config } = engine.checkpoint;
    const { text } = config;
    const prefixLength = prompt.prefix.tokenIds.length;
    const ids = [...tokenIdsOf(prompt.whole), ...tokens.slice(0, -1)];
    const rows = promptRows(ids, promptShape(config), prompt.images);
    let hidden = embed(rows);
    let alive = Array.from(rows.image.keys());
    const lengths: number[] = [];
    await withStages([1, 2, 3], async (stages) => {
      for (const stage of stages) {
        if (layers.includes(stage.from)) {
          const keep = keeps.get(stage.from)!;
          const stays = alive.map(
            (row) => rows.image[row]! < 0 || keep.has(`${rows.image[row]}:${rows.cell[row]}`),
          );
          const width = text.hiddenSize;
          hidden = Float32Array.from(
            stays.flatMap((stay, n) =>
              stay ? [...hidden.subarray(n * width, (n + 1) * width)] : [],
            ),
          );
          alive = alive.filter((_, n) => stays[n]);
        }
        lengths.push(alive.filter((row) => row < prefixLength).length);
        const pick = (axis: Int32Array) => Int32Array.from(alive, (row) => axis[row]!);
        const { temporal, row, column } = rows.positions;
        const positions = { temporal: pick(temporal), row: pick(row), column: pick(column) };
        const caches = Array.from({ length: 4 }, () => new LayerCache({ ...text, dtype: 'fp32' }));
        for (const cache of caches) cache.reserve(alive.length);
        hidden = (
          await runStage(stage, text, caches, hidden, positions, [0, alive.length], ['output'])
        ).output!;
      }
    });
    const logits = await logitsOf(hidden);
    const all = Array.from({ length: logits.length / text.vocabSize }, (_, n) =>
      argmax(logits.subarray(n * text.vocabSize, (n + 1) * text.vocabSize)),
    );
    return { tokens: all.slice(-tokens.length), lengths };
  }

  async function logitsOf(hidden: Float32Array): Promise<Float32Array> {
    const { Session } = await import('../../src/vlm/runtime.js');
    const model = await compile(engine.checkpoint, 'fp32');
    const session = await Session.create('head', model.headGraph(), {
      weightsFolder: model.weightsFolder,
      threads: 1,
      arena: false,
    });
    const { logits } = await session.run(
      { hidden: { data: hidden, dims: [hidden.length / 64, 64] } },
      ['logits'],
    );
    await session.release();
    return logits;
  }

  function tokenIdsOf(rows: PromptRows): number[] {
    const imageTokenId = imageTokenOf(engine.checkpoint);
    const ids = Array.from(rows.tokenIds, (id) => (id < 0 ? imageTokenId : id));
    return ids.filter((id, n) => id !== imageTokenId || ids[n - 1] !== id);
  }

  it('refuses cuts outside the layers', async () => {
    await expect(engine.forward(prompt.whole, [4])).rejects.toMatchObject({
      code: 'GP_PRUNE_PLAN',
    });
    await expect(engine.forward(prompt.whole, [0])).rejects.toMatchObject({
      code: 'GP_PRUNE_PLAN',
    });
  });

  it('refuses a selection that is not ascending and in range', async () => {
    const drop = { layer: 1, needs: { variation: false, hidden: false } };
    for (const kept of [[1, 0], [0, 0], [-1], [10_000]]) {
      const select = async () => Int32Array.from(kept);
      await expect(engine.prefill(prompt.prefix, [drop], { select })).rejects.toMatchObject({
        code: 'GP_TENSOR_SHAPE',
      });
    }
  });

  it('keeps a stage alive while somebody uses it and another cut splits it', async () => {
    const pool = new StagePool(await compile(engine.checkpoint, 'fp32'), 1, []);
    const first = await pool.acquire([]);
    const second = await pool.acquire([2]);
    expect(first.stages.map(({ from, to }) => [from, to])).toEqual([[0, 4]]);
    expect(second.stages.map(({ from, to }) => [from, to])).toEqual([
      [0, 2],
      [2, 4],
    ]);
    const { text } = engine.checkpoint.config;
    const caches = Array.from({ length: 4 }, () => new LayerCache({ ...text, dtype: 'fp32' }));
    for (const cache of caches) cache.reserve(8);
    const positions = {
      temporal: Int32Array.of(0),
      row: Int32Array.of(0),
      column: Int32Array.of(0),
    };
    const run = runStage(
      first.stages[0]!,
      text,
      caches,
      new Float32Array(64).fill(1),
      positions,
      [0, 1],
      ['output'],
    );
    await expect(run).resolves.toHaveProperty('output');
    await first.release();
    await second.release();
    await pool.close();
  });
});

async function never(): Promise<Int32Array> {
  throw new Error('no drop was asked for');
}

function hash(n: number, seed: number): number {
  let x = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  return ((x ^ (x >>> 13)) >>> 0) / 2 ** 32;
}
