/** A file → a document: text with the id of its bytes. */

import { readFileSync, statSync } from 'node:fs';
import { GlyphpressError } from '../errors.js';
import { decodeText, type TextEncoding } from '../extract/text-encoding.js';
import { sha256Hex } from '../sha256.js';
import type { DocumentFile } from './inputs/document-files.js';

export interface SourceDocument {
  /** `doc_` and the start of the SHA-256 of the bytes: identical bytes have an identical id. */
  id: string;
  /** SHA-256 of the bytes, hex. */
  hash: string;
  text: string;
  /** The files that it was made of. */
  files?: readonly DocumentFile[];
}

export const documentId = (hash: string) => `doc_${hash.slice(0, 24)}`;

/** JavaScript strings end at 2^29 − 24 units; a document stays well below. */
const MAX_BYTES = 256 * 1024 * 1024;

/** @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_INPUT_UNREADABLE, GP_INPUT_EMPTY, GP_INPUT_ENCODING */
export function readDocument(file: string, encoding?: TextEncoding): SourceDocument {
  return decodeDocument(readBytes(file), file, encoding);
}

export function decodeDocument(
  bytes: Buffer,
  name: string,
  encoding?: TextEncoding,
): SourceDocument {
  if (bytes.length === 0) {
    throw new GlyphpressError('GP_INPUT_EMPTY', {
      message: `${name} is empty`,
      hint: 'Give a file with text.',
      details: { file: name },
    });
  }
  const hash = sha256Hex(bytes);
  return {
    id: documentId(hash),
    hash,
    text: decodeText(bytes, name, encoding).text,
  };
}

function readBytes(file: string): Buffer {
  try {
    const info = statSync(file);
    const { size } = info;
    if (!info.isFile()) throw notRegular(file, info.isDirectory());
    if (size > MAX_BYTES) {
      throw new GlyphpressError('GP_INPUT_UNREADABLE', {
        message: `${file} has ${size} bytes; at most ${MAX_BYTES} are taken`,
        hint: 'Split the document.',
        details: { file, size },
      });
    }
    return readFileSync(file);
  } catch (cause) {
    if (cause instanceof GlyphpressError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new GlyphpressError(missing ? 'GP_INPUT_NOT_FOUND' : 'GP_INPUT_UNREADABLE', {
      message: missing ? `No file ${file}` : `${file} cannot be read: ${(cause as Error).message}`,
      hint: missing ? 'Check the path.' : 'Give a regular file that this user may read.',
      details: { file },
      cause,
    });
  }
}

/** A device may never end, a pipe cannot be read again. */
function notRegular(file: string, isDirectory: boolean): GlyphpressError {
  return new GlyphpressError('GP_INPUT_UNREADABLE', {
    message: isDirectory ? `${file} is a directory` : `${file} is no regular file`,
    hint: 'Write the text to a file first.',
    details: { file },
  });
}
