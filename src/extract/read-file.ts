/**
 * A file → its text, whatever it is: what its first bytes show decides, then what its name or its sender
 * says. Plain text is decoded here; everything with a parser is read in a child process.
 */

import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { type ExtractLimits, extractFormat } from './extract-text.js';
import type { ExtractionNote } from './extraction.js';
import { type Format, isFormat } from './formats.js';
import { DOCX_TYPE, EPUB_TYPE, HTML_TYPE, PDF_TYPE, TEXT_TYPE, typeOfName } from './media-types.js';
import { looksLikeHtml, SIGNATURE_BYTES, signatureOf } from './signatures.js';
import { decodeText, type TextEncoding } from './text-encoding.js';

export interface ReadFileOptions extends ExtractLimits {
  /** Of the document, for messages and its extension; not the path of the bytes. */
  name: string;
  /** Media type declared by the sender; null if only the file name indicates it. */
  mediaType?: string | null;
  encoding?: TextEncoding;
  signal: AbortSignal;
}

export interface FileText {
  text: string;
  /** As it was read, which may be another than stated. */
  mediaType: string;
  /** Of plain text; null for formats that say it themselves. */
  encoding: TextEncoding | null;
  encodingGuessed: boolean;
  notes: ExtractionNote[];
  /** Where each page of the source starts in the text; null where it has none. */
  pageStarts: number[] | null;
}

/**
 * @throws {GlyphpressError} GP_INPUT_EMPTY, GP_INPUT_ENCODING, GP_INPUT_FORMAT, GP_INPUT_ENCRYPTED,
 *   GP_INPUT_SCANNED
 */
export async function readFileText(file: string, options: ReadFileOptions): Promise<FileText> {
  const { name, encoding, signal } = options;
  const stated = options.mediaType ?? typeOfName(name);
  const format = formatOf(await firstBytes(file), name, stated);
  if (format !== null) {
    const { text, notes, pageStarts } = await extractFormat(file, format, signal, options);
    return {
      text,
      notes,
      mediaType: format === 'application/zip' && stated !== null ? stated : format,
      encoding: null,
      encodingGuessed: false,
      pageStarts: pageStarts ?? null,
    };
  }
  const bytes = await readFile(file);
  if (bytes.length === 0) throw empty(name);
  const decoded = decodeText(bytes, name, encoding);
  if (decoded.text.trim() === '') throw empty(name);
  return {
    text: decoded.text,
    mediaType: stated ?? TEXT_TYPE,
    encoding: decoded.encoding,
    encodingGuessed: decoded.guessed,
    notes: [],
    pageStarts: null,
  };
}

/**
 * @returns the format that decides the reader, or null for plain text
 * @throws {GlyphpressError} GP_INPUT_FORMAT if the format is not supported, or is not the declared one
 */
export function formatOf(head: Buffer, name: string, stated: string | null): Format | null {
  const signature = signatureOf(head);
  switch (signature?.kind) {
    case 'pdf':
      return PDF_TYPE;
    case 'zip':
      return 'application/zip';
    case 'compound':
      return 'application/x-ole-storage';
    case 'unread':
      throw new GlyphpressError('GP_INPUT_FORMAT', {
        message: `${name} is ${signature.what}`,
        hint: 'Read are text, Markdown, HTML, PDF, DOCX, EPUB and source code. Unpack archives and give the folder.',
        details: { file: name },
      });
  }
  if (stated === PDF_TYPE || stated === DOCX_TYPE || stated === EPUB_TYPE) {
    throw new GlyphpressError('GP_INPUT_FORMAT', {
      message: `${name} is declared as ${NAMES[stated]}, but its content is not`,
      hint: 'Check the file, its name and the Content-Type.',
      details: { file: name, mediaType: stated },
    });
  }
  if (stated !== null && isFormat(stated)) return stated;
  const tellsNothing = typeOfName(name) === null && path.extname(name) === '';
  if (tellsNothing && looksLikeHtml(head.toString('latin1'))) return HTML_TYPE;
  return null;
}

const NAMES = { [PDF_TYPE]: 'a PDF', [DOCX_TYPE]: 'a DOCX', [EPUB_TYPE]: 'an EPUB' };

async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(SIGNATURE_BYTES),
      0,
      SIGNATURE_BYTES,
      0,
    );
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function empty(name: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_EMPTY', {
    message: `${name} holds no text`,
    hint: 'Give a file with text.',
    details: { file: name },
  });
}
