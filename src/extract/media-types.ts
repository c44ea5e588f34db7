/** What kind of document a name or a `Content-Type` says that bytes are. */

import path from 'node:path';

export const DOCX_TYPE = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
export const EPUB_TYPE = 'application/epub+zip';
export const PDF_TYPE = 'application/pdf';
export const HTML_TYPE = 'text/html';
export const MARKDOWN_TYPE = 'text/markdown';
export const TEXT_TYPE = 'text/plain';

const BY_EXTENSION: Record<string, string> = {
  '.txt': TEXT_TYPE,
  '.text': TEXT_TYPE,
  '.log': TEXT_TYPE,
  '.csv': TEXT_TYPE,
  '.tsv': TEXT_TYPE,
  '.rst': TEXT_TYPE,
  '.tex': TEXT_TYPE,
  '.json': TEXT_TYPE,
  '.jsonl': TEXT_TYPE,
  '.xml': TEXT_TYPE,
  '.yaml': TEXT_TYPE,
  '.yml': TEXT_TYPE,
  '.md': MARKDOWN_TYPE,
  '.markdown': MARKDOWN_TYPE,
  '.html': HTML_TYPE,
  '.htm': HTML_TYPE,
  '.xhtml': HTML_TYPE,
  '.pdf': PDF_TYPE,
  '.docx': DOCX_TYPE,
  '.epub': EPUB_TYPE,
};

/** Types whose bytes are read in another way than as plain text, or that are text of a known kind. */
const STATED = new Set([MARKDOWN_TYPE, HTML_TYPE, PDF_TYPE, DOCX_TYPE, EPUB_TYPE]);
const ALIASES: Record<string, string> = {
  'application/xhtml+xml': HTML_TYPE,
  'text/x-markdown': MARKDOWN_TYPE,
};

/** @returns the type that the name's extension stands for, or null for an unknown extension */
export function typeOfName(name: string | null): string | null {
  const extension = name === null ? '' : path.extname(name).toLowerCase();
  return Object.hasOwn(BY_EXTENSION, extension) ? BY_EXTENSION[extension]! : null;
}

/** The type that a client states, if it is one with a form of its own; else what the name says; else text. */
export function mediaTypeOf(stated: string | undefined, filename: string | null): string {
  const type = (stated ?? '').replace(/;.*$/s, '').trim().toLowerCase();
  const known = ALIASES[type] ?? type;
  if (STATED.has(known)) return known;
  return typeOfName(filename) ?? TEXT_TYPE;
}
