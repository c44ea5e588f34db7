/**
 * What holds of every family: it computes what transformers computes, and however a prompt is cut into
 * stages and pieces, cached or thinned out, it computes the same.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/vlm/engine.js';
import { processImage } from '../../src/vlm/image-processor.js';
import type { LayerCache } from '../../src/vlm/kv-cache.js';
import { logSumExp } from '../../src/vlm/log-probability.js';
import { promptRows, promptShape } from '../../src/vlm/prompt.js';
import { argmax } from '../../src/vlm/sampler.js';
import {
  CASES,
  type CaseName,
  concatenate,
  Golden,
  maxAbsDifference,
  TOLERANCE,
} from './golden.js';
import { goldenPrompt, imageTokenOf, type Prompt, templateOf } from './prompts.js';
import { recomputeAnswer } from './recompute.js';

export interface FamilyFixture {
  name: string;
  /** Holds the golden files. */
  folder: string;
  checkpoint: string;
}

/** @param options.vision also what only models with a tower have: pages, and drops of their rows */
export function testFamily(fixture: FamilyFixture, options: { vision: boolean }): void {
  for (const name of options.vision ? CASES : (['one'] as const)) testCase(fixture, name, options);
}

function testCase(
  { name, folder, checkpoint }: FamilyFixture,
  caseName: CaseName,
  { vision }: { vision: boolean },
): void {
  describe(`${name}, case ${caseName}`, () => {
    const golden = new Golden(caseName, folder);
    let engine: Engine;
    let prompt: Prompt;
    beforeAll(async () => {
      engine = await Engine.open(checkpoint, { threads: 1, dtype: 'fp32' });
      prompt = await goldenPrompt(engine, golden);
    });
    afterAll(() => engine.close());

    if (vision) testPages();

    it('renders and tokenises the same prompt', () => {
      const template = templateOf(engine.checkpoint);
      const question = (golden.document ?? '') + golden.question;
      expect(template.renderText(golden.images.length, question)).toBe(golden.rendered);
      const image = vision ? imageTokenOf(engine.checkpoint) : -1;
      expect(Array.from(prompt.whole.tokenIds, (id) => (id < 0 ? image : id))).toEqual(
        golden.integers('input_ids'),
      );
    });

    it('gives every row the same position', () => {
      const { temporal, row, column } = prompt.whole.positions;
      expect([...temporal, ...row, ...column]).toEqual(golden.integers('position_ids'));
      const delta = prompt.whole.next - prompt.whole.tokenIds.length;
      expect(delta).toBe(golden.integers('rope_delta')[0]);
    });

    it('computes the same hidden rows after every layer, and the same logits', async () => {
      const { hidden, logits } = await engine.forward(prompt.whole, [1, 2, 3]);
      expect(hidden.map(({ layer }) => layer)).toEqual([1, 2, 3, 4]);
      for (const { layer, data } of hidden) {
        expectClose(data, golden.floats(`hidden.${layer - 1}`), `hidden after layer ${layer - 1}`);
      }
      const last = golden.floats('logits');
      expectClose(logits.subarray(-last.length), last, 'logits');
    });

    it('continues with the same 32 greedy tokens', async () => {
      const { handle } = await engine.prefill(prompt.prefix, [], { select: never });
      expect((await generate(handle, 32)).tokens).toEqual(golden.integers('greedy'));
    });

    it('computes the same in one stage as in several', async () => {
      const single = await Engine.open(checkpoint, { threads: 1, dtype: 'fp32' });
      const one = await single.forward(prompt.whole, []);
      await single.close();
      const several = await engine.forward(prompt.whole, [1, 2, 3]);
      expect(one.hidden).toHaveLength(1);
      expectClose(several.hidden.at(-1)!.data, one.hidden[0]!.data, 'hidden rows');
      expectClose(several.logits, one.logits, 'logits');
    });

    it('fills the same cache in pieces of any size as in one', async () => {
      const whole = await engine.prefill(prompt.prefix, [], { select: never });
      for (const prefillChunk of [1, 7]) {
        const other = await Engine.open(checkpoint, { threads: 1, dtype: 'fp32', prefillChunk });
        const pieces = await other.prefill(prompt.prefix, [], { select: never });
        await other.close();
        expectSameCaches(pieces.caches, whole.caches);
      }
    });

    it('decodes with a cache what one pass over all rows gives', async () => {
      const { handle } = await engine.prefill(prompt.prefix, [], { select: never });
      const { tokens } = await generate(handle, 8);
      const shape = promptShape(engine.checkpoint.config);
      const rows = Array.from(prompt.whole.tokenIds, (id, row) =>
        id >= 0 ? [id] : prompt.whole.cell[row] === 0 ? [shape.imageTokenId!] : [],
      ).flat();
      for (const count of [0, 3, 7]) {
        const ids = [...rows, ...tokens.slice(0, count)];
        const { logits } = await engine.forward(promptRows(ids, shape, prompt.images), []);
        const { vocabSize } = engine.checkpoint.config.text;
        expect(argmax(logits.subarray(-vocabSize))).toBe(tokens[count]);
      }
    });

    if (vision) testDrops();

    function testPages(): void {
      it('processes images to the same pixel values, bit for bit', () => {
        const { imageProcessor } = engine.checkpoint;
        const processed = golden.images.map((image) => processImage(image, imageProcessor!));
        expect(processed.map(({ gridThw }) => gridThw)).toEqual(golden.grids);
        const { patchSize, temporalPatchSize } = imageProcessor!;
        const pixels = concatenate(processed.map(({ pixelValues }) => pixelValues));
        const expected = golden.pixelValues(patchSize, temporalPatchSize);
        expect(maxAbsDifference(pixels, expected)).toBe(0);
      });

      it('encodes images to the same visual tokens', () => {
        const tokens = concatenate(prompt.encoded.map((image) => image.tokens));
        expectClose(tokens, golden.floats('vision_output'), 'visual tokens');
      });
    }

    function testDrops(): void {
      const keptBy = (step: number, rows: number) =>
        Int32Array.from({ length: rows }, (_, n) => n).filter((n) => n % step !== 0);
      const drop = (layer: number) => ({ layer, needs: { variation: false, hidden: false } });

      it('computes the same logits when rows were dropped between layers', async () => {
        const { handle, caches } = await engine.prefill(prompt.prefix, [drop(golden.dropLayer)], {
          select: async (_, { rows }) => keptBy(3, rows),
        });
        const kept = golden
          .integers('dropped_rows_kept')
          .filter((row) => row < prompt.prefix.image.length);
        expect(caches.map(({ length }) => length)).toEqual(
          caches.map((_, layer) =>
            layer < golden.dropLayer ? prompt.prefix.image.length : kept.length,
          ),
        );
        const { tokens, logProbs } = await generate(handle, 1);
        const { vocabSize } = engine.checkpoint.config.text;
        const logits = golden.floats('dropped_logits').subarray(-vocabSize);
        expect(tokens).toEqual([argmax(logits)]);
        expect(logProbs[0]).toBeCloseTo(logits[tokens[0]!]! - logSumExp(logits), 3);
      });

      it('decodes what recomputing without the dropped rows gives', async () => {
        const left: { layer: number; keys: string[] }[] = [];
        const { handle } = await engine.prefill(prompt.prefix, [drop(1), drop(2), drop(3)], {
          select: async ({ layer }, { rows, image, cell }) => {
            const kept = keptBy(layer + 2, rows);
            left.push({ layer, keys: Array.from(kept, (n) => `${image[n]}:${cell[n]}`) });
            return kept;
          },
        });
        const { tokens } = await generate(handle, 6);
        expect(left.map(({ layer }) => layer)).toEqual([1, 2, 3]);
        expect(
          await recomputeAnswer(engine, prompt.prefix, prompt.suffixIds, tokens, left),
        ).toEqual(tokens);
      });
    }

    async function generate(handle: number, maxNewTokens: number) {
      const tokens: number[] = [];
      const logProbs: number[] = [];
      const { suffixIds: tokenIds, prefix } = prompt;
      const request = {
        tokenIds,
        position: prefix.next,
        maxNewTokens,
        sampling: {},
        stopLoops: false,
      };
      await engine.generate(handle, request, (id, logProb) => {
        tokens.push(id);
        logProbs.push(logProb);
      });
      return { tokens, logProbs };
    }

    function expectClose(actual: Float32Array, expected: Float32Array, what: string): void {
      const error = maxAbsDifference(actual, expected);
      // `GLYPHPRESS_PARITY=1 npx vitest run test/vlm/families.test.ts` prints the measured errors.
      if (process.env.GLYPHPRESS_PARITY)
        console.log(`${name} ${caseName} ${what}: max abs error ${error.toExponential(2)}`);
      expect(error, what).toBeLessThanOrEqual(TOLERANCE);
    }

    function expectSameCaches(
      actual: readonly LayerCache[],
      expected: readonly LayerCache[],
    ): void {
      for (const [layer, cache] of expected.entries()) {
        const [a, b] = [actual[layer]!.toContext(), cache.toContext()];
        expect(a.length).toBe(b.length);
        expect(maxAbsDifference(a.keys, b.keys)).toBeLessThanOrEqual(TOLERANCE);
        expect(maxAbsDifference(a.values, b.values)).toBeLessThanOrEqual(TOLERANCE);
      }
    }
  });
}

async function never(): Promise<Int32Array> {
  throw new Error('no drop was asked for');
}
