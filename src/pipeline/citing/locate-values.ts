/**
 * Where a text says in other words what an answer says: sentences and lines that hold the answer's values
 * (numbers, dates however written, names) and speak of what the question asks.
 */

import { sentencesOf, unitsOf } from '../expanding/text-units.js';
import { hasPhrase, plainWords } from '../plain-words.js';
import { tellingStems } from '../telling-words.js';
import type { Located } from './locate-answer.js';

/** Of the question's telling words at least this share stands in the sentence. */
const MIN_ASKED = 0.5;
/** More values than this are a list, and no statement. */
const MAX_VALUES = 6;
const MAX_PLACES = 3;
/** Of a stem, to be looked for in any form. */
const STEM_LETTERS = 4;

const MONTH =
  /^(?:january|february|march|april|may|june|july|august|september|october|november|december)$/;
/** Capital letters within a sentence; its first word has one of its own accord. */
const NAME = /(?<=[\p{L}\p{N},;:)] )\p{Lu}[\p{L}\p{N}'’-]+(?: \p{Lu}[\p{L}\p{N}'’-]+)*/gu;

/**
 * @returns the places that hold all values of the answer between them, the likeliest first; empty where
 *   it has none, or one of them stands nowhere beside the question's words
 */
export function locateValues(answer: string, question: string, source: string): Located[] {
  const values = newValues(answer, question);
  if (values.length === 0 || values.length > MAX_VALUES) return [];
  const asked = tellingStems(question);
  const said = tellingStems(answer);
  const sentences = unitsOf(source).flatMap((unit) => sentencesOf(source, unit));
  const places = sentences.flatMap(({ start, end }) => {
    const text = source.slice(start, end);
    if (!mayHoldAny(text, asked)) return [];
    const stems = tellingStems(text);
    const near = shareIn(stems, asked);
    if (near < MIN_ASKED) return [];
    const words = plainWords(text);
    const held = values.filter((value) => hasPhrase(words, value));
    if (held.length === 0) return [];
    const whole = shareIn(stems, said);
    const score = 0.7 * (held.length / values.length) + 0.1 * whole + 0.2 * near;
    return [{ start, end, held, score: Math.round(1000 * score) / 1000 }];
  });
  const best = places.sort((a, b) => b.score - a.score || a.start - b.start).slice(0, MAX_PLACES);
  const isHeld = (value: string) => best.some(({ held }) => held.includes(value));
  if (!values.every(isHeld)) return [];
  const needed = best[0]!.held.length === values.length ? best.slice(0, 1) : best;
  return needed.map(({ start, end, score }) => ({ start, end, score }));
}

/** 0 of none: what asks nothing chooses no place. */
function shareIn(stems: ReadonlySet<string>, wanted: ReadonlySet<string>): number {
  const held = [...wanted].filter((word) => stems.has(word));
  return held.length / Math.max(1, wanted.size);
}

/** Numbers, dates and names of the answer that the question does not say. */
function newValues(answer: string, question: string): string[] {
  const asked = plainWords(question);
  const names = [...answer.matchAll(NAME)].map(([name]) => name);
  const values = [...numbersAndDates(plainWords(answer)), ...names];
  return [...new Set(values)].filter((value) => !hasPhrase(asked, value));
}

/** "2 october 2018" is one value. */
function numbersAndDates(words: readonly string[]): string[] {
  const values: string[] = [];
  let run: string[] = [];
  for (const word of [...words, '']) {
    const isPart = /\d/.test(word) || MONTH.test(word);
    const isDate = run.some((part) => MONTH.test(part)) || MONTH.test(word);
    if (isPart && (run.length === 0 || isDate)) {
      run.push(word);
      continue;
    }
    if (run.some((part) => /\d/.test(part))) values.push(run.join(' '));
    run = isPart ? [word] : [];
  }
  return values;
}

/** A quick look before the words are counted. */
function mayHoldAny(text: string, stems: ReadonlySet<string>): boolean {
  const small = text.toLowerCase();
  for (const stem of stems) {
    if (/\d/.test(stem) || small.includes(stem.slice(0, STEM_LETTERS))) return true;
  }
  return false;
}
