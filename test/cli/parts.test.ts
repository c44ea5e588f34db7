import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';
import { pdf } from '../support/documents.js';
import { sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';
import { words } from '../support/rendering.js';

const folder = sharedFolder();
const file = path.join(folder, 'book.txt');
const sections = ['The harbour', 'The zephyr', 'The moor'].map(
  (title, n) => `Chapter ${n + 1}\n\n${title}. ${words(150, n + 1)}\n\n`,
);
writeFileSync(file, sections.join(''));

const env = { GLYPHPRESS_CACHE: path.join(folder, 'cache') };
const noBrowser = { ...env, GLYPHPRESS_CHROME: '/nonexistent/chrome' };
/** A page is 5 × 3 visual tokens. */
const TINY = ['--model', TINY_MODEL, '--set', 'page-size=196,112', '--max-tokens', '4'];
const PARTED = [...TINY, '--part-tokens', '75'];

async function json(args: string[], extra: Record<string, string> = env) {
  const { code, stdout, stderr } = await glyphpress([...args, '--json'], { env: extra });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

describe('glyphpress ask on a document in parts', () => {
  // biome-ignore lint/suspicious/noExplicitAny: the tests look into what a stranger would parse
  let all: any;
  beforeAll(async () => {
    all = await json(['ask', file, 'What of the zephyr?', ...PARTED]);
  });

  it('asks each, and tells what each said', () => {
    const { parts, report, answer, cached } = all;
    expect(parts.length).toBeGreaterThan(1);
    const text = sections.join('');
    expect(parts.map(({ start }: { start: number }) => start)[0]).toBe(0);
    expect(parts.at(-1).end).toBe(text.length);
    for (const [n, part] of parts.entries()) {
      expect(part).toMatchObject({ part: n + 1, asked: true, answer: expect.any(String) });
      expect(part.visualTokens).toBeLessThanOrEqual(75);
      if (n > 0) expect(part.firstPage).toBe(parts[n - 1].firstPage + parts[n - 1].pages);
    }
    expect(parts.map(({ answer }: { answer: string }) => answer)).toContain(answer);
    expect(report).toMatchObject({
      pages: parts.at(-1).firstPage + parts.at(-1).pages - 1,
      characters: text.length,
      visualTokens: expect.any(Number),
    });
    expect(cached).toBe(false);
  });

  it('asks the likeliest alone, from the context that is stored, without a browser', async () => {
    const { parts, cached } = await json(
      ['ask', file, 'What of the zephyr?', ...PARTED, '--parts', '1'],
      noBrowser,
    );
    const asked = parts.filter(({ asked }: { asked: boolean }) => asked);
    expect(asked).toHaveLength(1);
    const text = sections.join('').slice(asked[0].start, asked[0].end);
    expect(text).toContain('The zephyr');
    expect(cached).toBe(true);
  });

  it('reads a piece as it is drawn', async () => {
    const { report, parts } = await json(['ask', file, 'Which?', ...TINY, '--pages', '2-3']);
    expect(report.pages).toBe(2);
    expect(parts).toMatchObject([{ firstPage: 2, pages: 2, asked: true }]);
  });

  it('reads pages of a PDF as the PDF counts them', async () => {
    const report = path.join(folder, 'report.pdf');
    writeFileSync(report, pdf([['One.'], ['Two.'], ['Three.']]));
    const piece = await json(['ask', report, 'Which?', ...TINY, '--pages', '2']);
    expect(piece.report.characters).toBe('Two.\n\n'.length);
  });

  it('says what does not go', async () => {
    for (const [args, message] of [
      [['--pages', '900'], /ends before page 900/],
      [['--pages', '2', '--from', '1'], /both say which piece/],
      [['--part-tokens', '10'], /A page takes up to 15 visual tokens; a part may take 10/],
    ] as const) {
      const { code, stderr } = await glyphpress(['ask', file, 'Which?', ...TINY, ...args], { env });
      expect(code).not.toBe(0);
      expect(stderr).toMatch(message);
    }
  });
});
