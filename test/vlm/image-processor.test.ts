import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ImageProcessorConfig,
  mergeOrder,
  parseImageProcessorConfig,
  processImage,
  smartResize,
  visualTokenGrid,
} from '../../src/vlm/image-processor.js';
import { resampleBicubic } from '../../src/vlm/resample.js';

const config: ImageProcessorConfig = parseImageProcessorConfig(
  { size: { shortest_edge: 25_088, longest_edge: 9_633_792 } },
  'preprocessor_config.json',
);

describe('smartResize', () => {
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
    expect(smartResize({ widthPx, heightPx }, config)).toEqual({
      widthPx: toWidth,
      heightPx: toHeight,
    });
  });

  it('stays within the budget and on the grid', () => {
    const side = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(side, side, (widthPx, heightPx) => {
        fc.pre(Math.max(widthPx, heightPx) / Math.min(widthPx, heightPx) < 50);
        const size = smartResize({ widthPx, heightPx }, config);
        expect(size.widthPx % 28).toBe(0);
        expect(size.heightPx % 28).toBe(0);
        expect(2 * size.widthPx * size.heightPx).toBeLessThanOrEqual(config.maxPixels);
        const { rows, cols } = visualTokenGrid({ widthPx, heightPx }, config);
        expect([rows * 28, cols * 28]).toEqual([size.heightPx, size.widthPx]);
      }),
    );
  });

  it('refuses pages more than 200 times as long as wide', () => {
    const page = { widthPx: 28, heightPx: 28 * 201 };
    expect(() => smartResize(page, config)).toThrow(
      expect.objectContaining({ code: 'GP_TENSOR_SHAPE' }),
    );
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
    expect([...mergeOrder(4, 4, 2)].slice(0, 6)).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
      [0, 2],
      [0, 3],
    ]);
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
