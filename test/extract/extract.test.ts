import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { extractFormat } from '../../src/extract/extract-text.js';
import { FORMATS, type Format } from '../../src/extract/formats.js';
import { htmlToText } from '../../src/extract/html.js';
import { extractText } from '../../src/service/extract.js';
import { sharedFolder } from '../support/folders.js';
import { type ZipEntry, zipFile } from './zip-file.js';

const folder = sharedFolder();
let count = 0;
const fileOf = (bytes: Buffer | string) => {
  const file = path.join(folder, `document-${++count}`);
  writeFileSync(file, bytes);
  return file;
};
const signal = new AbortController().signal;
const DOCX: Format = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
const EPUB: Format = 'application/epub+zip';
const extract = (bytes: Buffer | string, mediaType: string) =>
  extractText(fileOf(bytes), { mediaType, name: 'document', signal });

/** One page with some lines of text, as small as a PDF can be. */
function pdf(lines: readonly string[]): string {
  const shown = lines.map((line, n) => `1 0 0 1 72 ${700 - 20 * n} Tm (${line}) Tj`).join(' ');
  const content = `BT /F1 12 Tf ${shown} ET`;
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>',
    `<</Length ${content.length}>>stream\n${content}\nendstream`,
    '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
  ];
  let file = '%PDF-1.4\n';
  const offsets = objects.map((body, n) => {
    const at = file.length;
    file += `${n + 1} 0 obj${body}endobj\n`;
    return String(at).padStart(10, '0');
  });
  const table = file.length;
  const rows = offsets.map((offset) => `${offset} 00000 n \n`).join('');
  return `${file}xref\n0 6\n0000000000 65535 f \n${rows}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${table}\n%%EOF`;
}

const docx = (body: string, more: ZipEntry[] = []) =>
  zipFile([
    {
      name: '[Content_Types].xml',
      data: '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    },
    {
      name: '_rels/.rels',
      data: '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
    },
    {
      name: 'word/document.xml',
      data: `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${body}</w:body></w:document>`,
    },
    ...more,
  ]);
const paragraph = (text: string) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`;

const epub = (chapters: Record<string, string>, more: ZipEntry[] = []) =>
  zipFile([
    { name: 'mimetype', data: 'application/epub+zip' },
    {
      name: 'META-INF/container.xml',
      data: '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
    },
    {
      name: 'OEBPS/book.opf',
      data: `<?xml version="1.0"?><opf:package xmlns:opf="http://www.idpf.org/2007/opf"><opf:manifest>${Object.keys(
        chapters,
      )
        .map((name, n) => `<opf:item id="c${n}" href="${encodeURI(name)}"/>`)
        .reverse()
        .join('')}</opf:manifest><opf:spine>${Object.keys(chapters)
        .map((_, n) => `<opf:itemref idref="c${n}"/>`)
        .join('')}</opf:spine></opf:package>`,
    },
    ...Object.entries(chapters).map(([name, data]) => ({ name: `OEBPS/${name}`, data })),
    ...more,
  ]);

describe('HTML', () => {
  it.each([
    ['<p>one\n  two</p><p>three</p>', 'one two\n\nthree'],
    ['a <b>bold</b> <i>word</i>, no space<b>s</b>', 'a bold word, no spaces'],
    ['line<br>break<hr>rule', 'line\nbreak\nrule'],
    [
      '<h1>Title</h1>text<ul><li>a</li><li>b <ul><li>c</li></ul></li></ul>',
      'Title\n\ntext\n\n- a\n- b\n\n- c',
    ],
    ['<table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>', 'k\tv\n1\t2'],
    ['<pre>  x =\n    1</pre>', 'x =\n    1'],
    ['5 &lt; 6 &amp; caf&eacute; &#128640;', '5 < 6 & café 🚀'],
    ['<img alt="a chart"> <script>alert(1)</script><style>p{}</style>', 'a chart'],
    ['<html><head><title>t</title></head><body>b</body></html>', 'b'],
    [
      'seen<p hidden>1</p><p style="DISPLAY : none">2</p><p style="font-size:0">3</p><span style="opacity: 0;">4</span>',
      'seen',
    ],
    ['<p style="font-size:0.9em">small</p>', 'small'],
    ['', ''],
  ])('%j is read as %j', (html, text) => {
    expect(htmlToText(html)).toBe(text);
  });

  it('in the encoding that it states', async () => {
    const bytes = Buffer.from('<meta charset="iso-8859-1"><p>caf\u00e9</p>', 'latin1');
    expect(await extract(bytes, 'text/html')).toBe('café');
  });

  it('that is nested without end harms nobody', async () => {
    await expect(extract('<div>'.repeat(20_000), 'text/html')).rejects.toMatchObject({
      code: expect.stringMatching(/^GP_INPUT_/),
    });
  });
});

describe('a document', () => {
  it('as PDF', async () => {
    const text = await extract(pdf(['The north gate', 'is shut.']), 'application/pdf');
    expect(text).toMatch(/^The north gate\s+is shut\.$/);
  });

  it('as DOCX', async () => {
    const table = `<w:tbl><w:tr><w:tc>${paragraph('key')}</w:tc><w:tc>${paragraph('value')}</w:tc></w:tr></w:tbl>`;
    const text = await extract(docx(paragraph('First &amp; last.') + table), DOCX);
    expect(text).toMatch(/^First & last\.\n\nkey\s+value$/);
  });

  it('as EPUB, in reading order', async () => {
    const book = epub({
      'z first.xhtml':
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body><h1>One</h1></body></html>',
      'a.xhtml': '<html><body><p>Two</p></body></html>',
    });
    expect(await extract(book, EPUB)).toBe('One\n\nTwo');
  });

  it('as Markdown stays as it is', async () => {
    expect(await extract('# A\n\n*b*', 'text/markdown')).toBe('# A\n\n*b*');
  });

  it.each<[string, () => Buffer | string, string, string]>([
    ['a PDF that came as text', () => pdf(['x']), 'text/plain', 'GP_INPUT_FORMAT'],
    [
      'an archive that came as text',
      () => zipFile([{ name: 'a', data: 'b' }]),
      'text/plain',
      'GP_INPUT_FORMAT',
    ],
    ['text that came as PDF', () => 'hello', 'application/pdf', 'GP_INPUT_FORMAT'],
    ['text that came as DOCX', () => 'hello', DOCX, 'GP_INPUT_FORMAT'],
    ['a PDF without text', () => pdf([]), 'application/pdf', 'GP_INPUT_EMPTY'],
    ['a broken PDF', () => pdf(['x']).slice(0, 60), 'application/pdf', 'GP_INPUT_FORMAT'],
  ])('that is %s is refused with the reason', async (_, bytes, mediaType, code) => {
    const refused = extract(bytes(), mediaType);
    await expect(refused).rejects.toMatchObject({ code, retryable: false });
  });

  const zeros = Buffer.alloc(60 * 1024 ** 2);
  it.each<[string, Format, () => Buffer, RegExp]>([
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
  ])('that is an archive with %s is refused', async (_, format, bytes, message) => {
    // What the child runs, without the time that its start takes.
    await expect(FORMATS[format](fileOf(bytes()))).rejects.toMatchObject({
      code: 'GP_INPUT_FORMAT',
      message: expect.stringMatching(message),
    });
  });

  it('loads nothing that it names: no file, no address, no entity', async () => {
    const canary = fileOf('CANARY');
    const html = `<p>seen</p><iframe src="file://${canary}"></iframe><object data="file://${canary}"></object>`;
    expect(await extract(html, 'text/html')).toBe('seen');
    const evil = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file://${canary}">]><html><body><p>a&e;b</p></body></html>`;
    expect(await extract(epub({ 'a.xhtml': evil }), EPUB)).not.toContain('CANARY');
    const linked = docx(`${paragraph('x')}<w:p><w:r><w:t>&e;</w:t></w:r></w:p>`);
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
