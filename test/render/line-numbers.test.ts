import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { parseRenderConfig, renderConfigId } from '../../src/render/index.js';
import { renderAll } from '../support/rendering.js';

const raw = {
  'page-size': '196,112',
  'margin-x': 20,
  'margin-y': 4,
  'font-family': 'DejaVu Sans Mono',
  'font-size': 9,
  alignment: 'LEFT',
};
const TEXT = Array.from({ length: 14 }, (_, n) => `Entry number ${n}`).join('\n');

/** Whether anything is drawn in the margin beside each line. */
async function inkedMargins({ pages }: Awaited<ReturnType<typeof renderAll>>) {
  return Promise.all(
    pages.map(({ png, lines }) =>
      Promise.all(
        lines.map(async ({ x, y, height }) => {
          const area = { left: 0, top: y, width: Math.floor(x) - 1, height };
          return (await sharp(png).extract(area).raw().toBuffer()).some((level) => level < 200);
        }),
      ),
    ),
  );
}

describe('line-numbers', () => {
  it('numbers each line in the margin and leaves the lines where they were', async () => {
    const plain = await renderAll(TEXT, parseRenderConfig(raw));
    const numbered = await renderAll(TEXT, parseRenderConfig({ ...raw, 'line-numbers': true }));
    expect((await inkedMargins(plain)).flat()).not.toContain(true);
    expect((await inkedMargins(numbered)).flat()).not.toContain(false);
    expect(numbered.pages.length).toBeGreaterThan(1);
    expect(numbered.pages.map(({ lines }) => lines)).toEqual(plain.pages.map(({ lines }) => lines));
    // The first line of every page has the same number.
    const margins = await Promise.all(
      numbered.pages.map(({ png, lines: [first] }) =>
        sharp(png)
          .extract({ left: 0, top: first!.y, width: 18, height: first!.height })
          .raw()
          .toBuffer(),
      ),
    );
    expect(margins[1]!.equals(margins[0]!)).toBe(true);
  });

  it('needs room in the margin, and changes the id of a config only where it is asked for', () => {
    expect(() => parseRenderConfig({ ...raw, 'margin-x': 10, 'line-numbers': true })).toThrow(
      expect.objectContaining({ code: 'GP_CONFIG_CONFLICT' }),
    );
    const id = renderConfigId(parseRenderConfig(raw));
    expect(renderConfigId(parseRenderConfig({ ...raw, 'line-numbers': false }))).toBe(id);
    expect(renderConfigId(parseRenderConfig({ ...raw, 'line-numbers': true }))).not.toBe(id);
  });
});
