/** What kind of document some bytes are said to be. */

import path from 'node:path';

const BY_EXTENSION: Record<string, string> = {
  '.md': 'text/markdown',
  '.markdown': 'text/markdown',
  '.html': 'text/html',
  '.htm': 'text/html',
  '.xhtml': 'text/html',
  '.pdf': 'application/pdf',
  '.docx': 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  '.epub': 'application/epub+zip',
};

const KNOWN = new Set(Object.values(BY_EXTENSION));

/** The type that a client states, if it is one with a form of its own; else what the name says; else text. */
export function mediaTypeOf(stated: string | undefined, filename: string | null): string {
  const type = (stated ?? '').replace(/;.*$/s, '').trim().toLowerCase();
  if (KNOWN.has(type)) return type;
  const extension = filename === null ? '' : path.extname(filename).toLowerCase();
  return Object.hasOwn(BY_EXTENSION, extension) ? BY_EXTENSION[extension]! : 'text/plain';
}
