/** One line of a page: the drawn text compared with the text that the reader sees. */

import { type Edit, editScript } from './edit-script.js';

export interface ProofLine {
  /** Of the source, white space collapsed. */
  characters: number;
  edits: Edit[];
  /** Source range from the first wrong character to the last, to whole words; null without errors. */
  wrong: { start: number; end: number } | null;
}

/**
 * White space counts as one space, at the ends as none: a line break on a page is a space in the source
 * or nothing.
 *
 * @param start where the line starts in the source
 * @param end where it ends
 */
export function proofLine(source: string, start: number, end: number, read: string): ProofLine {
  const { characters, offsets } = collapse(source, start, end);
  const seen = [...read.replace(/\s+/g, ' ').trim()];
  const edits = editScript(characters, seen);
  return { characters: characters.length, edits, wrong: stretchOf(edits, characters, offsets) };
}

function collapse(source: string, start: number, end: number) {
  const characters: string[] = [];
  const offsets: number[] = [];
  let at = start;
  for (const character of source.slice(start, end)) {
    const isSpace = /\s/.test(character);
    if (!isSpace || (characters.length > 0 && characters.at(-1) !== ' ')) {
      characters.push(isSpace ? ' ' : character);
      offsets.push(at);
    }
    at += character.length;
  }
  if (characters.at(-1) === ' ') {
    characters.pop();
    offsets.pop();
  }
  return { characters, offsets };
}

function stretchOf(
  edits: readonly Edit[],
  characters: readonly string[],
  offsets: readonly number[],
): ProofLine['wrong'] {
  if (edits.length === 0 || characters.length === 0) return null;
  let first = Math.min(edits[0]!.at, characters.length - 1);
  let last = Math.min(edits.at(-1)!.at, characters.length - 1);
  while (first > 0 && characters[first - 1] !== ' ') first--;
  while (last < characters.length - 1 && characters[last + 1] !== ' ') last++;
  return { start: offsets[first]!, end: offsets[last]! + characters[last]!.length };
}
