import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../src/vlm/engine.js';
import { processImage } from '../../src/vlm/image-processor.js';
import { argmax } from '../../src/vlm/sampler.js';
import { CASES, concatenate, Golden, maxAbsDifference, TINY, TOLERANCE } from './golden.js';
import { goldenPrompt, imageTokenOf, type Prompt, templateOf } from './prompts.js';

describe.each(CASES)('glm4v against transformers 5.18.0, case %s', (name) => {
  const golden = new Golden(name);
  let engine: Engine;
  let prompt: Prompt;

  beforeAll(async () => {
    engine = await Engine.open(TINY, { threads: 2 });
    prompt = await goldenPrompt(engine, golden);
  });
  afterAll(() => engine.close());

  it('processes images to the same pixel values, bit for bit', () => {
    const processed = golden.images.map((image) =>
      processImage(image, engine.checkpoint.imageProcessor!),
    );
    expect(processed.map(({ gridThw }) => gridThw)).toEqual(golden.grids);
    expect(
      maxAbsDifference(concatenate(processed.map((p) => p.pixelValues)), golden.pixelValues),
    ).toBe(0);
  });

  it('encodes images to the same visual tokens', () => {
    const tokens = concatenate(prompt.encoded.map((image) => image.tokens));
    const error = maxAbsDifference(tokens, golden.floats('vision_output'));
    report(`${name} vision`, error);
    expect(error).toBeLessThanOrEqual(TOLERANCE);
  });

  it('renders and tokenises the same prompt', () => {
    const template = templateOf(engine.checkpoint);
    expect(template.renderText(golden.images.length, golden.question)).toBe(golden.rendered);
    const imageTokenId = imageTokenOf(engine.checkpoint);
    const ids = Array.from(prompt.whole.tokenIds, (id) => (id < 0 ? imageTokenId : id));
    expect(ids).toEqual(golden.integers('input_ids'));
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
      const error = maxAbsDifference(data, golden.floats(`hidden.${layer - 1}`));
      report(`${name} hidden after layer ${layer - 1}`, error);
      expect(error).toBeLessThanOrEqual(TOLERANCE);
    }
    const error = maxAbsDifference(logits, golden.floats('logits'));
    report(`${name} logits`, error);
    expect(error).toBeLessThanOrEqual(TOLERANCE);
  });

  it('scores variation as the norm of what a layer changed', async () => {
    const { hidden } = await engine.forward(prompt.whole, [1, 2, 3]);
    const width = engine.checkpoint.config.text.hiddenSize;
    for (const layer of [2, 3]) {
      const expected = movement(
        golden.floats(`hidden.${layer - 2}`),
        golden.floats(`hidden.${layer - 1}`),
        width,
      );
      const stage = hidden.find((entry) => entry.layer === layer)!;
      expect(maxAbsDifference(stage.variation!, expected)).toBeLessThanOrEqual(TOLERANCE);
    }
  });

  it('scores the last layer of a stage of several', async () => {
    const other = await Engine.open(TINY, { threads: 1, cuts: [3] });
    const { hidden } = await other.forward(prompt.whole, []);
    await other.close();
    expect(hidden.map(({ layer }) => layer)).toEqual([3, 4]);
    const expected = movement(golden.floats('hidden.1'), golden.floats('hidden.2'), 64);
    expect(maxAbsDifference(hidden[0]!.variation!, expected)).toBeLessThanOrEqual(TOLERANCE);
  });

  it('continues with the same 32 greedy tokens', async () => {
    const { handle } = await engine.prefill(prompt.prefix, [], { select: neverAsked });
    const tokens: number[] = [];
    const request = {
      tokenIds: prompt.suffixIds,
      position: prompt.prefix.next,
      maxNewTokens: 32,
      sampling: {},
    };
    await engine.generate(handle, request, (id) => tokens.push(id));
    expect(tokens).toEqual(golden.integers('greedy'));
  });

  it('computes the same logits when rows were dropped between layers', async () => {
    // The fixture drops every third visual row before layer 2.
    const select = async (_: unknown, { rows }: { rows: number }) =>
      Int32Array.from({ length: rows }, (_, n) => n).filter((n) => n % 3 !== 0);
    const drop = { layer: 2, needs: { variation: false, hidden: false } };
    const { handle, caches } = await engine.prefill(prompt.prefix, [drop], { select });
    const kept = golden
      .integers('dropped_rows_kept')
      .filter((row) => row < prompt.prefix.image.length);
    expect(caches.map((cache) => cache.length)).toEqual([
      prompt.prefix.image.length,
      prompt.prefix.image.length,
      kept.length,
      kept.length,
    ]);
    const tokens: number[] = [];
    const request = {
      tokenIds: prompt.suffixIds,
      position: prompt.prefix.next,
      maxNewTokens: 1,
      sampling: {},
    };
    await engine.generate(handle, request, (id) => tokens.push(id));
    const logits = golden.floats('dropped_logits');
    expect(tokens).toEqual([argmax(logits.subarray(-engine.checkpoint.config.text.vocabSize))]);
  });
});

/** Norm of each row's change. */
function movement(before: Float32Array, after: Float32Array, width: number): Float32Array {
  return Float32Array.from({ length: after.length / width }, (_, row) => {
    let sum = 0;
    for (let d = row * width; d < (row + 1) * width; d += 1) sum += (after[d]! - before[d]!) ** 2;
    return Math.sqrt(sum);
  });
}

async function neverAsked(): Promise<Int32Array> {
  throw new Error('no drop was asked for');
}

/** `GLYPHPRESS_PARITY=1 npx vitest run test/vlm/parity.test.ts` prints the measured errors. */
function report(what: string, error: number): void {
  if (process.env.GLYPHPRESS_PARITY)
    console.log(`${what}: max abs error ${error.toExponential(2)}`);
}
