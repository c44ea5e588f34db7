/** Bytes of a document → its text. */

import { GlyphpressError } from '../errors.js';
import { readFileText } from '../extract/read-file.js';
import { TEXT_ENCODINGS, type TextEncoding } from '../extract/text-encoding.js';

/** Raised whenever the same bytes would give another text. */
export const EXTRACTOR_VERSION = 2;

export interface ExtractOptions {
  mediaType: string;
  /** For messages. */
  name: string;
  encoding?: string;
  signal: AbortSignal;
}

/** @throws {GlyphpressError} as {@link readFileText} */
export async function extractText(file: string, options: ExtractOptions): Promise<string> {
  const { mediaType, name, signal } = options;
  const encoding = encodingOf(options.encoding);
  return (await readFileText(file, { mediaType, name, signal, ...(encoding && { encoding }) }))
    .text;
}

export function encodingOf(name: string | undefined): TextEncoding | undefined {
  if (name === undefined) return undefined;
  const known = TEXT_ENCODINGS.find((encoding) => encoding === name.toLowerCase());
  if (known) return known;
  throw new GlyphpressError('GP_REQUEST', {
    message: `There is no encoding "${name}"`,
    hint: `Give one of ${TEXT_ENCODINGS.join(', ')}, or leave it out to have it detected.`,
    details: { param: 'encoding', allowed: TEXT_ENCODINGS },
  });
}
