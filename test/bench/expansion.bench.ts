/**
 * How often do the passages that a question's words point to hold its answer? The natural suite, by budget
 * of text tokens and length of document: what `--expand lexical` could answer at best, whoever reads.
 */
import { expect, it } from 'vitest';
import { hasPhrase, plainWords } from '../../src/eval/metrics/plain-words.js';
import { readNaturalSuite } from '../../src/eval/natural/natural-suite.js';
import { expandPlaces } from '../../src/pipeline/expanding/expand-places.js';
import { LexicalPlaces } from '../../src/pipeline/expanding/lexical-places.js';
import { unitsOf } from '../../src/pipeline/expanding/text-units.js';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
import { emit } from './measure.js';

const BUDGETS = [100, 200, 300, 400, 800];
const LONG_DOCUMENT = 4_000;

function holds(text: string, forms: readonly string[]): boolean {
  const words = plainWords(text);
  return forms.some((form) => hasPhrase(words, form));
}

it('passages that hold the answer', { timeout: 600_000 }, () => {
  const held = new Map<string, boolean[]>();
  for (const { text, textTokens, questions } of readNaturalSuite()) {
    const units = unitsOf(text);
    const lexical = new LexicalPlaces(text, units);
    for (const { question, answers, absent } of questions) {
      if (!answers || absent) continue;
      const places = lexical.find(question);
      for (const budget of BUDGETS) {
        const passages = expandPlaces(text, places, {
          budget,
          countTokens: countTextTokens,
          units,
        });
        const key = `${textTokens < LONG_DOCUMENT ? 'short' : 'long'} ${budget}`;
        const before = held.get(key) ?? [];
        held.set(key, [...before, holds(passages.text, answers)]);
      }
    }
  }
  for (const [key, hits] of held) {
    const [documents, budget] = key.split(' ');
    const share = hits.filter(Boolean).length / hits.length;
    emit({ bench: 'expansion', documents, budget: Number(budget), questions: hits.length, share });
  }
  expect(held.size).toBe(2 * BUDGETS.length);
});
