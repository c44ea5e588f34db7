import { createHash } from 'node:crypto';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { DocumentRendering, loadRenderConfig, type RenderedPage } from '../../src/render/index.js';
import { type Rendered, renderAll, smallConfig, words } from '../support/rendering.js';
import { oddText } from './odd-text.js';

const hashes = (pages: RenderedPage[]) =>
  pages.map(({ png }) => createHash('sha256').update(png).digest('hex'));

async function pixels(png: Buffer) {
  const { data, info } = await sharp(png)
    .toColourspace('b-w')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

/** Darkest level inside a rectangle of a page. */
async function darkest(
  page: RenderedPage,
  box: { x: number; y: number; width: number; height: number },
) {
  const { data, width, height } = await pixels(page.png);
  let level = 255;
  for (let y = Math.max(0, Math.floor(box.y)); y < Math.min(height, box.y + box.height); y++) {
    for (let x = Math.max(0, Math.floor(box.x)); x < Math.min(width, box.x + box.width); x++) {
      level = Math.min(level, data[y * width + x]!);
    }
  }
  return level;
}

/** One that is dead already, but not yet noticed, counts as killed. */
function kill(group: number) {
  try {
    process.kill(-group, 'SIGKILL');
  } catch (error) {
    expect(error).toMatchObject({ code: 'ESRCH' });
  }
}

function visible(text: string): string {
  return text.replace(/\s/g, '');
}

function expectWholeSpanMap(source: string, { pages }: Rendered) {
  const lines = pages.flatMap((page) => page.lines);
  expect(visible(lines.map(({ start, end }) => source.slice(start, end)).join(''))).toBe(
    visible(source),
  );
  for (let i = 1; i < lines.length; i++)
    expect(lines[i]!.start).toBeGreaterThanOrEqual(lines[i - 1]!.end);
}

describe('pages', () => {
  it('are 8-bit grey PNGs of the size that the config says', async () => {
    const { pages } = await renderAll(words(400), loadRenderConfig('glyph-96'));
    const { format, width, height, channels, depth, space } = await sharp(pages[0]!.png).metadata();
    expect({ format, channels, depth, space }).toEqual({
      format: 'png',
      channels: 1,
      depth: 'uchar',
      space: 'b-w',
    });
    // 595 × 842 pt at 96 dpi, sides rounded up; cropped at the right and, on this last page, below.
    expect(width).toBeLessThanOrEqual(794);
    expect(width).toBeGreaterThan(700);
    expect(height).toBeLessThan(400);
  });

  it('show ink in each line box, and only there', async () => {
    const { pages } = await renderAll('first line\n\nthird line');
    const [first, blank, third] = pages[0]!.lines;
    expect(await darkest(pages[0]!, first!)).toBeLessThan(100);
    expect(await darkest(pages[0]!, third!)).toBeLessThan(100);
    expect(
      await darkest(pages[0]!, { x: 0, y: blank!.y + 2, width: 196, height: blank!.height - 3 }),
    ).toBe(255);
    const { width } = await pixels(pages[0]!.png);
    const rightOfText = first!.x + first!.width + 1;
    expect(
      await darkest(pages[0]!, { ...first!, x: rightOfText, width: width - rightOfText }),
    ).toBe(255);
  });

  it('draws a line as wide as layout measured it', async () => {
    const { pages } = await renderAll('WWWWWWWWWWWWi', smallConfig({ 'auto-crop-width': false }));
    const box = pages[0]!.lines[0]!;
    expect(await darkest(pages[0]!, { ...box, x: box.x + box.width - 3, width: 3 })).toBeLessThan(
      160,
    );
  });

  it('wraps at words, and anywhere when asked', async () => {
    const text = 'some words that wrap '.repeat(6);
    const byWord = await renderAll(text);
    for (const { start, end } of byWord.pages[0]!.lines.slice(0, -1))
      expect(text.slice(start, end)).toMatch(/ $/);
    const anywhere = await renderAll(text, smallConfig({ 'line-breaking': 'anywhere' }));
    expect(anywhere.pages[0]!.lines.length).toBeLessThanOrEqual(byWord.pages[0]!.lines.length);
  });

  it('justifies lines to the right margin', async () => {
    const { pages } = await renderAll(
      words(40),
      smallConfig({ alignment: 'JUSTIFY', 'auto-crop-width': false }),
    );
    const lines = pages[0]!.lines.slice(0, -1);
    for (const line of lines) {
      expect(line.x + line.width).toBeCloseTo(192, 0);
      expect(await darkest(pages[0]!, { ...line, x: 186, width: 6 })).toBeLessThan(200);
    }
  });

  it('scales type and page horizontally', async () => {
    const wide = await renderAll('a word or two', smallConfig({ 'auto-crop-width': false }));
    const narrow = await renderAll(
      'a word or two',
      smallConfig({ 'auto-crop-width': false, 'horizontal-scale': 0.5 }),
    );
    expect(narrow.pages[0]!.widthPx).toBe(wide.pages[0]!.widthPx / 2);
    expect(narrow.pages[0]!.lines[0]!.width).toBeCloseTo(wide.pages[0]!.lines[0]!.width / 2, 1);
  });

  it('uses the colours of the config, as grey', async () => {
    const dark = smallConfig({
      'page-bg-color': '#1e1e1e',
      'para-bg-color': '#1e1e1e',
      'font-color': '#ffffff',
    });
    const { data } = await pixels((await renderAll('light on dark', dark)).pages[0]!.png);
    expect(data[0]).toBe(0x1e);
    expect(Math.max(...data)).toBeGreaterThan(200);
  });

  it('draws paragraph background and border', async () => {
    const framed = smallConfig({
      'para-bg-color': '#c0c0c0',
      'para-border-color': '#000000',
      'border-width': 2,
      'border-padding': 3,
      'margin-x': 12,
      'margin-y': 12,
    });
    const { pages } = await renderAll('x', framed);
    const { data, width } = await pixels(pages[0]!.png);
    const line = pages[0]!.lines[0]!;
    expect(data[(line.y + 1) * width + 60]).toBe(0xc0);
    expect(data[(line.y + 3) * width + 12 - 3]).toBeLessThan(10);
  });

  it('crops to whole cells when asked, and leaves a page without ink whole', async () => {
    const config = smallConfig({
      'crop-multiple': 28,
      'auto-crop-width': true,
      'auto-crop-last-page': true,
    });
    const { pages } = await renderAll('tiny\f\n\f\nend', config);
    expect(pages.map(({ widthPx, heightPx }) => [widthPx, heightPx])).toEqual([
      [28, 112],
      [196, 112],
      [28, 28],
    ]);
  });

  it('draws newline marks inside the text', async () => {
    const mark = '<font color="#FF0000"> \\n </font>';
    const { pages } = await renderAll('one\ntwo\nthree', smallConfig({ 'newline-markup': mark }));
    expect(pages[0]!.lines).toHaveLength(1);
    expect(pages[0]!.lines[0]).toMatchObject({ start: 0, end: 13 });
  });
});

describe('the span map', () => {
  it('gives back every visible character of any text', async () => {
    const configs = [
      smallConfig(),
      smallConfig({ 'newline-markup': ' ¶ ', columns: 2 }),
      smallConfig({ reflow: true, 'line-breaking': 'anywhere', 'first-line-indent': 12 }),
    ];
    await fc.assert(
      fc.asyncProperty(
        // Several in one document: a browser takes longer to start than to draw them.
        fc.array(oddText, { minLength: 1, maxLength: 5 }).filter((t) => t.join('').trim() !== ''),
        fc.constantFrom(...configs),
        async (texts, config) => {
          const text = texts.join('\n');
          expectWholeSpanMap(text, await renderAll(text, config));
        },
      ),
      { numRuns: 9 },
    );
  }, 120_000);

  const oddInputs: [string, string][] = [
    ['CRLF and lone CR', 'one\r\ntwo\rthree'],
    ['control characters and NUL', 'a\0b\u0007c\u001bd'],
    ['tabs and form feeds', 'a\tb\fc\td'],
    ['emoji', 'fire 🔥 family 👨‍👩‍👧 flag 🇩🇪 heart ❤️'],
    ['combining marks', 'e\u0301 a\u0308\u0323 Z\u0351\u036b'],
    ['Arabic and Hebrew', 'مرحبا بالعالم abc שלום עולם 123\nעברית עם English בפנים'],
    ['Chinese, Japanese, Korean', '北京大学の학생 「引号」ＡＢＣ'],
    ['markup', '<script>alert(1)</script><img src=x onerror=alert(1)>&amp;</div></style>'],
    ['template and CSS', '#flows{display:none} {{7*7}} $HOME %s'],
  ];
  it.each(oddInputs)('is whole for %s', async (_, text) =>
    expectWholeSpanMap(text, await renderAll(text)),
  );

  it('is whole for one line of a million characters without a space', async () => {
    const text = 'abcdefghij'.repeat(100_000);
    const rendered = await renderAll(text, loadRenderConfig('glyph-72'), {
      pageRange: { start: 0, end: 2 },
    });
    expect(rendered.pages).toHaveLength(2);
    expectWholeSpanMap(text.slice(0, rendered.pages[1]!.lines.at(-1)!.end), rendered);
    expect(rendered.pages[0]!.lines.every(({ start, end }) => end - start > 80)).toBe(true);
  });

  it('draws coloured marks inside right-to-left text where layout put them', async () => {
    const text = 'זהו המסמך של Acme\nGmbH מתאריך ינואר\nוגם Linux\nKernel הוא כאן';
    const draw = async (markup: string) => {
      const config = smallConfig({
        'page-size': '392,112',
        'newline-markup': markup,
        'auto-crop-width': false,
      });
      return pixels((await renderAll(text, config)).pages[0]!.png);
    };
    const plain = await draw(' | ');
    const coloured = await draw('<font color="#000000"> | </font>');
    const ink = (data: Buffer) => data.reduce((sum, level) => sum + 255 - level, 0);
    const moved = plain.data.reduce(
      (sum, level, i) => sum + Math.abs(level - coloured.data[i]!),
      0,
    );
    expect(ink(plain.data)).toBeGreaterThan(10_000);
    // Boxes start at fractions of a pixel, so edges differ; text in another place differs by more than half.
    expect(moved / ink(plain.data)).toBeLessThan(0.3);
  });

  it('puts right-to-left paragraphs at the right edge', async () => {
    const { pages } = await renderAll('שלום עולם', smallConfig({ 'auto-crop-width': false }));
    const { x, width } = pages[0]!.lines[0]!;
    expect(x + width).toBeCloseTo(192, 0);
    expect(await darkest(pages[0]!, { ...pages[0]!.lines[0]!, x: 0, width: x - 1 })).toBe(255);
  });
});

describe('what cannot be drawn', () => {
  it('is counted, and shown as an escape', async () => {
    const { pages, summary } = await renderAll('A🔥B\0C\u200bD');
    expect(summary.counts).toEqual({
      missingGlyphs: 1,
      controlCharacters: 1,
      invisibleCharacters: 1,
    });
    expect(summary.missingSample).toEqual(['U+1F525']);
    const plain = await renderAll('A[U+1F525]B[U+0000]CD');
    expect(hashes(pages)).toEqual(hashes(plain.pages));
  });

  it('is an error when nothing is left', async () => {
    for (const text of ['', ' \n\t ']) {
      await expect(renderAll(text)).rejects.toMatchObject({ code: 'GP_INPUT_EMPTY' });
    }
  });
});

describe('the same bytes', () => {
  const config = smallConfig();
  const text = words(600);

  it('come from any browser, any number of browsers and any page range', async () => {
    const whole = await renderAll(text, config);
    expect(whole.pages.length).toBeGreaterThan(6);
    const again = await renderAll(text, config);
    expect(hashes(again.pages)).toEqual(hashes(whole.pages));
    const middle = await renderAll(text, config, { pageRange: { start: 3, end: 6 } });
    expect(middle.pages.map((page) => page.index)).toEqual([3, 4, 5]);
    expect(hashes(middle.pages)).toEqual(hashes(whole.pages).slice(3, 6));
    expect(middle.pages.map((page) => page.lines)).toEqual(
      whole.pages.slice(3, 6).map((page) => page.lines),
    );
  });

  it('come after browsers were killed in the middle', async () => {
    const long = words(40_000);
    const untouched = await renderAll(long, config, { browsers: 2 });
    const rendering = new DocumentRendering(long, config, {
      chromium: chromiumOptions(),
      browsers: 2,
    });
    const pages: RenderedPage[] = [];
    try {
      for await (const page of rendering.pages()) {
        pages.push(page);
        if ([20, 60].includes(pages.length)) {
          const groups = await rendering.browserProcessGroups();
          expect(groups).toHaveLength(2);
          for (const id of groups) kill(id);
        }
      }
      expect((await rendering.summary()).browserRestarts).toBeGreaterThanOrEqual(2);
    } finally {
      await rendering.close();
    }
    expect(hashes(pages)).toEqual(hashes(untouched.pages));
  });

  it('is given up with a clear error when the browser always dies', async () => {
    const rendering = new DocumentRendering(words(100), config, {
      chromium: { ...chromiumOptions(), taskTimeoutMs: 1 },
      browsers: 1,
    });
    const take = async () => {
      for await (const _ of rendering.pages());
    };
    await expect(take()).rejects.toMatchObject({ code: 'GP_BROWSER_CRASHED', retryable: true });
    await rendering.close();
  });

  it('needs a browser that starts', async () => {
    const rendering = new DocumentRendering('text', config, {
      chromium: { executablePath: '/bin/false', sandbox: false },
    });
    await expect(rendering.pages().next()).rejects.toMatchObject({ code: 'GP_BROWSER_LAUNCH' });
    await rendering.close();
  });
});

describe('long documents', () => {
  it('keep memory bounded, and come page by page', async () => {
    const text = words(220_000); // about 1.3 MB, 150 pages
    const rendering = new DocumentRendering(text, loadRenderConfig('glyph-72'), {
      chromium: chromiumOptions(),
    });
    let pages = 0;
    let early = 0;
    let late = 0;
    try {
      for await (const page of rendering.pages()) {
        pages++;
        expect(page.index).toBe(pages - 1);
        const rss = process.memoryUsage().rss;
        if (pages <= 40) early = Math.max(early, rss);
        else late = Math.max(late, rss);
      }
    } finally {
      await rendering.close();
    }
    expect(pages).toBeGreaterThan(100);
    // 110 further pages of 500 kB pixels each would be 55 MB, were they kept.
    expect(late - early).toBeLessThan(40e6);
  });

  it('stop when asked', async () => {
    const controller = new AbortController();
    const rendering = new DocumentRendering(words(20_000), smallConfig(), {
      chromium: chromiumOptions(),
      signal: controller.signal,
    });
    const take = async () => {
      for await (const page of rendering.pages()) if (page.index === 5) controller.abort();
    };
    await expect(take()).rejects.toMatchObject({ name: 'AbortError' });
    await rendering.close();
  });
});
