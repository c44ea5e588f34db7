/** Archives and compound files: which document they are shows inside. */

import { readFile } from 'node:fs/promises';
import { GlyphpressError } from '../errors.js';
import { docxToText } from './docx.js';
import { epubToText } from './epub.js';
import type { Extraction } from './extraction.js';
import { ZipArchive } from './zip.js';

/** An entry that only this kind of document has. */
const KINDS: readonly (readonly [entry: string, kind: 'docx' | 'epub' | { what: string }])[] = [
  ['META-INF/container.xml', 'epub'],
  ['word/document.xml', 'docx'],
  ['xl/workbook.xml', { what: 'a spreadsheet (XLSX); save it as CSV' }],
  ['ppt/presentation.xml', { what: 'a presentation (PPTX); save it as PDF' }],
  ['META-INF/manifest.xml', { what: 'an OpenDocument file; save it as DOCX or PDF' }],
  ['META-INF/MANIFEST.MF', { what: 'a Java archive' }],
];

export async function archiveToText(
  file: string,
  onProgress?: (done: number, total: number) => void,
): Promise<Extraction> {
  const archive = await ZipArchive.open(file);
  let names: Set<string>;
  try {
    names = new Set(archive.names);
  } finally {
    archive.close();
  }
  const kind = KINDS.find(([entry]) => names.has(entry))?.[1];
  if (kind === 'epub') return epubToText(file, onProgress);
  // Some programs name the main part otherwise; its list of parts tells mammoth.
  if (kind === 'docx' || (kind === undefined && names.has('[Content_Types].xml')))
    return docxToText(file);
  throw notRead(
    kind?.what ?? `a ZIP archive of ${names.size} files; unpack it and give the folder`,
  );
}

/** @throws always: old Office documents are not read, and encrypted new ones cannot be */
export async function compoundToText(file: string): Promise<never> {
  const bytes = await readFile(file);
  // ECMA-376 documents are encrypted as a stream of this name ([MS-OFFCRYPTO] 2.3.4.4).
  if (bytes.includes(Buffer.from('EncryptedPackage', 'utf16le'))) {
    throw new GlyphpressError('GP_INPUT_ENCRYPTED', {
      message: 'The Office document is locked with a password',
      hint: 'Save it without a password.',
    });
  }
  throw notRead('an old Office document (DOC, XLS, PPT or MSG); save it as DOCX or PDF');
}

function notRead(what: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `The document is ${what}`,
    hint: 'Read are text, Markdown, HTML, PDF, DOCX, EPUB and source code.',
  });
}
