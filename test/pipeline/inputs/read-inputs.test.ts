import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type ReadInputsOptions, readInputs } from '../../../src/pipeline/inputs/read-inputs.js';
import { scratchFolder } from '../../../src/store/scratch-folder.js';
import { docx, docxParagraph, pdf } from '../../support/documents.js';
import { sharedFolder, temporaryFolder } from '../../support/folders.js';

function tree(files: Record<string, string | Buffer>, parent = temporaryFolder()): string {
  const folder = path.join(parent, 'project');
  for (const [name, data] of Object.entries(files)) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, data);
  }
  return folder;
}
const { signal } = new AbortController();
const read = (inputs: string[], options: Partial<ReadInputsOptions> = {}) =>
  readInputs(inputs, { signal, ...options });
const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);

describe('a folder', () => {
  const folder = tree(
    {
      'README.md': '# Project',
      'src/a.ts': 'export const a = 1;\n',
      'src/generated.ts': 'export const g = 1;\n',
      'src/.gitignore': 'generated.ts\n',
      'docs/guide.docx': docx(docxParagraph('The guide.')),
      'docs/scan.pdf': Buffer.from(pdf([[]], { picture: true }), 'latin1'),
      'docs/logo.png': Buffer.from('\u0089PNG\r\n', 'latin1'),
      'docs/data.bin': Buffer.from([1, 2, 0, 0, 7]),
      'empty.txt': '',
      'build/out.txt': 'made',
      'build/keep/kept.txt': 'no file below an ignored folder comes back',
      '.gitignore': 'build/\n*.log\n!keep.log\n',
      '.git/config': '[core]',
      'x.log': 'ignored',
      'keep.log': 'kept',
      'node_modules/p/index.js': 'installed',
      'book.gp/manifest.json': '{"kind":"glyphpress-context","version":1}',
      'book.gp/source.txt': 'compressed before',
    },
    sharedFolder(),
  );
  symlinkSync(path.join(folder, 'README.md'), path.join(folder, 'link.md'));

  it('gives its texts in the order of their names, and tells what was left out and why', async () => {
    const { document, taken, skipped } = await read([folder]);
    expect(names(taken)).toEqual([
      'project/README.md',
      'project/docs/guide.docx',
      'project/keep.log',
      'project/src/a.ts',
    ]);
    expect(Object.fromEntries(skipped.map(({ name, reason }) => [name, reason]))).toEqual({
      'project/.git/': 'hidden',
      'project/.gitignore': 'hidden',
      'project/book.gp/': expect.stringContaining('made by glyphpress'),
      'project/build/': 'ignored by .gitignore',
      'project/docs/data.bin': 'binary data, not text',
      'project/docs/logo.png': 'a PNG picture',
      'project/docs/scan.pdf': expect.stringContaining('holds pictures'),
      'project/empty.txt': 'empty',
      'project/link.md': 'a symbolic link',
      'project/node_modules/': 'installed packages',
      'project/src/.gitignore': 'hidden',
      'project/src/generated.ts': 'ignored by .gitignore',
      'project/x.log': 'ignored by .gitignore',
    });
    expect(document.text).toContain('===== project/docs/guide.docx =====\n\nThe guide.\n\n');
    expect(document.files).toHaveLength(4);
    expect((await read([folder])).document.id).toBe(document.id);
  });

  it('knows the rules of the repository around it', async () => {
    const { taken } = await read([path.join(folder, 'src')]);
    expect(names(taken)).toEqual(['src/a.ts']);
  });

  it('is narrowed by a pattern', async () => {
    expect(names((await read([path.join(folder, '**/*.{md,ts}')])).taken)).toEqual([
      'project/README.md',
      'project/src/a.ts',
    ]);
    const one = await read([path.join(folder, 'sr?/*.ts')]);
    expect(names(one.taken)).toEqual(['project/src/a.ts']);
  });

  it('is one of several inputs, of which each file is taken once', async () => {
    const { taken } = await read([path.join(folder, 'src/a.ts'), folder, path.join(folder, 'src')]);
    expect(names(taken).filter((name) => name.endsWith('a.ts'))).toEqual(['a.ts']);
  });

  it('without any text is an error that says why', async () => {
    const bare = tree({ 'a.png': Buffer.from('\u0089PNG\r\n', 'latin1'), 'b.txt': '' });
    await expect(read([bare])).rejects.toMatchObject({
      code: 'GP_INPUT_EMPTY',
      message: expect.stringMatching(/b\.txt: empty/),
    });
  });
});

describe('files', () => {
  it('alone keep the id of their bytes', async () => {
    const folder = tree({ 'a.txt': 'one\n', 'b.txt': 'one\n' });
    const [a, b] = await Promise.all(
      ['a.txt', 'b.txt'].map((name) => read([path.join(folder, name)])),
    );
    expect(a!.document.text).toBe('one\n');
    expect(a!.document.id).toBe(b!.document.id);
  });

  it('of one name are told apart', async () => {
    const folder = tree({ 'x/a.txt': 'one', 'y/a.txt': 'two' });
    const files = ['x/a.txt', 'y/a.txt'].map((name) => path.join(folder, name));
    expect(names((await read(files)).taken)).toEqual(files);
  });

  it('that are named must be readable, and say which is not', async () => {
    const folder = tree({ 'a.txt': 'one', 'b.pdf': 'no PDF', 'c.pdf': pdf([[]]) });
    const file = (name: string) => path.join(folder, name);
    for (const [inputs, code, message] of [
      [['a.txt', 'none.txt'], 'GP_INPUT_NOT_FOUND', /none\.txt/],
      [['a.txt', '*.md'], 'GP_INPUT_NOT_FOUND', /Nothing matches .*\*\.md/],
      [['a.txt', 'b.pdf'], 'GP_INPUT_FORMAT', /b\.pdf is declared as a PDF/],
      [['c.pdf', 'a.txt'], 'GP_INPUT_EMPTY', /c\.pdf: The document holds no text/],
    ] as const)
      await expect(read(inputs.map(file))).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
  });

  it('that are guessed or lose text say so', async () => {
    const folder = tree({
      'old.txt': Buffer.from('Der Weg f\xfchrt \xfcber die Stra\xdfe.', 'latin1'),
      'page.html': `<p>seen ${'words '.repeat(20)}</p><p hidden>${'lost '.repeat(300)}</p>`,
    });
    const { taken } = await read([folder]);
    expect(taken).toMatchObject([
      { encoding: 'windows-1252', encodingGuessed: true, notes: [] },
      { mediaType: 'text/html', encoding: null, notes: [expect.stringContaining('1200 of')] },
    ]);
  });
});

describe('standard input', () => {
  const from = (bytes: Buffer | string) => ({ stdin: Readable.from([Buffer.from(bytes)]) });

  it('is whatever its content says', async () => {
    expect((await read(['-'], from('plain words'))).document.text).toBe('plain words');
    const { taken, document } = await read(['-'], from(pdf([['In a PDF.']])));
    expect(document.text).toBe('In a PDF.');
    expect(taken).toMatchObject([{ name: 'stdin', mediaType: 'application/pdf', pages: 1 }]);
    expect((await read(['-'], from('<!doctype html><p>In HTML.'))).document.text).toBe('In HTML.');
  });

  it('is one input among others', async () => {
    const folder = tree({ 'a.txt': 'one' });
    const { document } = await read([path.join(folder, 'a.txt'), '-'], from('two'));
    expect(document.text).toBe('===== a.txt =====\n\none\n\n===== stdin =====\n\ntwo\n');
  });

  it('that is empty or too long is an error', async () => {
    await expect(read(['-'], from(''))).rejects.toMatchObject({ code: 'GP_INPUT_EMPTY' });
    await expect(read(['-'], { ...from('123456'), maxBytes: 5 })).rejects.toMatchObject({
      code: 'GP_INPUT_UNREADABLE',
    });
  });

  it('leaves no file behind when the work is done', async () => {
    await read(['-'], from('plain words'));
    expect(readdirSync(scratchFolder())).toEqual([]);
  });
});

it('an address is read only where that is allowed', async () => {
  await expect(read(['https://example.org/'])).rejects.toMatchObject({
    code: 'GP_USAGE',
    hint: expect.stringContaining('--allow-url'),
  });
});
