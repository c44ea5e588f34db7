import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { breakLines, type LaidLine, readingDirection } from '../../src/render/break-lines.js';
import { DisplayText } from '../../src/render/display-text.js';
import { resolveFonts } from '../../src/render/fonts.js';
import { fitToCells, lockedPitchPx } from '../../src/render/grid.js';
import { parseRenderConfig, renderConfigId } from '../../src/render/index.js';
import type { LaidRow, LayoutFlow } from '../../src/render/layout-page.js';
import { pageGeometry } from '../../src/render/page-geometry.js';
import { alignLine, type PagePlan, paginate } from '../../src/render/paginate.js';
import { oddText } from './odd-text.js';

const fonts = resolveFonts({ fontPath: null, fontFamily: 'DejaVu Sans' });

/** A stand-in for Chromium with cells of 1 px: breaks greedily after `width` characters. */
function gridLayout(width: number) {
  return async (flows: readonly LayoutFlow[]): Promise<LaidRow[][]> =>
    flows.map(({ pieces }) => {
      const rows: LaidRow[] = [];
      let column = 0;
      pieces.forEach((text, piece) => {
        for (let at = 0; at < text.length; ) {
          if (rows.length === 0 || column === width) {
            rows.push([]);
            column = 0;
          }
          const take = Math.min(width - column, text.length - at);
          const box = { start: at, end: at + take, xPx: column, widthPx: take };
          rows.at(-1)!.push({ piece, ...box, boxes: [box] });
          column += take;
          at += take;
        }
      });
      return rows;
    });
}

async function brokenLines(source: string, width: number, chunk: number): Promise<LaidLine[]> {
  const display = new DisplayText(source, {
    fonts,
    newlineMark: null,
    reflow: false,
    tabSize: 4,
    paragraphLines: 1,
  });
  const lines: LaidLine[] = [];
  for await (const line of breakLines(display.items(), gridLayout(width), chunk)) lines.push(line);
  return lines;
}

describe('line breaking in chunks', () => {
  it('gives the same lines for any chunk size', async () => {
    await fc.assert(
      fc.asyncProperty(
        oddText,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        async (source, width, chunk) => {
          expect(await brokenLines(source, width, chunk)).toEqual(
            await brokenLines(source, width, 1_000_000),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('carries a line over chunk borders, however long', async () => {
    const lines = await brokenLines('x'.repeat(1000), 100, 7);
    expect(lines.map((line) => line.end - line.start)).toEqual(Array(10).fill(100));
  });

  it('keeps blank lines, and marks paragraphs and page breaks', async () => {
    const lines = await brokenLines('ab\n\ncd\fe', 10, 1000);
    expect(lines.map(({ start, end, pageBreakAfter }) => [start, end, pageBreakAfter])).toEqual([
      [0, 2, false],
      [3, 3, false],
      [4, 6, true],
      [7, 8, false],
    ]);
    expect(lines.every((line) => line.startsParagraph && line.endsParagraph)).toBe(true);
  });

  it.each([
    ['abc', false],
    ['123 שלום', true],
    ['مرحبا abc', true],
    ['abc שלום', false],
    ['12 + 3', null],
  ])('reads %j in its own direction', (text, rtl) => expect(readingDirection(text)).toBe(rtl));
});

const line = (overrides: Partial<LaidLine> = {}): LaidLine => ({
  runs: [{ text: 'two words', xPx: 0, widthPx: 40, color: null, rtl: null }],
  start: 0,
  end: 9,
  rtl: false,
  before: '',
  startsParagraph: true,
  endsParagraph: true,
  endsFlow: false,
  pageBreakAfter: false,
  ...overrides,
});

async function pagesOf(lines: LaidLine[], raw: Record<string, unknown>): Promise<PagePlan[]> {
  const config = parseRenderConfig({
    'page-size': '100,50',
    'margin-x': 10,
    'margin-y': 5,
    alignment: 'LEFT',
    ...raw,
  });
  const pages: PagePlan[] = [];
  async function* feed() {
    yield* lines;
  }
  for await (const page of paginate(feed(), pageGeometry(config), config)) pages.push(page);
  return pages;
}

describe('pages', () => {
  it('fills pages from top to bottom, and knows the last one', async () => {
    // 40 pt between the margins hold four lines of 10 pt.
    const pages = await pagesOf(Array(9).fill(line()), {});
    expect(pages.map((page) => page.lines.length)).toEqual([4, 4, 1]);
    expect(pages.map((page) => page.isLast)).toEqual([false, false, true]);
    expect(pages[0]!.lines.map((l) => [l.xPx, l.yPx, l.heightPx])).toEqual([
      [10, 5, 10],
      [10, 15, 10],
      [10, 25, 10],
      [10, 35, 10],
    ]);
  });

  it('fills columns before pages', async () => {
    const pages = await pagesOf(Array(9).fill(line()), { columns: 2, 'column-gap': 10 });
    expect(pages.map((page) => page.lines.length)).toEqual([8, 1]);
    expect(pages[0]!.lines.map((l) => l.xPx)).toEqual([10, 10, 10, 10, 55, 55, 55, 55]);
  });

  it('breaks pages where the source does, and only once for a full page', async () => {
    const lines = [
      line(),
      line({ pageBreakAfter: true }),
      line(),
      line(),
      line(),
      line({ pageBreakAfter: true }),
      line(),
    ];
    expect((await pagesOf(lines, {})).map((page) => page.lines.length)).toEqual([2, 4, 1]);
  });

  it('spaces paragraphs, but not at the top of a page', async () => {
    const [first, second] = await pagesOf(Array(4).fill(line()), { 'space-before': 6 });
    expect(first!.lines.map((l) => l.yPx)).toEqual([5, 21]);
    expect(second!.lines[0]!.yPx).toBe(5);
  });

  it('rounds line boxes so that neighbours share an edge', async () => {
    const [page] = await pagesOf(Array(4).fill(line()), { dpi: 100 });
    const boxes = page!.lines;
    for (let i = 1; i < boxes.length; i++)
      expect(boxes[i]!.yPx).toBe(boxes[i - 1]!.yPx + boxes[i - 1]!.heightPx);
  });

  it.each([
    ['LEFT', 0, 0],
    ['RIGHT', 40, 0],
    ['CENTER', 20, 0],
    ['JUSTIFY', 0, 40],
  ] as const)('%s', (alignment, shiftPx, wordSpacingPx) => {
    expect(alignLine(line(), 80, alignment)).toMatchObject({ shiftPx, wordSpacingPx });
  });

  it('does not stretch the last line of a paragraph, nor one without spaces', () => {
    expect(alignLine(line({ endsFlow: true }), 80, 'JUSTIFY').wordSpacingPx).toBe(0);
    const single = line({ runs: [{ text: 'one', xPx: 0, widthPx: 20, color: null, rtl: null }] });
    expect(alignLine(single, 80, 'JUSTIFY').wordSpacingPx).toBe(0);
  });
});

describe('grid lock', () => {
  it.each([
    [10, 9, 28, 28 / 3],
    [9, 9, 28, 28 / 3],
    [7.2, 7, 28, 7],
    [12, 12, 28, 14],
    [24, 20, 28, 28],
    [30, 28, 28, 56],
    [9, 9, 32, 32 / 3],
    [30, 9, 32, 32],
    [33, 9, 32, 64],
  ])('pitch %d px with %d-px type in %d-px cells → %d px', (wanted, type, cell, pitch) =>
    expect(lockedPitchPx(wanted, type, cell)).toBeCloseTo(pitch),
  );

  it('goes to the cells of the model', () => {
    const config = parseRenderConfig({ 'page-size': '588,840', 'grid-lock': true });
    expect(fitToCells(config, 28)).toBe(config);
    const fitted = fitToCells(config, 32);
    expect([fitted.pageWidthPt, fitted.pageHeightPt]).toEqual([576, 832]);
    expect([fitted.cropMultiplePx, fitted.visualTokenPx]).toEqual([32, 32]);
    expect(pageGeometry(fitted).linePitchPx).toBeCloseTo(32 / 3);
    expect(renderConfigId(fitted)).not.toBe(renderConfigId(config));
    // As if it had been written for them.
    const own = { 'page-size': '576,832', 'grid-lock': true, 'visual-token-size': 32 };
    expect(renderConfigId(fitted)).toBe(renderConfigId(parseRenderConfig(own)));
    expect(fitToCells(fitted, 32)).toBe(fitted);
  });

  it('leaves the page of a config that is not locked as it is', () => {
    const config = parseRenderConfig({ 'page-size': '595,842', 'crop-multiple': 10 });
    expect(fitToCells(config, 32)).toEqual({ ...config, visualTokenPx: 32 });
  });

  it('refuses pages that are not whole cells of the size that is given', () => {
    const raw = { 'page-size': '588,840', 'grid-lock': true, 'visual-token-size': 32 };
    expect(() => parseRenderConfig(raw)).toThrow(/whole 32-px cells/);
  });

  it('keeps every text row inside one row of cells', async () => {
    const config = {
      'page-size': '588,84',
      'grid-lock': true,
      'margin-y': 11,
      'line-height': 10,
      'font-size': 9,
    };
    const pages = await pagesOf(Array(30).fill(line()), config);
    for (const { lines } of pages) {
      for (const { yPx, heightPx } of lines)
        expect(Math.floor(yPx / 28)).toBe(Math.floor((yPx + heightPx - 1) / 28));
    }
  });
});
