import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { extractFormat } from '../../src/extract/extract-text.js';
import { FORMATS, type Format } from '../../src/extract/formats.js';
import { DOCX_TYPE as DOCX, EPUB_TYPE as EPUB } from '../../src/extract/media-types.js';
import { readFileText } from '../../src/extract/read-file.js';
import { docx, docxParagraph, docxTable, epub, pdf } from '../support/documents.js';
import { sharedFolder } from '../support/folders.js';
import { zipFile } from '../support/zip-file.js';

const folder = sharedFolder();
let count = 0;
const fileOf = (bytes: Buffer | string) => {
  const file = path.join(folder, `document-${++count}`);
  writeFileSync(file, bytes);
  return file;
};
const signal = new AbortController().signal;
const read = (bytes: Buffer | string, name: string, mediaType?: string) =>
  readFileText(fileOf(bytes), { name, mediaType: mediaType ?? null, signal });
const extract = async (bytes: Buffer | string, mediaType: string) =>
  (await read(bytes, 'document', mediaType)).text;
/** What the child runs, without the time that its start takes. */
const inProcess = (bytes: Buffer | string, format: Format) =>
  FORMATS[format](fileOf(bytes), () => {});

describe('a document', () => {
  it('as PDF, with the places where its pages start', async () => {
    const { text, pageStarts, mediaType } = await read(
      pdf([['The north gate', 'is shut.'], [], ['Page three.']]),
      'gate.pdf',
    );
    expect(mediaType).toBe('application/pdf');
    expect(text).toMatch(/^The north gate\s+is shut\.\n\nPage three\.$/);
    expect(pageStarts).toHaveLength(3);
    expect(text.slice(pageStarts![2])).toBe('Page three.');
  });

  it('as DOCX, whose tables keep their rows', async () => {
    const table = docxTable([
      ['key', 'value'],
      [['two', 'paragraphs'], ''],
      ['', 'last'],
    ]);
    const text = await extract(docx(docxParagraph('First &amp; last.') + table), DOCX);
    expect(text).toBe('First & last.\n\nkey | value\ntwo paragraphs |\n| last');
  });

  it('as EPUB, in reading order', async () => {
    const book = epub({
      'z first.xhtml':
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body><h1>One</h1></body></html>',
      'a.xhtml': '<html><body><p>Two</p></body></html>',
    });
    expect(await extract(book, EPUB)).toBe('One\n\nTwo');
  });

  it.each(['title', 'script', 'style', 'a id="x"', 'p', 'div', 'textarea', 'svg', 'td'])(
    'as EPUB goes on behind a closed <%s/>',
    async (tag) => {
      const chapter = `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><${tag}/></head><body><p>before</p><${tag}/><p>behind</p></body></html>`;
      const { text, notes } = await inProcess(epub({ 'a.xhtml': chapter }), EPUB);
      expect(text).toMatch(/before\s+behind$/);
      expect(notes).toEqual([]);
    },
  );

  it('as Markdown stays as it is', async () => {
    expect(await extract('# A\n\n*b*', 'text/markdown')).toBe('# A\n\n*b*');
  });
});

describe('what it is, is told by its content', () => {
  it.each<[string, Buffer | string, string, string]>([
    ['a PDF named as text', pdf([['x y']]), 'a.txt', 'application/pdf'],
    ['a PDF without a name', pdf([['x y']]), '-', 'application/pdf'],
    ['a DOCX named as ZIP', docx(docxParagraph('x y')), 'a.zip', 'application/zip'],
    ['a book named as DOCX', epub({ 'a.xhtml': '<p>x y</p>' }), 'a.docx', DOCX],
    ['HTML without a name', '<!-- c --> <!DOCTYPE html><p>x y', '-', 'text/html'],
    ['XHTML without a name', '<?xml version="1.0"?>\n<html><p>x y</p></html>', '-', 'text/html'],
    ['HTML named as text', '<html><p>x y', 'a.txt', 'text/plain'],
    ['source code that holds HTML', '<!doctype html><?php x y ?>', 'a.php', 'text/plain'],
    ['text that speaks of PDF', 'A file begins with "%PDF-1.4": x y', 'a.txt', 'text/plain'],
  ])('%s', async (_, bytes, name, mediaType) => {
    const found = await read(bytes, name);
    expect(found.text).toContain('x y');
    expect(found.mediaType).toBe(mediaType);
  });

  const tar = Buffer.alloc(1_024);
  tar.write('notes.txt');
  tar.write('ustar', 257);
  it.each<[string, () => Buffer | string, string, string, RegExp]>([
    ['text that is named a PDF', () => 'hello', 'a.pdf', 'GP_INPUT_FORMAT', /declared as a PDF/],
    ['text that is named a DOCX', () => 'hello', 'a.docx', 'GP_INPUT_FORMAT', /declared as a DOCX/],
    ['a PDF without text', () => pdf([[]]), 'a.pdf', 'GP_INPUT_EMPTY', /no text/],
    ['a scan', () => pdf([[], []], { picture: true }), 'a.pdf', 'GP_INPUT_SCANNED', /its 2 pages/],
    ['half a PDF', () => pdf([['x']]).slice(0, 60), 'a.pdf', 'GP_INPUT_FORMAT', /cannot be read/],
    ['a tar', () => tar, 'a.txt', 'GP_INPUT_FORMAT', /is a tar archive/],
    ['a picture', () => '\u0089PNG\r\n', 'a', 'GP_INPUT_FORMAT', /./],
    [
      'numbers',
      () => Buffer.from(Float64Array.from({ length: 99 }, Math.sqrt).buffer),
      'a',
      'GP_INPUT_FORMAT',
      /is binary data/,
    ],
    [
      'an archive of files',
      () => zipFile([{ name: 'a', data: 'b' }]),
      'a.zip',
      'GP_INPUT_FORMAT',
      /ZIP archive of 1 files/,
    ],
    [
      'a spreadsheet',
      () => zipFile([{ name: 'xl/workbook.xml', data: 'b' }]),
      'a.xlsx',
      'GP_INPUT_FORMAT',
      /XLSX/,
    ],
    [
      'an old Office document',
      () => Buffer.from('d0cf11e0a1b11ae10000', 'hex'),
      'a.doc',
      'GP_INPUT_FORMAT',
      /old Office/,
    ],
    [
      'a locked Office document',
      () =>
        Buffer.concat([
          Buffer.from('d0cf11e0a1b11ae1', 'hex'),
          Buffer.from('EncryptedPackage', 'utf16le'),
        ]),
      'a.docx',
      'GP_INPUT_ENCRYPTED',
      /password/,
    ],
    ['nothing', () => '', 'a.txt', 'GP_INPUT_EMPTY', /no text/],
    ['white space', () => ' \n\t\n', 'a.txt', 'GP_INPUT_EMPTY', /no text/],
  ])('%s is refused with the reason', async (_, bytes, name, code, message) => {
    const data = bytes();
    const refused = read(typeof data === 'string' ? Buffer.from(data, 'latin1') : data, name);
    await expect(refused).rejects.toMatchObject({
      code,
      retryable: false,
      message: expect.stringMatching(message),
    });
  });
});

describe('text that is lost', () => {
  it('is told: hidden in HTML', async () => {
    const html = `<p>${'seen '.repeat(60)}</p><div hidden>${'words '.repeat(200)}</div>`;
    const { text, notes } = await inProcess(html, 'text/html');
    expect(text).toMatch(/^(seen ?)+$/);
    expect(notes).toEqual([
      {
        kind: 'text-not-shown',
        message: expect.stringMatching(/^1000 of 1240 characters \(81 %\)/),
      },
    ]);
  });

  it('is told: swallowed by an element that never closes', async () => {
    const html = `<p>${'seen '.repeat(60)}</p><select><p>${'words '.repeat(200)}</p>`;
    expect((await inProcess(html, 'text/html')).notes).toMatchObject([{ kind: 'text-not-shown' }]);
  });

  it('is told: pages of pictures in a PDF', async () => {
    const { text, notes } = await inProcess(
      pdf([['words'], [], ['more']], { picture: true }),
      'application/pdf',
    );
    expect(text).toBe('words\n\nmore');
    expect(notes).toEqual([
      { kind: 'pages-without-text', message: expect.stringMatching(/^1 of 3 pages .*: 2$/) },
    ]);
  });

  it('is told: headers of a DOCX', async () => {
    const header = {
      name: 'word/header1.xml',
      data: '<w:hdr><w:p><w:r><w:t>On every page</w:t></w:r></w:p></w:hdr>',
    };
    const { notes } = await inProcess(docx(docxParagraph('words'), [header]), DOCX);
    expect(notes).toEqual([
      { kind: 'not-read', message: expect.stringContaining('11 characters') },
    ]);
  });

  it('is no matter of scripts, styles, comments and entities', async () => {
    const script = `<script>${'if (a < b) x();'.repeat(50)}</script>`;
    const html = `<head><style>${'p{} '.repeat(99)}</style></head>${script}<!-- ${'comment '.repeat(99)}--><p>${'caf&eacute; '.repeat(99)}`;
    expect((await inProcess(html, 'text/html')).notes).toEqual([]);
  });
});

describe('a hostile document', () => {
  const zeros = Buffer.alloc(60 * 1024 ** 2);
  it.each<[string, Format, () => Buffer | string, RegExp]>([
    ['no DOCX', DOCX, () => zipFile([{ name: 'a', data: 'b' }]), /main document part/],
    ['no EPUB', EPUB, () => zipFile([{ name: 'a', data: 'b' }]), /container/],
    ['half an archive', EPUB, () => epub({}).subarray(0, 200), /cannot be read/],
    [
      'a book with a chapter outside',
      EPUB,
      () => epub({ '../../../etc/passwd': '' }),
      /cannot be read|is missing/,
    ],
    ['a bomb', DOCX, () => docx('', [{ name: 'bomb', data: zeros }]), /packed \d+ times/],
    [
      'a bomb that lies',
      DOCX,
      () => docx('', [{ name: 'bomb', data: zeros, statedBytes: 10 }]),
      /cannot be read/,
    ],
    [
      'endless entries',
      EPUB,
      () => zipFile(Array.from({ length: 10_001 }, (_, n) => ({ name: `${n}`, data: '' }))),
      /10001 entries/,
    ],
    ['200,000 nested tags', 'text/html', () => '<div>'.repeat(200_000), /nests elements/],
    [
      '200,000 nested tables',
      'text/html',
      () => '<table><tr><td>'.repeat(200_000),
      /nests elements/,
    ],
  ])('%s is refused', async (_, format, bytes, message) => {
    await expect(inProcess(bytes(), format)).rejects.toMatchObject({
      code: 'GP_INPUT_FORMAT',
      message: expect.stringMatching(message),
    });
  });

  it('of openings without ends is read in linear time', async () => {
    for (const opening of [
      '<script>',
      '<!--',
      '<',
      '<a title="',
      '<head>',
      '<table>x',
      '<td colspan=1e9>x',
    ]) {
      const start = performance.now();
      await inProcess(`seen ${opening.repeat(9_000)}`, 'text/html').catch(() => {});
      expect(performance.now() - start).toBeLessThan(5_000);
    }
  });

  it('with a protected chapter is told apart from a damaged one', async () => {
    const lock = {
      name: 'META-INF/encryption.xml',
      data: '<encryption><enc:EncryptedData><enc:CipherData><enc:CipherReference URI="OEBPS/a.xhtml"/></enc:CipherData></enc:EncryptedData></encryption>',
    };
    await expect(inProcess(epub({ 'a.xhtml': 'x' }, [lock]), EPUB)).rejects.toMatchObject({
      code: 'GP_INPUT_ENCRYPTED',
    });
  });

  it('loads nothing that it names: no file, no address, no entity', async () => {
    const canary = fileOf('CANARY');
    const html = `<p>seen</p><iframe src="file://${canary}"></iframe><object data="file://${canary}"></object>`;
    expect(await extract(html, 'text/html')).toBe('seen');
    const evil = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file://${canary}">]><html><body><p>a&e;b</p></body></html>`;
    expect(await extract(epub({ 'a.xhtml': evil }), EPUB)).not.toContain('CANARY');
    const linked = docx(`${docxParagraph('x')}<w:p><w:r><w:t>&e;</w:t></w:r></w:p>`);
    const text = await extract(linked, DOCX).catch(({ message }) => String(message));
    expect(text).not.toContain('CANARY');
  });
});

describe('the reader process', () => {
  it('is ended when it takes too long, too much memory, or nobody waits any more', async () => {
    const file = fileOf(`<p>${'x '.repeat(2_000_000)}</p>`.repeat(4));
    await expect(extractFormat(file, 'text/html', signal, { timeoutMs: 20 })).rejects.toMatchObject(
      {
        code: 'GP_INPUT_FORMAT',
        message: expect.stringContaining('longer than'),
      },
    );
    await expect(extractFormat(file, 'text/html', signal, { memoryMb: 16 })).rejects.toMatchObject({
      code: 'GP_INPUT_FORMAT',
      message: expect.stringContaining('ended'),
    });
    const gone = new AbortController();
    const left = extractFormat(file, 'text/html', gone.signal);
    gone.abort();
    await expect(left).rejects.toMatchObject({ name: 'AbortError' });
  });
});
