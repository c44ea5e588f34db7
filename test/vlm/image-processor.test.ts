import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GLM_4V_PAGES } from '../../src/vlm/families/glm4v.js';
import {
  type ImageProcessorConfig,
  processImage,
  visualTokenGrid,
} from '../../src/vlm/image-processor.js';
import { type LongestSide, type PixelBudget, resizedTo } from '../../src/vlm/page-size.js';
import { resampleBicubic } from '../../src/vlm/resample.js';
import { patchOrder } from '../../src/vlm/towers/patch-grid.js';

const glm: PixelBudget = { ...(GLM_4V_PAGES.size as PixelBudget), minPixels: 25_088 };
const config: ImageProcessorConfig = {
  ...GLM_4V_PAGES,
  size: glm,
  temporalPatchSize: 2,
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
  rescaleFactor: 1 / 255,
};

describe('resizedTo, GLM-4V', () => {
  // Values of transformers 5.18.0 smart_resize(num_frames=2, factor=28, min 25088, max 9633792).
  it.each([
    [588, 840, 588, 840],
    [594, 842, 588, 840],
    // 70 / 28 = 2.5 goes to 2, 98 / 28 = 3.5 goes to 4: Python rounds halves to even.
    [700, 70, 700, 56],
    [700, 98, 700, 112],
    // A budget of 9,633,792 counts two frames: 4,816,896 pixels at most.
    [4000, 4000, 2184, 2184],
    // Below the smallest budget: enlarged, rounding up.
    [20, 40, 84, 168],
  ])('brings %i×%i to %i×%i', (widthPx, heightPx, toWidth, toHeight) => {
    expect(resizedTo({ widthPx, heightPx }, glm)).toEqual({
      widthPx: toWidth,
      heightPx: toHeight,
    });
  });

  it('stays within the budget and on the grid', () => {
    const side = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(side, side, (widthPx, heightPx) => {
        fc.pre(Math.max(widthPx, heightPx) / Math.min(widthPx, heightPx) < 50);
        const size = resizedTo({ widthPx, heightPx }, glm);
        expect(size.widthPx % 28).toBe(0);
        expect(size.heightPx % 28).toBe(0);
        expect(2 * size.widthPx * size.heightPx).toBeLessThanOrEqual(glm.maxPixels);
        const { rows, cols } = visualTokenGrid({ widthPx, heightPx }, config);
        expect([rows * 28, cols * 28]).toEqual([size.heightPx, size.widthPx]);
      }),
    );
  });

  it('refuses pages more than 200 times as long as wide', () => {
    const page = { widthPx: 28, heightPx: 28 * 201 };
    expect(() => resizedTo(page, glm)).toThrow(
      expect.objectContaining({ code: 'GP_TENSOR_SHAPE' }),
    );
  });
});

describe('resizedTo, Qwen', () => {
  const rule: PixelBudget = {
    kind: 'pixel-budget',
    cellPx: 32,
    minPixels: 65_536,
    maxPixels: 16_777_216,
    frames: 1,
    enlargesNarrow: false,
  };
  // Values of transformers 5.24.0 qwen2_vl smart_resize(factor=32, min 65536, max 16777216).
  it.each([
    [1024, 768, 1024, 768],
    [1000, 80, 928, 96],
    [10, 300, 64, 1408],
    [5000, 5000, 4096, 4096],
  ])('brings %i×%i to %i×%i', (widthPx, heightPx, toWidth, toHeight) => {
    expect(resizedTo({ widthPx, heightPx }, rule)).toEqual({
      widthPx: toWidth,
      heightPx: toHeight,
    });
  });

  it('leaves no side without a cell, however small the budget', () => {
    const side = fc.integer({ min: 1, max: 5000 });
    const limit = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(side, side, limit, (widthPx, heightPx, maxPixels) => {
        fc.pre(Math.max(widthPx, heightPx) / Math.min(widthPx, heightPx) <= 200);
        const size = resizedTo({ widthPx, heightPx }, { ...rule, minPixels: 1, maxPixels });
        expect(Math.min(size.widthPx, size.heightPx)).toBeGreaterThanOrEqual(32);
      }),
    );
  });
});

describe('resizedTo, Pixtral', () => {
  const rule: LongestSide = {
    kind: 'longest-side',
    multiplePx: 14,
    cellPx: 28,
    maxWidthPx: 1540,
    maxHeightPx: 1540,
  };
  // Values of transformers 5.24.0 pixtral get_resize_output_image_size(1540, 14); the last by our own rule.
  it.each([
    [588, 840, 588, 840],
    [589, 841, 602, 854],
    [2000, 3000, 1036, 1540],
    [3, 3, 28, 28],
  ])('brings %i×%i to %i×%i', (widthPx, heightPx, toWidth, toHeight) => {
    expect(resizedTo({ widthPx, heightPx }, rule)).toEqual({
      widthPx: toWidth,
      heightPx: toHeight,
    });
  });

  it('counts whole cells only', () => {
    const pages = { patchSize: 14, mergeSize: 2, size: rule };
    expect(visualTokenGrid({ widthPx: 70, heightPx: 57 }, pages)).toEqual({
      rows: 2,
      cols: 2,
      cellPx: 28,
      widthPx: 70,
      heightPx: 70,
    });
  });
});

describe('processImage', () => {
  it('leaves a page whose sides are multiples of 28 untouched', () => {
    const data = Uint8Array.from({ length: 140 * 140 }, (_, n) => (n * 37) % 256);
    expect(
      resampleBicubic(
        data,
        { widthPx: 140, heightPx: 140, channels: 1 },
        { widthPx: 140, heightPx: 140 },
      ),
    ).toBe(data);
  });

  it('gives grey and its RGB copy the same patches', () => {
    const grey = Uint8Array.from({ length: 150 * 130 }, (_, n) => (n * 101) % 256);
    const rgb = Uint8Array.from({ length: grey.length * 3 }, (_, n) => grey[Math.floor(n / 3)]!);
    const size = { widthPx: 150, heightPx: 130 };
    const a = processImage({ data: grey, ...size, channels: 1 }, config);
    const b = processImage({ data: rgb, ...size, channels: 3 }, config);
    expect(b).toEqual(a);
  });

  it('keeps a page of one colour that colour, whatever the size', () => {
    const side = fc.integer({ min: 1, max: 90 });
    fc.assert(
      fc.property(
        side,
        side,
        side,
        side,
        fc.integer({ min: 0, max: 255 }),
        (w, h, toW, toH, value) => {
          const page = new Uint8Array(w * h).fill(value);
          const resized = resampleBicubic(
            page,
            { widthPx: w, heightPx: h, channels: 1 },
            { widthPx: toW, heightPx: toH },
          );
          expect(resized).toHaveLength(toW * toH);
          // Fixed-point weights need not sum to exactly one.
          for (const pixel of resized) expect(Math.abs(pixel - value)).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('orders patches so that the four of a cell follow each other', () => {
    expect([...patchOrder(4, 4, 2)].slice(0, 6)).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
      [0, 2],
      [0, 3],
    ]);
  });

  it('takes every patch once, those that fill no cell last', () => {
    const side = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(side, side, fc.integer({ min: 1, max: 3 }), (gridH, gridW, mergeSize) => {
        const order = [...patchOrder(gridH, gridW, mergeSize)];
        expect(new Set(order.map(([row, column]) => row * gridW + column)).size).toBe(
          gridH * gridW,
        );
        const cell = ([row, column]: readonly [number, number]) => [
          Math.floor(row / mergeSize),
          Math.floor(column / mergeSize),
        ];
        const [rows, cols] = [Math.floor(gridH / mergeSize), Math.floor(gridW / mergeSize)];
        for (const [n, patch] of order.slice(0, rows * cols * mergeSize ** 2).entries()) {
          const index = Math.floor(n / mergeSize ** 2);
          expect(cell(patch)).toEqual([Math.floor(index / cols), index % cols]);
        }
      }),
    );
  });

  it.each([
    [
      'too few bytes',
      { data: new Uint8Array(10), widthPx: 28, heightPx: 28, channels: 1 as const },
    ],
    ['no pixels', { data: new Uint8Array(0), widthPx: 0, heightPx: 28, channels: 1 as const }],
    [
      'alpha',
      { data: new Uint8Array(28 * 28 * 4), widthPx: 28, heightPx: 28, channels: 4 as unknown as 3 },
    ],
  ])('refuses a page with %s', (_, page) => {
    expect(() => processImage(page, config)).toThrow(
      expect.objectContaining({ code: 'GP_TENSOR_SHAPE' }),
    );
  });
});
