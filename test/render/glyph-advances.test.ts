import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import {
  ADVANCE_STEP,
  advanceOf,
  groupAdvances,
  joinAdvances,
  NO_ADVANCES,
  newAdvances,
} from '../../src/render/glyph-advances.js';
import { DocumentRendering } from '../../src/render/renderer.js';
import { renderAll, smallConfig, words } from '../support/rendering.js';

const table = fc.dictionary(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((one) => [...one].length === 1),
  fc.double({ min: 0, max: 40, noNaN: true }),
);

describe('a table of advances', () => {
  it('gives each character its own, to half a step, whatever else it holds', () => {
    fc.assert(
      fc.property(table, (measured) => {
        const advances = groupAdvances(Object.entries(measured));
        for (const [one, px] of Object.entries(measured))
          expect(Math.abs(advanceOf(one, advances)! - px)).toBeLessThanOrEqual(ADVANCE_STEP / 2);
      }),
    );
  });

  it('is what a known one and its news are together, also through JSON', () => {
    fc.assert(
      fc.property(table, table, (first, second) => {
        const known = groupAdvances(Object.entries(first));
        const whole = groupAdvances(Object.entries(second));
        const news = JSON.parse(JSON.stringify(newAdvances(whole, known)));
        const joined = joinAdvances(known, news);
        for (const one of Object.keys(second))
          expect(advanceOf(one, joined)).toBe(advanceOf(one, whole));
        expect(newAdvances(whole, joined)).toEqual(NO_ADVANCES);
      }),
    );
  });

  it('names one ideograph for all of its width', () => {
    const advances = groupAdvances([...'漢字一二'].map((one) => [one, 9] as const));
    expect(advances).toEqual(['一', [36, 1]]);
    expect(advanceOf('語', advances)).toBe(9);
    expect(advanceOf('a', advances)).toBeUndefined();
  });

  it('comes with a page in proportional type, and with no other', async () => {
    const text = 'illicit MMMM';
    const { pages } = await renderAll(text);
    const { advances, lines } = pages[0]!;
    const sum = [...text].reduce((px, one) => px + advanceOf(one, advances!)!, 0);
    expect(Math.abs(sum - lines[0]!.width)).toBeLessThan((text.length * ADVANCE_STEP) / 2);
    const { pages: plain } = await renderAll('iiiiiiii');
    expect(plain[0]!.advances).toBeUndefined();
  });

  it('is known of pages that are laid out only', async () => {
    const text = `${words(120)} Wörter, ${words(60, 3)} 漢字`;
    const { pages } = await renderAll(text);
    expect(pages.length).toBeGreaterThan(1);
    const rendering = new DocumentRendering(text, smallConfig(), { chromium: chromiumOptions() });
    try {
      const laidOut = [];
      for await (const page of rendering.layout()) laidOut.push(page);
      expect(laidOut.map(({ lines, advances }) => ({ lines, advances }))).toEqual(
        pages.map(({ lines, advances }) => ({ lines, advances })),
      );
    } finally {
      await rendering.close();
    }
  });
});
