/** T, the tokens that the plain text would have cost. */

import { createRequire } from 'node:module';
import type * as O200kBase from 'gpt-tokenizer/encoding/o200k_base';

const require = createRequire(import.meta.url);

export const DEFAULT_TEXT_TOKENIZER = 'o200k_base';

/** Merging is quadratic on a long run without a break; such runs are counted in pieces. */
const PIECE_CHARACTERS = 4_096;

/**
 * Tokens of a text in o200k_base. Text is counted in pieces that end at white space, so the count
 * may exceed that of one piece by a token per 4,096 characters at most.
 */
export function countTextTokens(text: string): number {
  // Loaded late: its tables take a tenth of a second, and a stored context needs none of them.
  const { encodeGenerator } = require('gpt-tokenizer/encoding/o200k_base') as typeof O200kBase;
  let count = 0;
  for (const piece of pieces(text)) {
    for (const tokens of encodeGenerator(piece, { disallowedSpecial: new Set() }))
      count += tokens.length;
  }
  return count;
}

function* pieces(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = Math.min(text.length, start + PIECE_CHARACTERS);
    if (end < text.length) {
      const space = lastSpace(text, start, end);
      end = space > start ? space : end;
      if (isLowSurrogate(text.charCodeAt(end))) end++;
    }
    yield text.slice(start, end);
    start = end;
  }
}

/** Words carry the space before them, so a cut goes before the space. */
function lastSpace(text: string, start: number, end: number): number {
  for (let at = end - 1; at > start; at--) if (text[at] === ' ' || text[at] === '\n') return at;
  return start;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
