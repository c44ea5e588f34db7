/** An answer and a question → a score. */

import { finalAnswer } from '../pipeline/citing/final-answer.js';
import {
  type CharacterErrors,
  characterErrors,
  continuationErrors,
} from './metrics/character-error.js';
import { exactMatch } from './metrics/exact-match.js';
import { f1 } from './metrics/f1.js';
import { namedValue, requiredWords, verdictMatch } from './metrics/judged-answer.js';
import { saysNotFound } from './metrics/not-found.js';
import { sequenceMatch } from './metrics/sequence-match.js';
import { stringMatchAll, stringMatchPart } from './metrics/string-match.js';
import { valueMatch, valuesMatch } from './metrics/value-match.js';

export interface Score {
  /** 0 (wrong) to 1 (right). */
  value: number;
  /** The answer says that the text does not hold what was asked for. */
  notFound: boolean;
  /** For transcriptions. */
  errors?: CharacterErrors;
}

interface Reference {
  expected: readonly string[];
  wrong?: readonly string[];
  atLeast?: number;
}

type Metric = (answer: string, reference: Reference) => number | CharacterErrors;

/** Each gives a share from 0 to 1, or errors, of which 1 − rate is the share. */
const METRICS = {
  exactMatch: (answer, { expected }) => exactMatch(answer, expected),
  f1: (answer, { expected }) => f1(answer, expected),
  stringMatchAll: (answer, { expected }) => stringMatchAll(answer, expected),
  stringMatchPart: (answer, { expected }) => stringMatchPart(answer, expected),
  /** The second expected string, if any, must start the answer and does not count. */
  sequenceMatch: (answer, { expected: [text, prefix] }) => sequenceMatch(answer, text!, prefix),
  characterErrorRate: (answer, { expected }) => characterErrors(answer, expected[0]!),
  /** The second expected string, if any, is what was to be continued and may be repeated first. */
  continuation: (answer, { expected: [text, quotation] }) =>
    continuationErrors(answer, text!, quotation),
  value: (answer, { expected, wrong }) =>
    Math.max(0, ...expected.map((value) => valueMatch(answer, value, wrong))),
  values: (answer, { expected }) => valuesMatch(answer, expected),
  /** Any of the forms, however numbers, dates and words are written. */
  namedValue: (answer, { expected, wrong }) => namedValue(answer, expected, wrong),
  /** Each expected string is a group of ways to say one thing, with `|` between them. */
  requiredWords: (answer, { expected, wrong, atLeast }) =>
    requiredWords(answer, expected, wrong, atLeast),
  /** The first expected string is yes or no, the others say the same in other words. */
  verdict: (answer, { expected: [verdict, ...phrases] }) => verdictMatch(answer, verdict!, phrases),
  notFound: (answer) => (saysNotFound(answer) ? 1 : 0),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;
export const METRIC_NAMES = Object.keys(METRICS) as MetricName[];

export function scoreAnswer(metric: MetricName, answer: string, reference: Reference): Score {
  const said = finalAnswer(answer);
  const measured = (METRICS[metric] as Metric)(said, reference);
  const notFound = saysNotFound(said);
  if (typeof measured === 'number') return { value: measured, notFound };
  const { edits, characters } = measured;
  return { value: Math.max(0, 1 - edits / Math.max(1, characters)), notFound, errors: measured };
}
