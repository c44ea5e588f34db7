/** The parts that a question is likely about, by its words. */

import { LexicalIndex, type Passage } from '../lexical-index.js';
import type { TextRange } from './split-document.js';

/** A part is as good as its best passage: a long part mentions everything somewhere. */
const PASSAGE_CHARACTERS = 1_200;

export interface RankedPart {
  /** Of the part, from 0. */
  index: number;
  /** Of its best passage; 0 where it holds no word of the question. */
  score: number;
}

/** All parts, the likeliest first; those of equal score in their order. */
export async function rankParts(
  source: string,
  parts: readonly TextRange[],
  question: string,
): Promise<RankedPart[]> {
  const passages: (Passage & { part: number })[] = [];
  for (const [part, { start, end }] of parts.entries()) {
    // Half of each is the first half of the next: no sentence is torn in all of them.
    for (let at = start; at < end; at += PASSAGE_CHARACTERS / 2)
      passages.push({ part, start: at, end: Math.min(end, at + PASSAGE_CHARACTERS) });
  }
  const scores = parts.map(() => 0);
  const found = (await LexicalIndex.inSteps(source, passages)).find(question);
  for (const { index, score } of found) {
    const { part } = passages[index]!;
    scores[part] = Math.max(scores[part]!, score);
  }
  return scores
    .map((score, index) => ({ index, score }))
    .sort((a, b) => b.score - a.score || a.index - b.index);
}
