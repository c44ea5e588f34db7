/** Whether the exact values of an answer stand in what was read for it. */

import { finalAnswer } from '../citing/final-answer.js';
import { exactValues } from '../exact-values/exact-values.js';

/**
 * `read`: all of them stand in the text that was read; `elsewhere`: in the document, but some not in that
 * text; `none`: some stand nowhere. Null where the answer has none, so that nothing can be said.
 */
export type AnswerSupport = 'read' | 'elsewhere' | 'none' | null;

/** Shorter values may be counted or reckoned instead of copied ("2 gates"). */
const MIN_COPIED = 4;

/** What is left of the confidence in a value that stands nowhere. */
const UNSUPPORTED_CONFIDENCE = 0.1;

export function supportOf(
  answer: string,
  question: string,
  read: string,
  source: string,
): AnswerSupport {
  const asked = question.toLowerCase();
  const values = exactValues(finalAnswer(answer))
    .map(({ value }) => value)
    .filter((value) => value.length >= MIN_COPIED && !asked.includes(value.toLowerCase()));
  if (values.length === 0) return null;
  if (values.every((value) => holds(read, value))) return 'read';
  return values.every((value) => holds(source, value)) ? 'elsewhere' : 'none';
}

/** A value that stands nowhere is no answer of the document's. */
export function withSupport<Reply extends { found: boolean; confidence: number | null }>(
  answer: Reply,
  support: AnswerSupport,
): Reply {
  if (support !== 'none') return answer;
  const { confidence } = answer;
  return {
    ...answer,
    found: false,
    confidence: confidence === null ? null : confidence * UNSUPPORTED_CONFIDENCE,
  };
}

/** The value as it is, in its case, and not as a part of a longer word or number. */
function holds(text: string, value: string): boolean {
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
    if (!isWord(text[at - 1]) && !isWord(text[at + value.length])) return true;
  }
  return false;
}

const isWord = (character = '') => /[\p{L}\p{N}]/u.test(character);
