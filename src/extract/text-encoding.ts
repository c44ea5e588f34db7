/** Bytes of a plain text → characters: the encoding is stated, or detected from the bytes. */

import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import type * as Chardet from 'chardet';
import { GlyphpressError } from '../errors.js';

const require = createRequire(import.meta.url);

/** Encodings that can be stated; without one they are detected. Names of the WHATWG encoding standard. */
export const TEXT_ENCODINGS = [
  'utf-8',
  'utf-16le',
  'utf-16be',
  'windows-1252',
  'windows-1250',
  'windows-1251',
  'windows-1253',
  'windows-1254',
  'windows-1255',
  'windows-1256',
  'iso-8859-2',
  'iso-8859-5',
  'iso-8859-7',
  'koi8-r',
  'shift_jis',
  'euc-jp',
  'gb18030',
  'big5',
  'euc-kr',
] as const;
export type TextEncoding = (typeof TEXT_ENCODINGS)[number];

export interface DecodedText {
  text: string;
  encoding: TextEncoding;
  /** The bytes alone do not prove the encoding: it is the likeliest one. */
  guessed: boolean;
}

/** What is looked at to tell text from binary data, and one encoding from another. */
const SAMPLE_BYTES = 64 * 1024;

/**
 * Without `encoding`: a byte order mark decides, else UTF-8 where the bytes are valid UTF-8, else UTF-16
 * by the places of its zero bytes, else the likeliest 8-bit or East Asian encoding (chardet).
 *
 * @throws {GlyphpressError} GP_INPUT_ENCODING for bytes that are not in the stated encoding, or that are
 *   UTF-8 but for a few damaged places; GP_INPUT_FORMAT for binary data
 */
export function decodeText(bytes: Buffer, name: string, encoding?: TextEncoding): DecodedText {
  if (encoding !== undefined)
    return { text: decodeAs(bytes, name, encoding), encoding, guessed: false };
  const detected = detectEncoding(bytes, name);
  return { text: decodeAs(bytes, name, detected.encoding), ...detected };
}

function detectEncoding(bytes: Buffer, name: string): Omit<DecodedText, 'text'> {
  const certain = (encoding: TextEncoding) => ({ encoding, guessed: false });
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return certain('utf-16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return certain('utf-16be');
  const sample = bytes.subarray(0, SAMPLE_BYTES);
  if (sample.includes(0)) {
    const wide = unmarkedUtf16(sample);
    if (wide) return { encoding: wide, guessed: true };
    throw binary(name);
  }
  if (isUtf8(bytes)) return certain('utf-8');
  if (controlShare(sample) > MAX_CONTROL_SHARE) throw binary(name);
  if (isDamagedUtf8(bytes)) throw invalidUtf8(bytes, name);
  return { encoding: likeliestEncoding(bytes), guessed: true };
}

/** Text has tabs, line ends and now and then an escape; compressed data has a tenth of all control codes. */
const MAX_CONTROL_SHARE = 0.02;

function controlShare(sample: Buffer): number {
  let count = 0;
  for (const byte of sample) {
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0c && byte !== 0x0d) count++;
  }
  return count / Math.max(1, sample.length);
}

/** Zero bytes in one half of each pair only, and characters that a text is made of. */
function unmarkedUtf16(sample: Buffer): TextEncoding | null {
  const even = sample.subarray(0, sample.length & ~1);
  let [first, second] = [0, 0];
  for (let at = 0; at < even.length; at += 2) {
    if (even[at] === 0) first++;
    if (even[at + 1] === 0) second++;
  }
  if (Math.min(first, second) > 0.05 * Math.max(first, second)) return null;
  const encoding = second > first ? 'utf-16le' : 'utf-16be';
  // A character may be cut in two at the end of the sample.
  const text = new TextDecoder(encoding).decode(even).replace(/\ufffd$/, '');
  const strange = text.match(/[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Z}\t\r\n\f]|\ufffd/gu)?.length ?? 0;
  return strange <= 0.02 * text.length ? encoding : null;
}

/** More characters of several bytes than wrong ones: UTF-8 that something broke, and no other encoding. */
function isDamagedUtf8(bytes: Buffer): boolean {
  const text = new TextDecoder().decode(bytes);
  const wrong = text.match(/\ufffd/g)?.length ?? 0;
  const right = text.match(/[\u0080-\ufffc]|[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0;
  return right > 2 * wrong;
}

/** Western encodings that differ from windows-1252 in a handful of letters or in nothing. */
const WESTERN = new Set([
  'iso-8859-1',
  'iso-8859-9',
  'iso-8859-15',
  'windows-1252',
  'windows-1254',
]);
/** By so much another encoding must be likelier than a western one, of 100. */
const CLEARLY_LIKELIER = 15;
const MIN_CONFIDENCE = 25;

function likeliestEncoding(bytes: Buffer): TextEncoding {
  const { analyse } = require('chardet') as typeof Chardet;
  // The part that has the most to say begins with the first byte that is not ASCII.
  const first = Math.max(0, bytes.findIndex((byte) => byte > 0x7f) - 1_024);
  const matches = analyse(bytes.subarray(first, first + SAMPLE_BYTES)).map(
    ({ name, confidence }) => ({ name: name.toLowerCase(), confidence }),
  );
  const western = Math.max(
    0,
    ...matches.filter(({ name }) => WESTERN.has(name)).map(({ confidence }) => confidence),
  );
  for (const { name, confidence } of matches) {
    if (WESTERN.has(name) || confidence < Math.max(MIN_CONFIDENCE, western + CLEARLY_LIKELIER))
      continue;
    const known = TEXT_ENCODINGS.find((encoding) => encoding === name);
    if (known && known !== 'utf-8') return known;
  }
  return 'windows-1252';
}

function decodeAs(bytes: Buffer, name: string, encoding: TextEncoding): string {
  if (encoding === 'utf-8') {
    if (!isUtf8(bytes)) throw invalidUtf8(bytes, name);
    return new TextDecoder().decode(bytes);
  }
  if (encoding === 'windows-1252') return decodeWindows1252(bytes);
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
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

function invalidUtf8(bytes: Buffer, name: string): GlyphpressError {
  const offset = firstInvalidByte(bytes);
  return new GlyphpressError('GP_INPUT_ENCODING', {
    message: `${name} is not UTF-8: byte ${offset} is 0x${bytes[offset]!.toString(16).padStart(2, '0')}`,
    hint: 'Repair or convert it, or name its encoding: --encoding windows-1252.',
    details: { file: name, offset },
  });
}

function binary(name: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `${name} is binary data, not text`,
    hint: 'Read are text, Markdown, HTML, PDF, DOCX, EPUB and source code. If it is text, name its encoding with --encoding.',
    details: { file: name },
  });
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
