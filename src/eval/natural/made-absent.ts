/**
 * Questions that a text does not answer, made of those that it does: the sentences that answer are taken
 * out, or the question is asked of another text. People write few such questions, and a chance to be right
 * cannot be fitted on answers that are never invented.
 */

import { unitsOf } from '../../pipeline/expanding/text-units.js';
import { hasPhrase, plainWords } from '../../pipeline/plain-words.js';
import type { EvalDocument, EvalQuestion } from '../task.js';

/** Questions that each document is asked of the one behind it. */
const FOREIGN_QUESTIONS = 2;
/** A text of which more would have to go speaks of nothing else. */
const MAX_TAKEN_SHARE = 1 / 3;

/**
 * @param documents with questions that they answer; their ids stand before the `#` of those that are made
 * @returns one for each text that is asked, to be read as passages
 */
export function madeAbsent(documents: readonly EvalDocument[]): EvalDocument[] {
  return [...documents.flatMap(withoutAnswers), ...documents.flatMap(ofTheNext)];
}

function withoutAnswers(document: EvalDocument): EvalDocument[] {
  return document.questions.flatMap((question, n) => {
    const forms = formsOf(question);
    const text = forms && withoutUnits(document.text, (words) => forms.some(saidIn(words)));
    return text ? [madeOf(document, `cut-${n + 1}`, text, [question])] : [];
  });
}

function ofTheNext(document: EvalDocument, at: number, all: readonly EvalDocument[]) {
  const next = all[(at + 1) % all.length]!;
  const words = plainWords(document.text);
  const unanswered = next.questions.filter((question) => {
    const forms = formsOf(question);
    return next !== document && forms !== null && !forms.some(saidIn(words));
  });
  const chosen = unanswered.slice(0, FOREIGN_QUESTIONS);
  return chosen.length === 0 ? [] : [madeOf(document, 'foreign', document.text, chosen)];
}

function madeOf(
  { id, group, rendering }: EvalDocument,
  made: string,
  text: string,
  questions: readonly EvalQuestion[],
): EvalDocument {
  return {
    id: `${id}#${made}`,
    group,
    rendering,
    text,
    pages: null,
    as: 'passages',
    questions: questions.map(({ depth: _, wrong: __, ...question }) => ({
      ...question,
      id: `${id}#${made} ${question.id}`,
      expected: [],
      metric: 'notFound',
    })),
  };
}

/** Any of which would answer; null for a question that no words settle. */
function formsOf({ metric, expected }: EvalQuestion): string[] | null {
  if (metric === 'requiredWords') return expected.flatMap((group) => group.split('|'));
  return metric === 'value' || metric === 'namedValue' ? [...expected] : null;
}

const saidIn = (words: readonly string[]) => (form: string) => hasPhrase(words, form);

/** Null where nothing, or too much, would be taken out. */
function withoutUnits(text: string, isTaken: (words: string[]) => boolean): string | null {
  const units = unitsOf(text);
  const taken = units.filter(({ start, end }) => isTaken(plainWords(text.slice(start, end))));
  if (taken.length === 0 || taken.length > MAX_TAKEN_SHARE * units.length) return null;
  let at = 0;
  const kept = taken.map(({ start, end }) => {
    const before = text.slice(at, start);
    at = end;
    return before;
  });
  return kept.join('') + text.slice(at);
}
