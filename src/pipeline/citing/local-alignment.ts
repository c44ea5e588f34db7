/**
 * The stretch of a text that is most like a part of an answer, by local alignment.
 *
 * Source: Smith and Waterman, "Identification of common molecular subsequences" (1981), with weights: what
 * is news in the answer counts three times as much as what the question said already.
 */
import { foldCode, SEPARATOR } from './text-folding.js';

/** A text as folded characters, runs of separators as one. */
export interface Glyphs {
  codes: readonly number[];
  /** Of each, in the text. */
  offsets: readonly number[];
}

/** A piece of an answer. */
export interface Part {
  glyphs: Glyphs;
  /** 1 for characters of words that the question does not say. */
  isNews: Uint8Array;
  /** How many they are. */
  news: number;
}

export interface Alignment {
  /** Offsets in the text that {@link glyphsOf} read. */
  start: number;
  end: number;
  /** Characters of the part that are there, in order; separators do not count. */
  matched: number;
  /** Of these, characters of the news. */
  newsMatched: number;
  /** Characters of the text between two that belong to one word of the news. */
  newsInterrupted: number;
}

export function glyphsOf(text: string, from: number, to: number): Glyphs {
  const codes: number[] = [];
  const offsets: number[] = [];
  for (let at = from; at < to; at += 1) {
    const code = foldCode(text.charCodeAt(at));
    if (code === SEPARATOR && (codes.length === 0 || codes.at(-1) === SEPARATOR)) continue;
    codes.push(code);
    offsets.push(at);
  }
  return { codes, offsets };
}

const NEWS = { match: 6, mismatch: -6, skip: -6 };
const OTHER = { match: 2, mismatch: -2, skip: -1 };
/** Of a character of the text. */
const TEXT_SKIP = -2;

const [STOP, BOTH, PART_ONLY, TEXT_ONLY] = [0, 1, 2, 3];

/** Cost: O(|part|·|text|) time and bytes. Null where nothing at all is alike. */
export function alignLocally({ glyphs, isNews }: Part, text: Glyphs): Alignment | null {
  const [rows, columns] = [glyphs.codes.length, text.codes.length];
  const moves = new Uint8Array((rows + 1) * (columns + 1));
  let above = new Int32Array(columns + 1);
  let scores = new Int32Array(columns + 1);
  let [bestScore, endRow, endColumn] = [0, 0, 0];
  for (let i = 1; i <= rows; i += 1) {
    const weights = isNews[i - 1] ? NEWS : OTHER;
    const code = glyphs.codes[i - 1];
    scores[0] = 0;
    for (let j = 1; j <= columns; j += 1) {
      const both = above[j - 1]! + (code === text.codes[j - 1] ? weights.match : weights.mismatch);
      const partOnly = above[j]! + weights.skip;
      const textOnly = scores[j - 1]! + TEXT_SKIP;
      const score = Math.max(0, both, partOnly, textOnly);
      scores[j] = score;
      moves[i * (columns + 1) + j] =
        score === 0 ? STOP : score === both ? BOTH : score === partOnly ? PART_ONLY : TEXT_ONLY;
      if (score > bestScore) [bestScore, endRow, endColumn] = [score, i, j];
    }
    [above, scores] = [scores, above];
  }
  if (bestScore === 0) return null;
  return follow(moves, { glyphs, isNews }, text, endRow, endColumn);
}

function follow(
  moves: Uint8Array,
  { glyphs, isNews }: Pick<Part, 'glyphs' | 'isNews'>,
  text: Glyphs,
  endRow: number,
  endColumn: number,
): Alignment | null {
  const columns = text.codes.length;
  let [i, j] = [endRow, endColumn];
  let first = -1;
  let last = -1;
  let matched = 0;
  let newsMatched = 0;
  let newsInterrupted = 0;
  for (
    let move = moves[i * (columns + 1) + j]!;
    move !== STOP;
    move = moves[i * (columns + 1) + j]!
  ) {
    if (move === BOTH) {
      i -= 1;
      j -= 1;
      if (glyphs.codes[i] !== text.codes[j]) continue;
      if (text.codes[j] === SEPARATOR) continue;
      matched += 1;
      newsMatched += isNews[i]!;
      first = j;
      if (last < 0) last = j;
    } else if (move === PART_ONLY) i -= 1;
    else {
      j -= 1;
      if (isNews[i - 1] === 1 && isNews[i] === 1) newsInterrupted += 1;
    }
  }
  if (first < 0) return null;
  return {
    start: text.offsets[first]!,
    end: text.offsets[last]! + 1,
    matched,
    newsMatched,
    newsInterrupted,
  };
}
