import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pageRecord } from '../../../src/pipeline/artifacts/page-folder.js';
import { rectangleOf } from '../../../src/pipeline/citing/citations.js';
import { partOfLine } from '../../../src/pipeline/citing/line-part.js';
import { renderAll, smallConfig } from '../../support/rendering.js';

/** Inks its whole advance, so that the page itself says where it stands. */
const BLOCK = '█';

/** Columns of the page in which a row of pixels is black without a gap: from, and behind the last. */
async function blockColumns(png: Buffer, y: number): Promise<[number, number]> {
  const { data, info } = await sharp(png)
    .toColourspace('b-w')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const row = data.subarray(Math.floor(y) * info.width, (Math.floor(y) + 1) * info.width);
  let best: [number, number] = [0, 0];
  for (let from = 0; from < row.length; from += 1) {
    let to = from;
    while (to < row.length && row[to]! < 128) to += 1;
    if (to - from > best[1] - best[0]) best = [from, to];
    from = to;
  }
  return best;
}

const WIDE_AND_NARROW = `illicit ${BLOCK} MWMWMWM mmm`;

describe('the rectangle of a word in proportional type', () => {
  it.each([
    ['behind narrow letters', `it will fill ${BLOCK}${BLOCK} MWMWMW`, {}],
    ['behind wide ones', `MWMWMW ${BLOCK}${BLOCK} it will fill`, {}],
    ['in a line that is scaled', `illi MMMM ${BLOCK}${BLOCK} lil`, { 'horizontal-scale': 0.8 }],
    [
      'in a justified line',
      `ill it ${BLOCK}${BLOCK} MWM il honorificabilitudinitatibus and so on`,
      { alignment: 'JUSTIFY' },
    ],
    ['behind a tab', `il\tMM ${BLOCK}${BLOCK} lll`, {}],
    ['behind an escape', `il \u{1f525} M ${BLOCK}${BLOCK} ll`, {}],
    ['in a joined line', `ill it will be so\n${BLOCK}${BLOCK} MWM`, { reflow: true }],
    ['behind ideographs', `漢字一二 ${BLOCK}${BLOCK} lll`, {}],
    [
      'where lines break anywhere',
      `illi MMM ${BLOCK}${BLOCK} lilil MMMM lllll mmm`,
      { 'line-breaking': 'anywhere' },
    ],
    ['of a serif font', `it will ${BLOCK}${BLOCK} MWMW`, { 'font-family': 'DejaVu Serif' }],
    [
      'of a monospaced font',
      `it will ${BLOCK}${BLOCK} MWMW`,
      { 'font-family': 'DejaVu Sans Mono' },
    ],
  ])('%s is where its ink is', async (_, text, config) => {
    const { pages } = await renderAll(text, smallConfig(config));
    const page = pages[0]!;
    const at = text.indexOf(BLOCK);
    const rect = rectangleOf(pageRecord(page), text, at, at + 2)!;
    const [from, to] = await blockColumns(page.png, rect.y + rect.height / 2);
    expect(to - from).toBeGreaterThan(6);
    expect(Math.abs(rect.x - from)).toBeLessThanOrEqual(1.5);
    expect(Math.abs(rect.x + rect.width - to)).toBeLessThanOrEqual(1.5);
  });

  it('is the line where it reads from right to left', async () => {
    const text = 'שלום עולם';
    const { pages } = await renderAll(text);
    const page = pageRecord(pages[0]!);
    const { x, width } = page.lines[0]!;
    expect(rectangleOf(page, text, 0, 4)).toMatchObject({ x, width });
  });

  it('counts characters as equally wide where a span map has no advances', () => {
    const line = { x: 10, y: 0, width: 100, height: 9, start: 0, end: 10 };
    expect(partOfLine(line, 'iiiiiMMMMM', { start: 5, end: 7 })).toEqual({ left: 60, right: 80 });
  });

  it('shares what is left among characters that are drawn as something else', () => {
    const line = { x: 0, y: 0, width: 40, height: 9, start: 0, end: 4 };
    const part = partOfLine(line, 'a\tb\u0007', { start: 1, end: 3 }, ['ab', [20, 2]]);
    expect(part).toEqual({ left: 5, right: 25 });
  });

  it('is never beyond its line', async () => {
    const { pages } = await renderAll(WIDE_AND_NARROW);
    const page = pageRecord(pages[0]!);
    for (const line of page.lines) {
      for (let at = line.start; at < line.end; at += 1) {
        const rect = rectangleOf(page, WIDE_AND_NARROW, at, at + 1);
        if (!rect) continue;
        expect(rect.x).toBeGreaterThanOrEqual(line.x);
        expect(rect.x + rect.width).toBeLessThanOrEqual(line.x + line.width + 0.01);
      }
    }
  });
});
