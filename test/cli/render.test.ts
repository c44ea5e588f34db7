import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { PageRecord } from '../../src/pipeline/artifacts/page-folder.js';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
import { glyphpress } from '../support/cli.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';
import { words } from '../support/rendering.js';

const SMALL = ['--set', 'page-size=196,112', '--set', 'font-family=DejaVu Sans'];
const folder = sharedFolder();
/** Ends in blank lines, which are on no page and still count as text. */
const TEXT = `${words(400)}\n\n\n`;
const file = path.join(folder, 'text.txt');
writeFileSync(file, TEXT);

const pagesIn = (dir: string) => namesIn(dir).filter((name) => name.endsWith('.png'));
const index = (dir: string) => JSON.parse(readFileSync(path.join(dir, 'pages.json'), 'utf8'));

/** Every page is a whole grey PNG of the size that the index says. */
async function expectPages(dir: string, count: number) {
  const { pages } = index(dir);
  expect(pages).toHaveLength(count);
  expect(pagesIn(dir)).toEqual(pages.map((page: { file: string }) => page.file));
  for (const { file: name, widthPx, heightPx } of pages) {
    const { info } = await sharp(path.join(dir, name)).raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: widthPx, height: heightPx });
  }
}

describe('glyphpress render', () => {
  it('writes numbered pages and their index, and says what it did', async () => {
    const out = path.join(temporaryFolder(), 'deep', 'pages');
    const { code, stdout, stderr } = await glyphpress([
      'render',
      file,
      '-o',
      out,
      '--json',
      ...SMALL,
    ]);
    // Progress is told where drawing takes more than a few seconds: on a busy machine.
    const said = stderr.replace(/^render: .*\n/gm, '');
    expect({ code, said }).toEqual({ code: 0, said: '' });
    const result = JSON.parse(stdout);
    expect(stdout.trimEnd()).not.toContain('\n');
    expect(result.pages).toBeGreaterThan(3);
    await expectPages(out, result.pages);
    expect(pagesIn(out)[0]).toBe('page-0001.png');
    expect(namesIn(out)).toHaveLength(result.pages + 1);

    const { version, documentId, characters, pages, render } = index(out);
    expect({ version, documentId, characters }).toEqual({
      version: 2,
      documentId: result.documentId,
      characters: TEXT.length,
    });
    expect(render).toMatchObject({
      renderConfigId: result.renderConfigId,
      characters: TEXT.length,
      counts: { missingGlyphs: 0 },
      renderer: result.renderer,
    });
    let at = 0;
    for (const page of pages) {
      const { advances: _, ...shape } = page;
      expect(Object.keys(shape)).toEqual(['file', 'widthPx', 'heightPx', 'start', 'end', 'lines']);
      expect(page.start).toBeGreaterThanOrEqual(at);
      expect([page.start, page.end]).toEqual([page.lines[0].start, page.lines.at(-1).end]);
      for (const line of page.lines) {
        expect(Object.keys(line)).toEqual(['x', 'y', 'width', 'height', 'start', 'end']);
        expect(line.y + line.height).toBeLessThanOrEqual(page.heightPx + 1);
      }
      at = page.end;
    }
    expect(TEXT.slice(at).trim()).toBe('');
    expect(result.textTokens).toBe(countTextTokens(TEXT));
    expect(result.renderRatio).toBeCloseTo(result.textTokens / result.visualTokens, 12);
  });

  it('removes the pages of an earlier run', async () => {
    const out = temporaryFolder();
    expect((await glyphpress(['render', file, '-o', out, ...SMALL])).code).toBe(0);
    const before = pagesIn(out).length;
    const short = path.join(folder, 'short.txt');
    writeFileSync(short, 'A line.');
    const { code, stdout } = await glyphpress(['render', short, '-o', out, ...SMALL]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^1 pages? in /);
    expect(before).toBeGreaterThan(1);
    await expectPages(out, 1);
  });

  it.each([
    ['readme.md', 'mine'],
    ['page-0001.png', 'a scan'],
    ['pages.json', '{"pages":["mine"]}'],
  ])('does not draw into a folder that holds a file of somebody else: %s', async (name, text) => {
    const out = temporaryFolder();
    writeFileSync(path.join(out, name), text);
    const { code, stderr } = await glyphpress(['render', file, '-o', out, ...SMALL]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error GP_OUTPUT_EXISTS: /);
    expect(stderr).toContain(name);
    expect(stderr).toContain('--force');
    expect(readFileSync(path.join(out, name), 'utf8')).toBe(text);
    expect(namesIn(out)).toEqual([name]);
  });

  it('draws among the files of others when it is forced, and leaves them', async () => {
    const out = temporaryFolder();
    writeFileSync(path.join(out, 'readme.md'), 'mine');
    const { code } = await glyphpress(['render', file, '-o', out, '--force', ...SMALL]);
    expect(code).toBe(0);
    await expectPages(out, index(out).pages.length);
    expect(readFileSync(path.join(out, 'readme.md'), 'utf8')).toBe('mine');
  });

  it.skipIf(!existsSync('/proc/self'))(
    'ends at once where no folder can be made',
    async () => {
      for (const out of ['/proc/x', '/proc/x/y']) {
        const { code, stderr } = await glyphpress(['render', file, '-o', out, ...SMALL]);
        expect(code).toBe(1);
        expect(stderr).toContain(`error GP_OUTPUT_UNWRITABLE: ${out} cannot be written`);
      }
    },
    20_000,
  );

  it('refuses a folder of a compressed document, forced or not', async () => {
    const out = temporaryFolder();
    writeFileSync(path.join(out, 'manifest.json'), '{}');
    const { stderr } = await glyphpress(['render', file, '-o', out, '--force', ...SMALL]);
    expect(stderr).toMatch(/^error GP_OUTPUT_EXISTS: .*manifest\.json/);
    expect(namesIn(out)).toEqual(['manifest.json']);
  });

  it('draws a range of pages as it draws them in the whole', async () => {
    const [whole, part] = [temporaryFolder(), temporaryFolder()];
    await glyphpress(['render', file, '-o', whole, ...SMALL]);
    const range = ['--from', '2', '--to', '3', '--json'];
    const { stdout } = await glyphpress(['render', file, '-o', part, ...range, ...SMALL]);
    expect(JSON.parse(stdout).pages).toBe(2);
    expect(pagesIn(part)).toEqual(['page-0002.png', 'page-0003.png']);
    for (const name of pagesIn(part)) {
      expect(readFileSync(path.join(part, name))).toEqual(readFileSync(path.join(whole, name)));
    }
    // Each folder tells the advance of a character with the first of its pages that has it.
    const placed = (dir: string) =>
      index(dir).pages.map(({ advances: _, ...page }: PageRecord) => page);
    expect(placed(part)).toEqual(placed(whole).slice(1, 3));
  });

  it('takes other encodings, and names glyphs that are missing', async () => {
    const legacy = path.join(folder, 'legacy.txt');
    writeFileSync(
      legacy,
      Buffer.concat([Buffer.from([0x93]), Buffer.from('gate'), Buffer.from([0x94])]),
    );
    const out = path.join(temporaryFolder(), 'p');
    const run = ['render', legacy, '-o', out, '--encoding', 'windows-1252', ...SMALL];
    expect((await glyphpress(run)).stdout).not.toContain('no glyph');
    const fire = path.join(folder, 'fire.txt');
    writeFileSync(fire, 'fire 🔥');
    const { stdout } = await glyphpress(['render', fire, '-o', out, ...SMALL]);
    expect(stdout).toContain('1 characters have no glyph and are drawn as escapes: U+1F525');
  });

  it('leaves the folder of an earlier run as it was when no browser is there', async () => {
    const out = temporaryFolder();
    await glyphpress(['render', file, '-o', out, ...SMALL]);
    const before = namesIn(out);
    const { code, stderr } = await glyphpress(['render', file, '-o', out, ...SMALL], {
      env: { GLYPHPRESS_CHROME: '/nonexistent/chrome' },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error GP_BROWSER_NOT_FOUND: .*\/nonexistent\/chrome/);
    expect(namesIn(out)).toEqual(before);
    expect(existsSync(path.join(out, 'pages.json'))).toBe(true);
  });
});
