/** Drops inside the decoder, on prompts of any number of image spans with text between them. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { layerDrops, Stopwatch } from '../../src/pipeline/backends/prune-hooks.js';
import {
  type DecoderDrop,
  dropBeforeLayer,
  dropHiddenBeforeLayer,
  type PrunePlan,
  pageRuns,
  parsePrunePlan,
  predictTokens,
  tokenVariation,
} from '../../src/prune/index.js';
import { compile } from '../../src/vlm/compile.js';
import { runStage } from '../../src/vlm/decoder.js';
import { Engine } from '../../src/vlm/engine.js';
import type { VariationMetric } from '../../src/vlm/families/family.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';
import { type DropInput, runPrefill, type Selection } from '../../src/vlm/prefill.js';
import {
  type PromptImage,
  type PromptRows,
  promptRows,
  promptShape,
} from '../../src/vlm/prompt.js';
import { StagePool } from '../../src/vlm/stage-pool.js';
import { Golden, maxAbsDifference, TINY, TOLERANCE } from './golden.js';
import { goldenPrompt, imageTokenOf } from './prompts.js';
import { embedRows, type KeptRows, recomputeAnswer } from './recompute.js';

const WIDTH = 64;
const LAYERS = 4;
const METRICS = ['l2', 'l1', 'cosine'] as const;
/** Seeded, because chunks add up in another order: scores that differ by rounding alone may swap. */
const PROPERTY = { numRuns: 15, seed: 7 };

/** Spans of images, each after some text, and text at the end. */
const promptArbitrary = fc.record({
  spans: fc.array(
    fc.record({
      text: fc.integer({ min: 0, max: 5 }),
      rows: fc.integer({ min: 1, max: 5 }),
      cols: fc.integer({ min: 1, max: 6 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  tail: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(1000),
});
type Spans = typeof promptArbitrary extends fc.Arbitrary<infer T> ? T : never;

const planArbitrary = fc
  .record({
    layers: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
    keepRatio: fc.double({ min: 0.3, max: 1, noNaN: true }),
    scope: fc.constantFrom('document' as const, 'page' as const),
    minPerPage: fc.integer({ min: 0, max: 1 }),
    method: fc.constantFrom('v2drop' as const, 'random' as const, 'apet' as const),
    metric: fc.constantFrom(...METRICS),
  })
  .map(({ layers, metric, method, ...rest }): PrunePlan => {
    const own = {
      v2drop: { metric },
      random: {},
      apet: { basisTokenCount: 2, basis: 'overwrite', merge: 'average' } as const,
    }[method];
    return {
      decoder: layers.sort().map((layer) => ({ layer, method, ...rest, ...own }) as DecoderDrop),
    };
  });

describe('drops inside the decoder', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await Engine.open(TINY, { threads: 1 });
  });
  afterAll(() => engine.close());

  function prompt({ spans, tail, seed }: Spans): PromptRows {
    const shape = promptShape(engine.checkpoint.config);
    const imageTokenId = imageTokenOf(engine.checkpoint);
    const text = (count: number, at: number) =>
      Array.from({ length: count }, (_, n) => 32 + ((seed + 7 * at + n) % 90));
    const images = spans.map(({ rows, cols }, image): PromptImage => {
      const cells = rows * cols;
      return {
        tokenGrid: { rows, cols },
        kept: Int32Array.from({ length: cells }, (_, cell) => cell),
        tokens: Float32Array.from({ length: cells * WIDTH }, (_, i) =>
          Math.sin((i + 1) * (seed + 3) * (image + 1)),
        ),
      };
    });
    const ids = spans.flatMap((span, n) => [...text(span.text, n), imageTokenId]);
    return promptRows([...ids, ...text(tail, 9)], shape, images);
  }

  /** A plan whose last drop keeps fewer rows than there are pages cannot leave one on each. */
  function honoursFloor({ spans }: Spans, plan: PrunePlan): boolean {
    const cells = spans.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
    const { finalTokens } = predictTokens(cells, LAYERS, plan);
    return (plan.decoder[0]!.minPerPage ?? 0) * spans.length <= finalTokens;
  }

  /** What the pipeline does with a plan. */
  function selector(plan: PrunePlan, seen?: (input: DropInput, kept: Int32Array) => void) {
    return async ({ layer }: { layer: number }, input: DropInput): Promise<Selection> => {
      const drop = plan.decoder.find((each) => each.layer === layer)!;
      if (!input.hidden) {
        const variation = input.variation ?? new Float32Array(input.rows);
        const kept = dropBeforeLayer(variation, drop, plan, input.image);
        seen?.(input, kept);
        return kept;
      }
      const dim = input.rows === 0 ? 1 : WIDTH;
      const result = dropHiddenBeforeLayer(input.hidden, dim, drop, plan, input.image);
      seen?.(input, result.keptRows);
      return { kept: result.keptRows, hidden: result.tokens };
    };
  }

  const points = (plan: PrunePlan) =>
    plan.decoder.map(({ layer, method, metric }) => ({
      layer,
      needs: {
        variation: method === 'v2drop' ? (metric ?? true) : false,
        hidden: method === 'apet',
      },
    }));

  it.each(METRICS)('the graph’s %s is the host’s', async (metric) => {
    const rows = prompt({ spans: [{ text: 2, rows: 5, cols: 6 }], tail: 3, seed: 5 });
    const pool = new StagePool(await compile(engine.checkpoint, 'fp32'), 1, []);
    const cuts = [1, 2, 3];
    const lease = await pool.acquire(cuts, new Map(cuts.map((cut) => [cut, metric])));
    try {
      const { text } = engine.checkpoint.config;
      const caches = Array.from(
        { length: LAYERS },
        () => new LayerCache({ dtype: 'fp32', kvHeads: 2, headDim: WIDTH / 4 }),
      );
      for (const cache of caches) cache.reserve(rows.image.length);
      // Text rows enter as zeros here: a row of zeros must be harmless too.
      let hidden = new Float32Array(rows.image.length * WIDTH);
      hidden.set(rows.features[0]!, 2 * WIDTH);
      for (const stage of lease.stages.slice(0, -1)) {
        expect(stage.variation).toBe(metric);
        const before = hidden.slice();
        const span = [0, rows.image.length] as const;
        const result = await runStage(stage, text, caches, hidden, rows.positions, span, [
          'output',
          'variation',
        ]);
        const expected = tokenVariation(before, result.output!, WIDTH, metric);
        expect(result.variation).toHaveLength(expected.length);
        for (const [row, score] of expected.entries()) {
          if (rows.image[row]! < 0) continue;
          expect(Math.abs(result.variation![row]! - score)).toBeLessThan(2e-5 * score);
        }
        hidden = Float32Array.from(result.output!);
      }
    } finally {
      await lease.release();
      await pool.close();
    }
  });

  it('measures what each drop asks for, also when another was asked for before', async () => {
    const rows = prompt({ spans: [{ text: 1, rows: 4, cols: 5 }], tail: 1, seed: 1 });
    const scores = new Map<VariationMetric | 'default', Float32Array>();
    for (const metric of [...METRICS, true] as const) {
      await engine.prefill(rows, [{ layer: 2, needs: { variation: metric, hidden: false } }], {
        select: async (_, { variation, hidden, rows: count }) => {
          expect(hidden).toBeUndefined();
          scores.set(metric === true ? 'default' : metric, variation!);
          return Int32Array.from({ length: count }, (_, n) => n);
        },
      });
    }
    expect(scores.get('default')).toEqual(scores.get('l2'));
    for (const [a, b] of [['l2', 'l1'] as const, ['l1', 'cosine'] as const]) {
      expect(scores.get(a)).not.toEqual(scores.get(b));
    }
  });

  it('keeps the same rows and cache in chunks as in one piece', async () => {
    await fc.assert(
      fc.asyncProperty(
        promptArbitrary,
        planArbitrary,
        fc.integer({ min: 1, max: 60 }),
        async (spans, plan, chunk) => {
          if (!honoursFloor(spans, plan)) return;
          const run = async (chunk: number) => {
            const pool = new StagePool(await compile(engine.checkpoint, 'fp32'), 1, []);
            const metrics = new Map(
              plan.decoder.map(({ layer, metric }) => [layer, metric ?? ('l2' as const)]),
            );
            const lease = await pool.acquire([...metrics.keys()], metrics);
            try {
              const rows = prompt(spans);
              const { text } = engine.checkpoint.config;
              const input = { ...rows, hidden: embedRows(engine, rows) };
              const select = selector(plan);
              return await runPrefill(
                lease.stages,
                text,
                input,
                points(plan),
                { run: { chunk, operations: Number.POSITIVE_INFINITY }, kvDtype: 'fp32' },
                { select },
              );
            } finally {
              await lease.release();
              await pool.close();
            }
          };
          const [whole, pieces] = [await run(10_000), await run(chunk)];
          expect(pieces.keptCells).toEqual(whole.keptCells);
          expect(pieces.layerVisualTokens).toEqual(whole.layerVisualTokens);
          whole.caches.forEach((cache, layer) => {
            const [a, b] = [pieces.caches[layer]!.toContext(), cache.toContext()];
            expect(maxAbsDifference(a.keys, b.keys)).toBeLessThanOrEqual(TOLERANCE);
            expect(maxAbsDifference(a.values, b.values)).toBeLessThanOrEqual(TOLERANCE);
          });
        },
      ),
      PROPERTY,
    );
  });

  it('decodes what recomputing without the dropped rows gives, page by page or over all pages', async () => {
    await fc.assert(
      fc.asyncProperty(promptArbitrary, planArbitrary, async (spans, plan) => {
        const rows = prompt(spans);
        if (!honoursFloor(spans, plan)) return;
        const floor = plan.decoder[0]!.minPerPage ?? 0;
        const pages = spans.spans.length;
        const counts = predictTokens(rows.image.filter((i) => i >= 0).length, LAYERS, plan);
        const seen: KeptRows[] = [];
        const select = selector(plan, (input, kept) => {
          const at = (source: Int32Array) => Int32Array.from(kept, (row) => source[row]!);
          const image = at(input.image);
          // Raster order and the pages' own order stay, and every page has its floor.
          for (const { start, end } of pageRuns(image, image.length)) {
            const cells = at(input.cell).subarray(start, end);
            expect([...cells]).toEqual([...new Set(cells)].sort((a, b) => a - b));
          }
          expect(new Set(image).size).toBeGreaterThanOrEqual(floor * pages);
          const cell = at(input.cell);
          seen.push({
            layer: input.layer,
            keys: Array.from(image, (page, n) => `${page}:${cell[n]}`),
          });
        });
        const recording: typeof select = async (drop, input) => {
          const selection = await select(drop, input);
          if (!(selection instanceof Int32Array)) seen.at(-1)!.hidden = selection.hidden.slice();
          return selection;
        };
        const { handle, caches, layerVisualTokens } = await engine.prefill(rows, points(plan), {
          select: recording,
        });
        expect(layerVisualTokens).toEqual(counts.layerTokens);
        const text = rows.image.filter((image) => image < 0).length;
        expect(caches.map(({ length }) => length)).toEqual(counts.layerTokens.map((n) => n + text));

        const question = [65, 66, 67];
        const answer: number[] = [];
        await engine.generate(
          handle,
          { tokenIds: question, position: rows.next, maxNewTokens: 3, sampling: {} },
          (id) => answer.push(id),
        );
        expect(answer).toEqual(await recomputeAnswer(engine, rows, question, answer, seen));
      }),
      PROPERTY,
    );
  });

  it('gives the same through the worker, as the pipeline asks it', async () => {
    const model = await VisionLanguageModel.open(TINY, { threads: 1 });
    try {
      const { prefix, images } = await goldenPrompt(engine, new Golden('three'));
      for (const own of [
        { method: 'v2drop', metric: 'cosine' },
        { method: 'apet', basis: 'overwrite', merge: 'average', basisTokenCount: 3 },
      ] as const) {
        const plan: PrunePlan = {
          decoder: [
            { layer: 1, keepRatio: 0.7, scope: 'page', ...own },
            { layer: 3, keepRatio: 0.5, minPerPage: 1, ...own },
          ],
        };
        const context = await model.prefill(images, layerDrops(plan, images, new Stopwatch()));
        const select = selector(plan);
        const direct = await engine.prefill(prefix, points(plan), { select });
        expect(context.keptCells).toEqual(direct.keptCells);
        direct.caches.forEach((cache, layer) => {
          const [a, b] = [context.layers[layer]!, cache.toContext()];
          expect(maxAbsDifference(a.keys, b.keys)).toBeLessThanOrEqual(TOLERANCE);
          expect(maxAbsDifference(a.values, b.values)).toBeLessThanOrEqual(TOLERANCE);
        });
      }
    } finally {
      await model.close();
    }
  });

  it('goes on with the values that a drop gives, and refuses values that do not fit', async () => {
    const rows = prompt({ spans: [{ text: 1, rows: 3, cols: 4 }], tail: 2, seed: 2 });
    const drop = { layer: 2, needs: { variation: false, hidden: true } };
    const run = async (scale: number | null) =>
      (
        await engine.prefill(rows, [drop], {
          select: async (_, { hidden }) => {
            const kept = Int32Array.of(1, 4, 5);
            const at = (row: number) => hidden!.subarray(row * WIDTH, (row + 1) * WIDTH);
            const values = Float32Array.from([...kept].flatMap((row) => [...at(row)]));
            return scale === null
              ? kept
              : { kept, hidden: values.map((v, i) => (i % 2 ? v : v * scale)) };
          },
        })
      ).caches.map((cache) => cache.toContext());
    const [plain, same, other] = [await run(null), await run(1), await run(0.5)];
    expect(same).toEqual(plain);
    expect(other[1]).toEqual(plain[1]);
    expect(maxAbsDifference(other[2]!.keys, plain[2]!.keys)).toBeGreaterThan(TOLERANCE);
    await expect(
      engine.prefill(rows, [drop], {
        select: async () => ({ kept: Int32Array.of(1), hidden: new Float32Array(3) }),
      }),
    ).rejects.toMatchObject({ code: 'GP_TENSOR_SHAPE' });
  });

  it.each([
    [[{ layer: LAYERS, keepRatio: 0.5, method: 'v2drop' }]],
    [[{ layer: 0, keepRatio: 0.5, method: 'v2drop' }]],
    [[{ layer: 1, keepRatio: 0, method: 'v2drop' }]],
    [[{ layer: 1, keepRatio: 1.01, method: 'v2drop' }]],
    [
      [
        { layer: 2, keepRatio: 0.5, method: 'v2drop' },
        { layer: 1, keepRatio: 0.5, method: 'v2drop' },
      ],
    ],
    [
      [
        { layer: 1, keepCount: 1, method: 'v2drop' },
        { layer: 2, keepRatio: 0.5, method: 'v2drop' },
      ],
    ],
  ])('refuses the plan %j', (decoder) => {
    const refused = expect.objectContaining({ code: 'GP_PRUNE_PLAN' });
    expect(() => parsePrunePlan({ decoder }, { layers: LAYERS })).toThrow(refused);
    const plan = { decoder } as PrunePlan;
    expect(() => predictTokens(100, LAYERS, plan)).toThrow(refused);
  });
});
