/** Bytes of a document → its text. */

import { open, readFile } from 'node:fs/promises';
import { GlyphpressError } from '../errors.js';
import { extractFormat } from '../extract/extract-text.js';
import { isFormat } from '../extract/formats.js';
import { decodeDocument, TEXT_ENCODINGS, type TextEncoding } from '../pipeline/read-document.js';

/** Raised whenever the same bytes would give another text. */
export const EXTRACTOR_VERSION = 1;

export interface ExtractOptions {
  mediaType: string;
  /** For messages. */
  name: string;
  encoding?: string;
  signal: AbortSignal;
}

/** @throws {GlyphpressError} GP_INPUT_EMPTY, GP_INPUT_ENCODING, GP_INPUT_FORMAT */
export async function extractText(file: string, options: ExtractOptions): Promise<string> {
  const { mediaType, name, signal } = options;
  const start = await firstBytes(file);
  const looksLike = MAGIC.find(([magic]) => start.startsWith(magic))?.[1];
  if (!isFormat(mediaType)) {
    if (looksLike) throw mistaken(`The document looks like ${looksLike}, but came as text`);
    return decodeDocument(await readFile(file), name, encodingOf(options.encoding)).text;
  }
  const wanted = EXPECTED_MAGIC[mediaType];
  if (wanted !== undefined && !start.includes(wanted))
    throw mistaken(`The document came as ${mediaType}, and is something else`);
  return extractFormat(file, mediaType, signal);
}

const MAGIC: readonly (readonly [magic: string, what: string])[] = [
  ['%PDF-', 'a PDF'],
  ['PK\u0003\u0004', 'a ZIP archive (DOCX, EPUB, …)'],
  ['\u00d0\u00cf\u0011\u00e0', 'an old Office document'],
  ['\u0089PNG', 'a picture'],
  ['\u00ff\u00d8\u00ff', 'a picture'],
  ['\u001f\u008b', 'a gzip archive'],
];

const EXPECTED_MAGIC: Record<string, string> = {
  // May stand behind some other bytes.
  'application/pdf': '%PDF-',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'PK\u0003\u0004',
  'application/epub+zip': 'PK\u0003\u0004',
};

async function firstBytes(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1_024), 0, 1_024, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function mistaken(message: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message,
    hint: 'Give the Content-Type, or a filename that ends as the format does. Read are text, Markdown, HTML, PDF, DOCX and EPUB.',
  });
}

export function encodingOf(name: string | undefined): TextEncoding | undefined {
  if (name === undefined) return undefined;
  const known = TEXT_ENCODINGS.find((encoding) => encoding === name.toLowerCase());
  if (known) return known;
  throw new GlyphpressError('GP_REQUEST', {
    message: `There is no encoding "${name}"`,
    hint: `Give one of ${TEXT_ENCODINGS.join(', ')}, or leave it out for UTF-8.`,
    details: { param: 'encoding', allowed: TEXT_ENCODINGS },
  });
}
