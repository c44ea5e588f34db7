/** Writes small PDF, DOCX and EPUB files, as tests want them. */

import { type ZipEntry, zipFile } from './zip-file.js';

/**
 * Pages with some lines of text, as small as a PDF can be.
 *
 * @param pages lines of each page; a page without lines shows `picture`
 */
export function pdf(pages: readonly (readonly string[])[], { picture = false } = {}): string {
  const first = 4; // behind catalogue, page tree and font
  const kids = pages.map((_, n) => `${first + 2 * n} 0 R`).join(' ');
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    `<</Type/Pages/Kids[${kids}]/Count ${pages.length}>>`,
    '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
    ...pages.flatMap((lines, n) => {
      const shown = lines
        .map((line, at) => `1 0 0 1 72 ${700 - 20 * at} Tm (${line}) Tj`)
        .join(' ');
      const image = 'q 9 0 0 9 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \u0000 EI Q';
      const content = lines.length === 0 && picture ? image : `BT /F1 12 Tf ${shown} ET`;
      return [
        `<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents ${first + 2 * n + 1} 0 R/Resources<</Font<</F1 3 0 R>>>>>>`,
        `<</Length ${content.length}>>stream\n${content}\nendstream`,
      ];
    }),
  ];
  let file = '%PDF-1.4\n';
  const offsets = objects.map((body, n) => {
    const at = file.length;
    file += `${n + 1} 0 obj${body}endobj\n`;
    return String(at).padStart(10, '0');
  });
  const table = file.length;
  const size = objects.length + 1;
  const rows = offsets.map((offset) => `${offset} 00000 n \n`).join('');
  return `${file}xref\n0 ${size}\n0000000000 65535 f \n${rows}trailer<</Size ${size}/Root 1 0 R>>\nstartxref\n${table}\n%%EOF`;
}

/** @param body WordprocessingML of the main part */
export const docx = (body: string, more: ZipEntry[] = []) =>
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

export const docxParagraph = (text: string) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`;

/** @param rows cells, each one or more paragraphs */
export const docxTable = (rows: readonly (readonly (string | readonly string[])[])[]) =>
  `<w:tbl>${rows
    .map(
      (cells) =>
        `<w:tr>${cells
          .map((cell) => `<w:tc>${[cell].flat().map(docxParagraph).join('')}</w:tc>`)
          .join('')}</w:tr>`,
    )
    .join('')}</w:tbl>`;

/** @param chapters XHTML by file name, in reading order */
export const epub = (chapters: Record<string, string>, more: ZipEntry[] = []) =>
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
