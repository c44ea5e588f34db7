/**
 * How often do the passages that a question points to hold its answer: by its words, by its meaning, by both?
 * The natural suite, by budget of text tokens and length of document: what `--expand` could answer at best,
 * whoever reads. EXPANSION_DOCUMENTS names more, as `python -m reader.questions.written --export FILE` writes them.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { hasPhrase, plainWords } from '../../src/eval/metrics/plain-words.js';
import { readNaturalSuite } from '../../src/eval/natural/natural-suite.js';
import { expandPlaces } from '../../src/pipeline/expanding/expand-places.js';
import { LexicalPlaces } from '../../src/pipeline/expanding/lexical-places.js';
import { blend, MeaningPlaces } from '../../src/pipeline/expanding/meaning-places.js';
import { unitsOf } from '../../src/pipeline/expanding/text-units.js';
import { ROOT } from '../support/repository.js';
import { emit } from './measure.js';
import { fuse, readWords } from './word-meaning.js';

const BUDGETS = [60, 100, 150, 200, 300, 400, 800];
/** `meaning` alone, `fused` by ranks; `semantic` is what `--expand semantic` does. */
const WAYS = ['lexical', 'meaning', 'fused', 'semantic'] as const;
const LONG_DOCUMENT = 4_000;
const FUSION_K = 10;
/** Written documents are short: so many of them are one text, asked so many of their questions at even distances. */
const TOGETHER = 10;
const QUESTIONS_OF_EACH = 12;

interface Asked {
  question: string;
  isHeldBy: (passages: string) => boolean;
}

interface Text {
  set: string;
  text: string;
  asked: Asked[];
}

function holds(text: string, forms: readonly string[]): boolean {
  const words = plainWords(text);
  return forms.some((form) => hasPhrase(words, form));
}

/** Values where there are some, else the sentence that decides. */
function naturalTexts(): Text[] {
  return readNaturalSuite().map(({ text, textTokens, questions }) => ({
    set: textTokens < LONG_DOCUMENT ? 'natural, short' : 'natural, long',
    text,
    asked: questions.flatMap(({ question, answers, evidence, absent }) => {
      const forms = absent ? [] : (answers ?? (evidence ? [evidence] : []));
      return forms.length > 0
        ? [{ question, isHeldBy: (passages: string) => holds(passages, forms) }]
        : [];
    }),
  }));
}

interface Written {
  text: string;
  questions: { question: string; value: string }[];
}

function writtenTexts(file: string | undefined): Text[] {
  if (file === undefined) return [];
  const documents = JSON.parse(readFileSync(file, 'utf8')) as Written[];
  return Array.from({ length: Math.ceil(documents.length / TOGETHER) }, (_, n) => {
    const these = documents.slice(n * TOGETHER, (n + 1) * TOGETHER);
    const text = these.map((one) => one.text).join('\n\n');
    const questions = these
      .flatMap((one) => one.questions)
      // A value that stands twice may be found at the wrong place.
      .filter(({ value }) => text.split(value).length === 2);
    const step = Math.max(1, Math.floor(questions.length / QUESTIONS_OF_EACH));
    return {
      set: 'written',
      text,
      asked: questions
        .filter((_, i) => i % step === 0)
        .slice(0, QUESTIONS_OF_EACH)
        .map(({ question, value }) => ({
          question,
          isHeldBy: (passages) => passages.includes(value),
        })),
    };
  });
}

it('passages that hold the answer', { timeout: 1_800_000 }, async () => {
  const words = readWords(path.join(ROOT, 'models/reader'));
  const held = new Map<string, boolean[]>();
  for (const { set, text, asked } of [
    ...naturalTexts(),
    ...writtenTexts(process.env.EXPANSION_DOCUMENTS),
  ]) {
    const units = unitsOf(text);
    const lexical = new LexicalPlaces(text, units);
    const meaning = await MeaningPlaces.of(text, units, words.vectorsOf);
    for (const { question, isHeldBy } of asked) {
      const byWords = lexical.find(question);
      const byMeaning = await meaning.find(question);
      const places = {
        lexical: byWords,
        meaning: byMeaning,
        fused: fuse([byWords, byMeaning], FUSION_K),
        semantic: blend(byWords, byMeaning),
      };
      for (const way of WAYS) {
        for (const budget of BUDGETS) {
          const { countTokens } = words;
          const passages = expandPlaces(text, places[way], { budget, countTokens, units });
          const key = JSON.stringify([set, way, budget]);
          held.set(key, [...(held.get(key) ?? []), isHeldBy(passages.text)]);
        }
      }
    }
  }
  words.close();
  for (const [key, hits] of held) {
    const [documents, way, budget] = JSON.parse(key) as [string, string, number];
    const share = hits.filter(Boolean).length / hits.length;
    // Against words alone, question by question: how many it gains, and loses.
    const plain = held.get(JSON.stringify([documents, 'lexical', budget]))!;
    const gained = hits.filter((hit, i) => hit && !plain[i]).length;
    const lost = hits.filter((hit, i) => !hit && plain[i]).length;
    emit({
      ...{ bench: 'expansion', documents, way, budget },
      ...{ questions: hits.length, share, gained, lost },
    });
  }
  expect(held.size).toBeGreaterThanOrEqual(2 * WAYS.length * BUDGETS.length);
});
