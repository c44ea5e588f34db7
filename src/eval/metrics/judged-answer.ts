/**
 * Answers in people's words: a value in any of its forms, a yes or no, a list or summary by what it must
 * and must not say. Each gives 1 or 0. An answer that says "not found" is never right, and of a long one
 * the first {@link JUDGED_WORDS} words count, so that copying the page out answers nothing.
 */

import { saysNotFound } from './not-found.js';
import { hasPhrase, plainWords } from './plain-words.js';

export const JUDGED_WORDS = 150;

/** @param forms in any of which the value may be given @param wrong values, one of which spoils the answer */
export function namedValue(
  answer: string,
  forms: readonly string[],
  wrong: readonly string[] = [],
): number {
  const words = judgedWords(answer);
  const names = (form: string) => hasPhrase(words, form);
  return forms.some(names) && !wrong.some(names) ? 1 : 0;
}

/**
 * @param groups each the ways to say one thing, with `|` between them
 * @param atLeast minimum number of groups that must be there @defaultValue all
 */
export function requiredWords(
  answer: string,
  groups: readonly string[],
  forbidden: readonly string[] = [],
  atLeast = groups.length,
): number {
  const words = judgedWords(answer);
  const said = groups.filter((group) => group.split('|').some((way) => hasPhrase(words, way)));
  return said.length >= atLeast && !forbidden.some((phrase) => hasPhrase(words, phrase)) ? 1 : 0;
}

export type Verdict = 'yes' | 'no';

/**
 * A yes or no by the first word; without one, by a phrase that settles it (the sentence of the text that
 * does, for example), by a negation, or by a word of consent.
 *
 * @param phrases that mean the verdict
 */
export function verdictMatch(
  answer: string,
  verdict: string,
  phrases: readonly string[] = [],
): number {
  const words = plainWords(answer).slice(0, JUDGED_WORDS);
  const said = verdictOf(words);
  if (said.sure) return said.verdict === verdict ? 1 : 0;
  if (saysNotFound(answer)) return 0;
  if (phrases.some((phrase) => hasPhrase(words, phrase))) return 1;
  return said.verdict === verdict ? 1 : 0;
}

const YES = ['yes', 'yeah', 'yep', 'certainly', 'correct', 'indeed', 'true', 'absolutely'];
const NO = ['no', 'nope', 'never', 'false', 'neither'];
const DENIALS = [
  ...['not', 'never', 'cannot', 'cant', 'dont', 'doesnt', 'didnt', 'isnt', 'arent', 'wasnt'],
  ...['werent', 'wont', 'mustnt', 'shouldnt', 'neither', 'nobody', 'none', 'nothing'],
  ...['forbidden', 'prohibited', 'refused', 'banned', 'no'],
];
const CONSENT = [
  ...['may', 'can', 'allowed', 'permitted', 'possible', 'welcome', 'fine', 'ok', 'okay', 'safe'],
  ...['does', 'did', 'is', 'are', 'was', 'were', 'has', 'have', 'must'],
];

function verdictOf(words: readonly string[]): { verdict: Verdict | null; sure: boolean } {
  const first = words[0] ?? '';
  if (YES.includes(first)) return { verdict: 'yes', sure: true };
  if (NO.includes(first)) return { verdict: 'no', sure: true };
  if (words.some((word) => DENIALS.includes(word))) return { verdict: 'no', sure: false };
  const consents = words.some((word) => CONSENT.includes(word));
  return { verdict: consents ? 'yes' : null, sure: false };
}

function judgedWords(answer: string): string[] {
  return saysNotFound(answer) ? [] : plainWords(answer).slice(0, JUDGED_WORDS);
}
