/** A file → a document: text with the id of its bytes. */

import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { GlyphpressError } from '../errors.js';

export interface SourceDocument {
  /** `doc_` and the start of the SHA-256 of the bytes: identical bytes have an identical id. */
  id: string;
  /** SHA-256 of the bytes, hex. */
  hash: string;
  text: string;
}

/** Encodings that can be asked for; without one a byte order mark decides, else UTF-8. */
export const TEXT_ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252'] as const;
export type TextEncoding = (typeof TEXT_ENCODINGS)[number];

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
    id: `doc_${hash.slice(0, 24)}`,
    hash,
    text: decode(bytes, name, encoding ?? encodingOf(bytes)),
  };
}

export function sha256Hex(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

function encodingOf(bytes: Buffer): TextEncoding {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return 'utf-8';
}

function decode(bytes: Buffer, name: string, encoding: TextEncoding): string {
  if (encoding === 'utf-8' && !isUtf8(bytes)) {
    const offset = firstInvalidByte(bytes);
    throw new GlyphpressError('GP_INPUT_ENCODING', {
      message: `${name} is not UTF-8: byte ${offset} is 0x${bytes[offset]!.toString(16).padStart(2, '0')}`,
      hint: 'Convert it, or name its encoding: --encoding windows-1252.',
      details: { file: name, offset },
    });
  }
  if (encoding === 'windows-1252') return decodeWindows1252(bytes);
  try {
    return new TextDecoder(encoding, { fatal: encoding !== 'utf-8' }).decode(bytes);
  } catch (cause) {
    throw new GlyphpressError('GP_INPUT_ENCODING', {
      message: `${name} is not ${encoding}`,
      hint: `Name its encoding with --encoding: ${TEXT_ENCODINGS.join(', ')}.`,
      details: { file: name, encoding },
      cause,
    });
  }
}

/** What bytes 0x80 to 0x9f mean; all others are the code point of the same number. */
const WINDOWS_1252_HIGH = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/** By hand: the decoder of some Node versions reads those bytes as control characters. */
function decodeWindows1252(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[\u0080-\u009f]/g, (high) => WINDOWS_1252_HIGH[high.charCodeAt(0) - 0x80]!);
}

/** Where a strict decoder stops: it is fed byte by byte through the last kibibyte only. */
function firstInvalidByte(bytes: Buffer): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const step = 1024;
  for (let start = 0; ; start += step) {
    try {
      decoder.decode(bytes.subarray(start, start + step), { stream: start + step < bytes.length });
    } catch {
      return firstInvalidByteIn(
        bytes,
        Math.max(0, start - 4),
        Math.min(bytes.length, start + step),
      );
    }
  }
}

/**
 * The first position from which no well-formed character starts. What lies before the window is
 * well-formed, so continuation bytes at its start end a character that began there.
 */
function firstInvalidByteIn(bytes: Buffer, start: number, end: number): number {
  let at = start;
  while (start > 0 && at < end && (bytes[at]! & 0xc0) === 0x80 && at - start < 3) at++;
  while (at < end) {
    const length = [1, 2, 3, 4].find(
      (n) => at + n <= bytes.length && isUtf8(bytes.subarray(at, at + n)),
    );
    if (length === undefined) return at;
    at += length;
  }
  return at;
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
