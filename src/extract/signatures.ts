/** What a file is by its first bytes, whatever its name says. */

export type Signature =
  | { kind: 'pdf' }
  /** DOCX and EPUB are archives; which one it is shows inside. */
  | { kind: 'zip' }
  /** Old Office documents, and the envelope of encrypted new ones. */
  | { kind: 'compound' }
  | { kind: 'unread'; what: string };

/** How much of a file {@link signatureOf} wants to see. */
export const SIGNATURE_BYTES = 4_096;

/** Bytes as Latin-1 at an offset. Sources: the formats' own specifications. */
const UNREAD: readonly (readonly [offset: number, bytes: string, what: string])[] = [
  [0, '\u0089PNG\r\n', 'a PNG picture'],
  [0, '\u00ff\u00d8\u00ff', 'a JPEG picture'],
  [0, 'GIF8', 'a GIF picture'],
  [0, 'II*\0', 'a TIFF picture'],
  [0, 'MM\0*', 'a TIFF picture'],
  [8, 'WEBP', 'a WebP picture'],
  [0, '\u001f\u008b', 'a gzip archive'],
  [0, 'BZh', 'a bzip2 archive'],
  [0, '\u00fd7zXZ\0', 'an xz archive'],
  [0, '(\u00b5/\u00fd', 'a Zstandard archive'],
  [0, '7z\u00bc\u00af\u0027\u001c', 'a 7z archive'],
  [0, 'Rar!\u001a\u0007', 'a RAR archive'],
  [0, '!<arch>\n', 'an ar archive (static library or Debian package)'],
  [257, 'ustar', 'a tar archive'],
  [0, '\u007fELF', 'a program (ELF)'],
  [0, 'MZ\u0090\0', 'a Windows program'],
  [0, '\u00ca\u00fe\u00ba\u00be', 'compiled Java or a macOS program'],
  [0, '\0asm', 'WebAssembly'],
  [0, 'SQLite format 3\0', 'an SQLite database'],
  [4, 'ftyp', 'a video'],
  [0, '\u001aE\u00df\u00a3', 'a Matroska video'],
  [0, 'OggS', 'Ogg media'],
  [0, 'ID3', 'an MP3 recording'],
  [0, 'fLaC', 'a FLAC recording'],
  [60, 'BOOKMOBI', 'a Mobipocket or Kindle book'],
  [0, '{\\rtf', 'an RTF document'],
];

const ZIP = ['PK\u0003\u0004', 'PK\u0005\u0006'];
const COMPOUND = '\u00d0\u00cf\u0011\u00e0\u00a1\u00b1\u001a\u00e1';

/** Some bytes may stand before the header of a PDF (ISO 32000-1, Annex H: within the first 1024). */
const PDF_WITHIN = 1_024;

export function signatureOf(head: Buffer): Signature | null {
  const text = head.toString('latin1', 0, SIGNATURE_BYTES);
  if (ZIP.some((start) => text.startsWith(start))) return { kind: 'zip' };
  if (text.startsWith(COMPOUND)) return { kind: 'compound' };
  const unread = UNREAD.find(([offset, bytes]) => text.startsWith(bytes, offset));
  if (unread) return { kind: 'unread', what: unread[2] };
  if (/^[\s\S]{0,1019}%PDF-\d/.test(text.slice(0, PDF_WITHIN)) && isPdfStart(text))
    return { kind: 'pdf' };
  return null;
}

/** A text may speak of "%PDF-1.4"; a header stands at the start, or behind bytes that are no words. */
function isPdfStart(text: string): boolean {
  const before = text.slice(0, text.indexOf('%PDF-'));
  return !/\w[^\w]+\w/.test(before);
}

/** HTML that says so: a document type or the root element, behind what may stand before it. */
export function looksLikeHtml(head: string): boolean {
  return /^\ufeff?(?:\s|<\?xml[^>]*\?>|<!--[\s\S]*?-->)*<(?:!doctype\s+html|html)\b/i.test(head);
}
