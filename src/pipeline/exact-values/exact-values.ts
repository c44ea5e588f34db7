/**
 * Values in a text that must be right to the character: identifiers, hashes, UUIDs, amounts, dates,
 * e-mail addresses, URLs, numbers. Dense pages lose these first.
 *
 * Linear time: the text is cut into pieces by character classes, and every test on a piece is anchored,
 * bounded, and has no two ways to match.
 */

import { phraseAt } from './phrases.js';
import { pieceKind } from './piece-kinds.js';
import { blocksOf, type Pieces } from './pieces.js';

export const VALUE_KINDS = [
  'url',
  'email',
  'uuid',
  'hash',
  'date',
  'amount',
  'identifier',
  'number',
] as const;
export type ExactValueKind = (typeof VALUE_KINDS)[number];

export interface ExactValue {
  kind: ExactValueKind;
  value: string;
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
}

const LONGEST_URL = 2_048;

const URL = /\b(?:https?|ftp|wss?):\/\/[^\s"'<>`\\^{}|]+/gi;

/**
 * All exact values of a text in order of their place. None overlap; every occurrence is listed.
 */
export function exactValues(text: string): ExactValue[] {
  const found: ExactValue[] = [];
  let at = 0;
  for (const match of text.matchAll(URL)) {
    scanPieces(text, at, match.index, found);
    const url = trimUrl(match[0]);
    at = match.index + url.length;
    if (url.length <= LONGEST_URL)
      found.push({ kind: 'url', value: url, start: match.index, end: at });
  }
  scanPieces(text, at, text.length, found);
  return found;
}

function scanPieces(text: string, from: number, to: number, found: ExactValue[]): void {
  for (const pieces of blocksOf(text, from, to)) scanBlock(text, pieces, found);
}

/** Classifies the pieces of a block; a value may take in the pieces behind it. */
function scanBlock(text: string, pieces: Pieces, found: ExactValue[]): void {
  for (let at = 0; at < pieces.list.length; at++) {
    const taken = valueAt(pieces, at);
    if (!taken) continue;
    const [start, end] = [pieces.list[at]!.start, pieces.list[taken.last]!.end];
    const before = found.at(-1);
    if (before && before.end > start) continue;
    found.push({ kind: taken.kind, value: text.slice(start, end), start, end });
    at = taken.last;
  }
}

function valueAt(pieces: Pieces, at: number): { kind: ExactValueKind; last: number } | null {
  const phrase = phraseAt(pieces, at);
  if (phrase) return phrase;
  const kind = pieceKind(pieces.word(at));
  return kind && { kind, last: at };
}

/** What ends a sentence or closes a bracket that the URL does not open is not part of it. */
function trimUrl(url: string): string {
  let end = url.length;
  for (; end > 0; end--) {
    const last = url[end - 1]!;
    if (',.;:!?*'.includes(last)) continue;
    if (last === ')' && !url.slice(0, end).includes('(')) continue;
    if (last === ']' && !url.slice(0, end).includes('[')) continue;
    break;
  }
  return url.slice(0, end);
}
