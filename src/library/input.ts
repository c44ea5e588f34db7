/** What a program hands in as a document. */

import { readInputs } from '../pipeline/inputs/read-inputs.js';
import { decodeDocument, type SourceDocument } from '../pipeline/read-document.js';

/**
 * A file, folder, pattern or address; several of them, which become one document with named parts; or
 * a text that the program has already.
 */
export type DocumentInput = string | readonly string[] | { text: string; name?: string };

export interface InputOptions {
  /** Whether documents may be read from the net. @defaultValue false */
  allowUrl?: boolean;
  signal?: AbortSignal;
}

/** @throws {GlyphpressError} GP_INPUT_… for what cannot be read; the signal's reason */
export async function readInput(
  input: DocumentInput,
  { allowUrl = false, signal = new AbortController().signal }: InputOptions,
): Promise<SourceDocument> {
  if (typeof input === 'object' && 'text' in input)
    return decodeDocument(Buffer.from(input.text), input.name ?? 'the text');
  const { document } = await readInputs(typeof input === 'string' ? [input] : input, {
    signal,
    allowUrl,
  });
  return document;
}
