/** Prompts whose question stands before the images too, put together as the product does. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CONTEXT_FILE,
  readContext,
  writeContext,
} from '../../src/pipeline/artifacts/context-file.js';
import { layerDrops, Stopwatch } from '../../src/pipeline/backends/prune-hooks.js';
import { dropBeforeLayer, type PrunePlan, tokenVariation } from '../../src/prune/index.js';
import { compile } from '../../src/vlm/compile.js';
import { Engine } from '../../src/vlm/engine.js';
import { type PrefilledContext, VisionLanguageModel } from '../../src/vlm/index.js';
import { runPrefill } from '../../src/vlm/prefill.js';
import {
  type PromptImage,
  type PromptRows,
  promptRows,
  promptShape,
} from '../../src/vlm/prompt.js';
import { StagePool } from '../../src/vlm/stage-pool.js';
import { temporaryFolder } from '../support/folders.js';
import { Golden, maxAbsDifference, TINY, TOLERANCE } from './golden.js';
import { templateOf, wholeImage } from './prompts.js';
import { embedRows, type KeptRows, recomputeAnswer } from './recompute.js';

const WIDTH = 64;
const LAYERS = 4;
const HEAD_DIM = 16;
/** Seeded, because chunks add up in another order: scores that differ by rounding alone may swap. */
const PROPERTY = { numRuns: 15, seed: 11 };

/** Also words that look like markup: the question must not bring image tokens of its own. */
const questionArbitrary = fc.oneof(
  fc.string({ minLength: 1, maxLength: 40 }),
  fc.constantFrom('Which gate?', 'a<|image|>b', '<|user|><|begin_of_image|>', 'Ünï ✓'),
);
const imagesArbitrary = fc.array(
  fc.record({ rows: fc.integer({ min: 1, max: 5 }), cols: fc.integer({ min: 1, max: 6 }) }),
  { minLength: 1, maxLength: 4 },
);
const v2dropArbitrary = fc
  .record({
    layers: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
    keepRatio: fc.double({ min: 0.3, max: 0.95, noNaN: true }),
    metric: fc.constantFrom('l2' as const, 'l1' as const, 'cosine' as const),
  })
  .map(
    ({ layers, ...rest }): PrunePlan => ({
      decoder: layers.sort().map((layer) => ({ layer, method: 'v2drop', ...rest })),
    }),
  );

let engine: Engine;
let model: VisionLanguageModel;
beforeAll(async () => {
  engine = await Engine.open(TINY, { threads: 1 });
  model = await VisionLanguageModel.open(TINY, { threads: 1, prefillChunk: 9 });
});
afterAll(async () => {
  await model.close();
  await engine.close();
});

function imagesOf(grids: readonly { rows: number; cols: number }[]): PromptImage[] {
  return grids.map(({ rows, cols }, image) => ({
    tokenGrid: { rows, cols },
    kept: Int32Array.from({ length: rows * cols }, (_, cell) => cell),
    tokens: Float32Array.from({ length: rows * cols * WIDTH }, (_, i) =>
      Math.sin((i + 1) * (image + 3)),
    ),
  }));
}

function rowsOf(question: string, images: readonly PromptImage[]): PromptRows {
  const ids = templateOf(engine.checkpoint).documentPrefix(images.length, question);
  return promptRows(ids, promptShape(engine.checkpoint.config), images);
}

const suffixOf = (question: string) => templateOf(engine.checkpoint).questionSuffix(question, true);

/** Keys of the last visual row in the first head. */
function lastVisual({ layers, promptTokens }: PrefilledContext, layer: number): Float32Array {
  // Behind the last image stands its end token alone.
  const row = promptTokens - 2;
  return (layers[layer]!.keys as Float32Array).slice(row * HEAD_DIM, (row + 1) * HEAD_DIM);
}

describe('a prompt with the question first', () => {
  it('has every row where the template puts it', () => {
    fc.assert(
      fc.property(questionArbitrary, imagesArbitrary, (question, grids) => {
        const rows = rowsOf(question, imagesOf(grids));
        // By hand: "[gMASK]<sop><|user|>\n", the question's bytes, then a begin and an end around each image.
        const before = 4 + new TextEncoder().encode(question).length;
        const expected: { position: number[]; image: number; cell: number }[] = [];
        let next = 0;
        const text = (count: number) => {
          for (let n = 0; n < count; n += 1) {
            expected.push({ position: [next, next, next], image: -1, cell: -1 });
            next += 1;
          }
        };
        text(before);
        grids.forEach(({ rows, cols }, image) => {
          text(1);
          for (let cell = 0; cell < rows * cols; cell += 1) {
            const position = [next, next + Math.floor(cell / cols), next + (cell % cols)];
            expected.push({ position, image, cell });
          }
          next += Math.max(rows, cols);
          text(1);
        });
        const { temporal, row, column } = rows.positions;
        const actual = Array.from(rows.image, (image, n) => ({
          position: [temporal[n], row[n], column[n]],
          image,
          cell: rows.cell[n],
        }));
        expect(actual).toEqual(expected);
        expect(rows.next).toBe(next);
      }),
      { numRuns: 60 },
    );
  });

  it('gives the same keys and values in chunks as in one piece', async () => {
    await fc.assert(
      fc.asyncProperty(
        questionArbitrary,
        imagesArbitrary,
        fc.integer({ min: 1, max: 60 }),
        async (question, grids, chunk) => {
          const run = async (chunk: number) => {
            const pool = new StagePool(await compile(engine.checkpoint, 'fp32'), 1, [1, 3]);
            const lease = await pool.acquire([]);
            try {
              const rows = rowsOf(question, imagesOf(grids));
              const input = { ...rows, hidden: embedRows(engine, rows) };
              const { text } = engine.checkpoint.config;
              return await runPrefill(
                lease.stages,
                text,
                input,
                [],
                { run: { chunk, operations: Number.POSITIVE_INFINITY }, kvDtype: 'fp32' },
                { select: never },
              );
            } finally {
              await lease.release();
              await pool.close();
            }
          };
          const [whole, pieces] = [await run(10_000), await run(chunk)];
          const through = await model.prefill(imagesOf(grids), [], { questionFirst: question });
          whole.caches.forEach((cache, layer) => {
            const expected = cache.toContext();
            for (const { keys, values } of [
              pieces.caches[layer]!.toContext(),
              through.layers[layer]!,
            ]) {
              expect(maxAbsDifference(keys, expected.keys)).toBeLessThanOrEqual(TOLERANCE);
              expect(maxAbsDifference(values, expected.values)).toBeLessThanOrEqual(TOLERANCE);
            }
          });
          expect(through.layerVisualTokens).toEqual(whole.layerVisualTokens);
          await model.forget(through);
        },
      ),
      PROPERTY,
    );
  });

  it('decodes with V²Drop what recomputing without the dropped rows gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        questionArbitrary,
        imagesArbitrary,
        v2dropArbitrary,
        async (question, grids, plan) => {
          const images = imagesOf(grids);
          const rows = rowsOf(question, images);
          const cells = images.flatMap(({ kept }, image) =>
            Array.from(kept, (cell) => `${image}:${cell}`),
          );
          const { hidden } = await engine.forward(rows, [1, 2, 3]);
          const seen: KeptRows[] = [];
          const points = plan.decoder.map(({ layer, metric }) => ({
            layer,
            needs: { variation: metric ?? ('l2' as const), hidden: false },
          }));
          const { handle, caches } = await engine.prefill(rows, points, {
            select: async ({ layer }, { variation, image, cell }) => {
              const drop = plan.decoder.find((each) => each.layer === layer)!;
              const keys = Array.from(image, (page, n) => `${page}:${cell[n]}`);
              if (seen.length === 0) {
                // Text rows, those before the images too, are neither scored nor counted.
                expect(keys).toEqual(cells);
                const at = (layer: number) =>
                  layer === 0
                    ? embedRows(engine, rows)
                    : hidden.find((one) => one.layer === layer)!.data;
                const all = tokenVariation(at(layer - 1), at(layer), WIDTH, drop.metric);
                const expected = all.filter((_, row) => rows.image[row]! >= 0);
                expect(maxAbsDifference(variation!, expected)).toBeLessThanOrEqual(TOLERANCE);
              }
              const kept = dropBeforeLayer(variation!, drop, plan, image);
              seen.push({ layer, keys: Array.from(kept, (row) => keys[row]!) });
              return kept;
            },
          });
          const text = rows.image.filter((image) => image < 0).length;
          expect(caches.at(-1)!.length).toBe(text + seen.at(-1)!.keys.length);

          const tokenIds = suffixOf(question);
          const answer: number[] = [];
          const request = { tokenIds, position: rows.next, maxNewTokens: 3, sampling: {} };
          await engine.generate(handle, request, (id) => answer.push(id));
          expect(answer).toEqual(await recomputeAnswer(engine, rows, tokenIds, answer, seen));
          engine.dropContext(handle);
        },
      ),
      PROPERTY,
    );
  });

  it('has its pages read, and dropped, with the question in mind', async () => {
    const images: PromptImage[] = [];
    for (const image of new Golden('three').images)
      images.push(wholeImage(await engine.encodeImage(image)));
    const questions = ['Which gate?', 'Which rope?'];
    const read = (questionFirst?: string, plan: PrunePlan = { decoder: [] }) =>
      model.prefill(images, layerDrops(plan, images, new Stopwatch()), {
        ...(questionFirst !== undefined && { questionFirst }),
      });
    const [gate, rope] = [await read(questions[0]), await read(questions[1])];
    expect(lastVisual(gate, 0)).toEqual(lastVisual(rope, 0));
    for (let layer = 1; layer < LAYERS; layer += 1) {
      const difference = maxAbsDifference(lastVisual(gate, layer), lastVisual(rope, layer));
      expect(difference).toBeGreaterThan(TOLERANCE);
    }
    const plain = await read();
    expect(gate.promptTokens).toBe(plain.promptTokens + questions[0]!.length);
    expect(plain).not.toHaveProperty('questionFirst');

    const plan: PrunePlan = {
      decoder: [
        { layer: 2, keepRatio: 0.5, method: 'v2drop' },
        { layer: 3, keepRatio: 0.5, method: 'v2drop' },
      ],
    };
    const scored: Float32Array[] = [];
    for (const question of questions) {
      const drops = layerDrops(plan, images, new Stopwatch()).map((drop) => ({
        ...drop,
        select: (input: Parameters<typeof drop.select>[0]) => {
          scored.push(input.variation!.slice());
          return drop.select(input);
        },
      }));
      await model.prefill(images, drops, { questionFirst: question });
    }
    expect(maxAbsDifference(scored[0]!, scored[2]!)).toBeGreaterThan(TOLERANCE);
  });

  it('is asked its own question only, also from a file', async () => {
    const images = imagesOf([{ rows: 2, cols: 3 }]);
    const context = await model.prefill(images, [], { questionFirst: 'Which gate?' });
    const folder = temporaryFolder();
    await writeContext(folder, context, model.info);
    const stored = readContext(await readFile(path.join(folder, CONTEXT_FILE)));
    for (const of of [context, stored]) {
      expect(of.questionFirst).toBe('Which gate?');
      const ask = (question: string) => model.answer(of, question, { maxNewTokens: 2 }).next();
      await expect(ask('Which rope?')).rejects.toMatchObject({ code: 'GP_ARTIFACT_MISMATCH' });
      expect((await ask('Which gate?')).done).toBe(false);
    }
  });
});

async function never(): Promise<Int32Array> {
  throw new Error('no drop was asked for');
}
