import { describe, expect, it } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import {
  assertTokensFit,
  dropsByContent,
  predictPageTokens,
} from '../../src/pipeline/predict-tokens.js';
import { namedPlan, planFromKeep } from '../../src/prune/index.js';
import { DocumentRendering, loadRenderConfig, type RenderConfig } from '../../src/render/index.js';
import { smallConfig, words } from '../support/rendering.js';

const CELL = 28;
const cellsOf = ({ widthPx, heightPx }: { widthPx: number; heightPx: number }) => ({
  rows: Math.ceil(heightPx / CELL),
  cols: Math.ceil(widthPx / CELL),
});

async function drawn(text: string, config: RenderConfig) {
  const rendering = new DocumentRendering(text, config, {
    chromium: chromiumOptions(),
    browsers: 1,
  });
  const pages = [];
  try {
    for await (const page of rendering.pages()) pages.push(page);
    return pages;
  } finally {
    await rendering.close();
  }
}

describe('tokens predicted from the layout', () => {
  it('are those of the drawn pages, page by page, where nothing is cropped', async () => {
    const config = smallConfig({ 'auto-crop-width': false, 'auto-crop-last-page': false });
    const text = words(300);
    const predicted = await predictPageTokens(text, config, cellsOf, {
      chromium: chromiumOptions(),
    });
    const pages = await drawn(text, config);
    expect(pages.length).toBeGreaterThan(3);
    expect(predicted).toEqual(
      pages.map((page) => {
        const { index, widthPx, heightPx, lines } = page;
        const { rows, cols } = cellsOf(page);
        const [start, end] = [lines[0]!.start, lines.at(-1)!.end];
        return { index, start, end, widthPx, heightPx, visualTokens: rows * cols };
      }),
    );
  });

  it.each([
    ['default', {}],
    ['reader', {}],
    ['glyph-72', {}],
    ['glyph-72', { 'border-width': 2, 'border-padding': 3, 'horizontal-scale': 0.8 }],
  ])('differ from cropped pages by a row or a column at most: %s %o', async (preset, set) => {
    const text = `${words(400)}\n\nshort\n`;
    const config = loadRenderConfig(preset, set);
    const predicted = await predictPageTokens(text, config, cellsOf, {
      chromium: chromiumOptions(),
    });
    const pages = await drawn(text, config);
    expect(predicted).toHaveLength(pages.length);
    for (const [index, page] of pages.entries()) {
      const [wanted, got] = [cellsOf(predicted[index]!), cellsOf(page)];
      expect(Math.abs(wanted.rows - got.rows)).toBeLessThanOrEqual(1);
      expect(Math.abs(wanted.cols - got.cols)).toBeLessThanOrEqual(1);
    }
  });

  it('leave the counts of a rendering that goes on to draw as they are', async () => {
    const rendering = new DocumentRendering('gate 🔥 shut', smallConfig(), {
      chromium: chromiumOptions(),
      browsers: 1,
    });
    try {
      for await (const _ of rendering.layout());
      for await (const _ of rendering.pages());
      expect((await rendering.summary()).counts.missingGlyphs).toBe(1);
    } finally {
      await rendering.close();
    }
  });
});

describe('a document that does not fit', () => {
  it('is refused with both counts', () => {
    expect(() => assertTokensFit(1_001, { decoder: [] }, 1_000)).toThrowError(
      expect.objectContaining({
        code: 'GP_CONTEXT_LENGTH',
        message: 'The document takes 1001 visual tokens; this model holds 1000',
        details: { visualTokens: 1_001, encodedTokens: 1_001, limit: 1_000 },
      }),
    );
    expect(() => assertTokensFit(1_000, { decoder: [] }, 1_000)).not.toThrow();
  });

  it('fits when enough is dropped before the decoder, and not by drops in it', () => {
    const half = { encoder: { method: 'apet' as const, keepRatio: 0.5 }, decoder: [] };
    expect(() => assertTokensFit(2_000, half, 1_000)).not.toThrow();
    expect(() => assertTokensFit(2_002, half, 1_000)).toThrow(/1001 after the drop/);
    expect(() => assertTokensFit(2_000, planFromKeep(0.5, 4), 1_000)).toThrow(/2000 visual/);
    expect(() => assertTokensFit(1_400, { decoder: [] }, 1_000, 400)).not.toThrow();
  });

  it('cannot be told from the layout where the plan drops by content', () => {
    expect(dropsByContent({ decoder: [] })).toBe(false);
    expect(dropsByContent(planFromKeep(0.5, 4))).toBe(false);
    expect(dropsByContent(namedPlan('lossless', 4)!)).toBe(true);
  });
});
