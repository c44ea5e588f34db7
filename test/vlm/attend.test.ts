import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attentionShares } from '../../src/vlm/attention-scores.js';
import { visualRows } from '../../src/vlm/context-rows.js';
import { type PrefilledContext, VisionLanguageModel } from '../../src/vlm/index.js';
import { KvBuffer } from '../../src/vlm/kv-buffer.js';
import { sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';

const SHAPE = { kvHeads: 2, headDim: 2 };

describe('the attention of a question', () => {
  /** Keys [4 rows, 2 heads · 2]; the fourth row is the question's own. */
  const keys = (dtype: 'fp32' | 'fp16' | 'int8') => {
    const buffer = new KvBuffer({ ...SHAPE, dtype });
    buffer.reserve(8, 0);
    const rows = [
      [1, 0, 0, 0],
      [0, 1, 0, 2],
      [1, 1, 0, 0],
      [9, 9, 9, 9],
    ];
    buffer.append(Float32Array.from(rows.flat()), 0, 4);
    return buffer;
  };
  // Four query heads on two key heads; two rows of the question.
  const queries = new Float32Array(2 * 4 * 2);
  queries.set([Math.SQRT2, 0], 0); // row 0, head 0
  queries.set([0, Math.SQRT2], 8 + 4); // row 1, head 2, which reads key head 1
  const of = { queries, heads: 4, ...SHAPE };

  it.each(['fp32', 'fp16', 'int8'] as const)(
    'is that of softmax over the context (%s)',
    (dtype) => {
      const heads = [
        { head: 0, from: 'all' as const },
        { head: 2, from: 'last' as const },
      ];
      const [first, second] = attentionShares(of, keys(dtype), 3, heads, Int32Array.of(1, 2));
      // Row 0 scores 1, 0, 1; row 1 is all zeros.
      const sum = 2 * Math.E + 1;
      const expected = [(1 / sum + 1 / 3) / 2, (Math.E / sum + 1 / 3) / 2];
      expect([...first!].map((share, n) => Math.abs(share - expected[n]!))).toEqual([
        expect.closeTo(0, 2),
        expect.closeTo(0, 2),
      ]);
      // Key head 1: scores 0, 2, 0.
      expect(second![0]).toBeCloseTo(Math.E ** 2 / (Math.E ** 2 + 2), 2);
    },
  );

  it('knows the cells of rows that drops left', () => {
    const context = {
      layers: [{ length: 5 }, { length: 4 }, { length: 3 }],
      layerVisualTokens: [3, 2, 1],
      promptTokens: 5,
      keptCells: [
        [
          { image: 0, cell: Int32Array.of(4) },
          { image: 1, cell: Int32Array.of(7) },
        ],
        [{ image: 1, cell: Int32Array.of(7) }],
      ],
      places: { image: Int32Array.of(-1, 0, 0, 1, -1), cell: Int32Array.of(-1, 4, 5, 7, -1) },
    };
    const of = (layer: number) => {
      const { rows, image, cell } = visualRows(context, layer)!;
      return [[...rows], [...image], [...cell]];
    };
    expect(of(0)).toEqual([
      [1, 2, 3],
      [0, 0, 1],
      [4, 5, 7],
    ]);
    expect(of(1)).toEqual([
      [1, 2],
      [0, 1],
      [4, 7],
    ]);
    expect(of(2)).toEqual([[1], [1], [7]]);
    expect(visualRows({ ...context, layers: [{ length: 2 }] }, 0)).toBeNull();
    const { places: _, ...old } = context;
    expect(visualRows(old, 0)).toBeNull();
  });
});

describe('a model', () => {
  let model: VisionLanguageModel;
  let context: PrefilledContext;
  beforeAll(async () => {
    model = await VisionLanguageModel.open(TINY_MODEL, {
      cacheDir: path.join(sharedFolder(), 'cache'),
      threads: 1,
    });
    const size = 4 * model.vision.cellPx;
    const data = new Uint8Array(size * size).map((_, n) => (n * 37) % 256);
    const page = await model.encodeImage({ data, widthPx: size, heightPx: size, channels: 1 });
    const kept = Int32Array.from(
      { length: page.tokens.length / model.vision.tokenWidth },
      (_, n) => n,
    );
    context = await model.prefill(
      [{ ...page, kept }],
      [
        {
          layer: 1,
          needs: { variation: false, hidden: false },
          select: ({ rows }) => Int32Array.from({ length: rows / 2 }, (_, n) => 2 * n),
        },
      ],
    );
  });
  afterAll(() => model?.close());

  it('says how much each visual token is attended to, and answers as before', async () => {
    const answer = async () => {
      const events = model.answer(context, 'Which gate?', { maxNewTokens: 4 });
      const ids: number[] = [];
      for await (const { tokenId } of events) ids.push(tokenId);
      return ids;
    };
    const before = await answer();
    const heads = [0, model.info.layers - 1].map((layer) => ({
      layer,
      head: 0,
      from: 'all' as const,
    }));
    const [first, last] = (await model.attend(context, 'Which gate?', heads))!;
    expect(first!.cell).toHaveLength(context.layerVisualTokens[0]!);
    expect(last!.cell).toHaveLength(context.layerVisualTokens.at(-1)!);
    expect([...last!.cell]).toEqual([...first!.cell].filter((cell) => cell % 2 === 0));
    for (const { share } of [first!, last!]) {
      const sum = share.reduce((total, value) => total + value, 0);
      expect(Math.min(...share)).toBeGreaterThan(0);
      expect(sum).toBeLessThan(1);
    }
    expect(await answer()).toEqual(before);
    // A context that was sent anew, as one from a file is.
    const stored = { ...context };
    const again = (await model.attend(stored, 'Which gate?', heads))!;
    expect([...again[1]!.share]).toEqual([...last!.share]);
  });
});
