import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { GlyphpressError } from '../../src/errors.js';
import { parseRenderConfig, type RenderedPage } from '../../src/render/index.js';
import { renderAll } from '../support/rendering.js';

const CELL_PX = 5.6;
const OVERLAP = 8;

/** 20 characters a line in the reader's type; a line that goes on repeats `overlap` of them. */
const narrow = (overlap: number, changes = {}) =>
  parseRenderConfig({
    'page-size': '112,280',
    dpi: 72,
    'margin-x': 0,
    'margin-y': 0,
    'font-family': 'DejaVu Sans Mono',
    'font-size': 9.3015,
    'line-height': 9.33,
    'grid-lock': true,
    'line-breaking': 'anywhere',
    'line-overlap': overlap * CELL_PX,
    ...changes,
  });

/** Grey levels of so many character columns of a text row. */
async function columns(page: RenderedPage, row: number, from: number, count: number) {
  const left = Math.round(from * CELL_PX);
  return sharp(page.png)
    .extract({
      left,
      top: Math.round((row * 28) / 3),
      width: Math.round((from + count) * CELL_PX) - left,
      height: 9,
    })
    .raw()
    .toBuffer();
}

/** Mean difference of grey levels. */
function distance(a: Buffer, b: Buffer) {
  return a.reduce((sum, level, i) => sum + Math.abs(level - b[i]!), 0) / a.length;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

describe('a line that goes on', () => {
  it('holds so much less of the text, and all of it stands in the span map', async () => {
    const { pages } = await renderAll(LETTERS, narrow(OVERLAP));
    expect(pages[0]!.lines.map(({ x, start, end }) => [Math.round(x), start, end])).toEqual([
      [0, 0, 20],
      [45, 20, 32],
      [45, 32, 44],
      [45, 44, 56],
      [45, 56, 62],
    ]);
  });

  it('starts with the characters that end the line before', async () => {
    // Rows 0 and 3 of a cell lie alike on the pixel grid: 28/3 px a row.
    const { pages } = await renderAll('abcdefghijklmnopqrst'.repeat(4), narrow(5));
    const page = pages[0]!;
    const none = (await renderAll('abcdefghijklmnopqrst'.repeat(4), narrow(0))).pages[0]!;
    // Row 3 begins with source characters 45 to 49, "fghij": columns 5 to 9 of any row without an overlap.
    expect(page.lines[3]!.start).toBe(50);
    const repeated = await columns(page, 3, 0, 5);
    const distances = await Promise.all(
      [0, 5, 10, 15].map(async (from) => distance(repeated, await columns(none, 3, from, 5))),
    );
    // The same letters a quarter of a pixel aside at most.
    expect(distances[1]).toBeLessThan(Math.min(distances[0]!, distances[2]!, distances[3]!) / 2);
  });

  it('repeats nothing after a line break of the source', async () => {
    const { pages } = await renderAll('abcdefghijklmnopqrst\nuvw', narrow(OVERLAP));
    expect(pages[0]!.lines.map(({ x, start }) => [x, start])).toEqual([
      [0, 0],
      [0, 21],
    ]);
  });

  it('keeps its own text in place where it is laid out in pieces', async () => {
    const text = LETTERS.repeat(2000);
    const { pages } = await renderAll(text, narrow(OVERLAP));
    const lines = pages.flatMap((page) => page.lines);
    expect(lines.slice(1, -1).every((line) => line.end - line.start === 20 - OVERLAP)).toBe(true);
    expect(lines.at(-1)!.end).toBe(text.length);
  });

  it('needs room and a left edge', () => {
    for (const changes of [{ alignment: 'RIGHT' }, { 'line-overlap': 100 }])
      expect(() => narrow(OVERLAP, changes)).toThrow(
        expect.objectContaining({ code: 'GP_CONFIG_CONFLICT' }) as GlyphpressError,
      );
  });
});
