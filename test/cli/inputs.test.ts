import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCompressedSource } from '../../src/pipeline/artifacts/compressed-folder.js';
import { placeInFiles } from '../../src/pipeline/inputs/document-files.js';
import { type CliOptions, glyphpress } from '../support/cli.js';
import { docx, docxTable, epub, pdf } from '../support/documents.js';
import { sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';

const folder = sharedFolder();
const put = (name: string, data: Buffer | string) => {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, data, typeof data === 'string' ? 'latin1' : null);
  return file;
};
const report = put('report.pdf', pdf([['The north gate is shut.'], ['The south gate is open.']]));
put(
  'prices.docx',
  docx(
    docxTable([
      ['pump', '40'],
      ['valve', '7'],
    ]),
  ),
);
put(
  'book.epub',
  epub({ 'a.xhtml': '<html><head><title/></head><body><p>Tide.</p></body></html>' }),
);
put('notes/a.md', '# Notes\n\nThe valve leaks.\n');
put('notes/b.html', '<p>The tide rises.</p>');
put('notes/c.png', '\u0089PNG\r\n\u001a\n');

const env = { GLYPHPRESS_CACHE: path.join(folder, 'cache') };
const TINY = ['--model', TINY_MODEL, '--set', 'page-size=196,112'];

async function json(args: string[], options: CliOptions = {}) {
  const { code, stdout, stderr } = await glyphpress([...args, '--json'], {
    env,
    cwd: folder,
    ...options,
  });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return { ...JSON.parse(stdout), stderr };
}

describe('glyphpress', () => {
  it('asks several documents at once, and says what it took', async () => {
    const args = [
      'ask',
      'report.pdf',
      'prices.docx',
      'book.epub',
      'notes',
      '-',
      'Which gate is shut?',
    ];
    const reply = await json([...args, ...TINY, '--max-tokens', '4'], { stdin: 'From a pipe.' });
    expect(reply.documents.map(({ name }: { name: string }) => name)).toEqual([
      'report.pdf',
      'prices.docx',
      'book.epub',
      'notes/a.md',
      'notes/b.html',
      'stdin',
    ]);
    expect(reply.skipped).toEqual([{ name: 'notes/c.png', reason: 'a PNG picture' }]);
    expect(reply.stderr).toMatch(
      /taken: 6 files[\s\S]*report\.pdf {2,}PDF, 2 pages[\s\S]*skipped: 1/,
    );
    expect(reply.report.characters).toBeGreaterThan(150);
  });

  it('renders what a pattern finds', async () => {
    const out = path.join(folder, 'pages');
    const result = await json(['render', 'notes/*.html', 'prices.docx', '-o', out]);
    const text =
      '===== notes/b.html =====\n\nThe tide rises.\n\n===== prices.docx =====\n\npump | 40\nvalve | 7\n';
    expect(result).toMatchObject({ pages: 1, characters: text.length });
    expect(result.documents).toHaveLength(2);
  });

  it('compresses documents into a folder that still knows the files', async () => {
    const out = path.join(folder, 'both.gp');
    const made = await json(['compress', 'report.pdf', 'notes/a.md', '-o', out, ...TINY]);
    expect(made.documents).toHaveLength(2);
    const { text, files } = (await readCompressedSource(out)).document;
    const start = text.indexOf('The south gate');
    expect(placeInFiles({ start, end: start + 23 }, files!)).toEqual({
      name: 'report.pdf',
      page: 2,
      start: 25,
      end: 48,
    });
  });

  it('proofreads what is no text', async () => {
    const proof = await json(['proofread', report]);
    expect(proof).toMatchObject({ characters: 46, documents: [{ name: 'report.pdf', pages: 2 }] });
  });
});
