/** The natural suite as an evaluation: which documents, which of their questions, read how. */

import { GlyphpressError } from '../../errors.js';
import type { RenderConfig } from '../../render/index.js';
import type { EvalPlan } from '../plan.js';
import type { PromptStyle } from '../questions.js';
import { SeededRandom } from '../seeded-random.js';
import type { EvalDocument, EvalQuestion } from '../task.js';
import { madeAbsent } from './made-absent.js';
import {
  NATURAL_KINDS,
  type NaturalQuestion,
  type NaturalText,
  readNaturalSuite,
} from './natural-suite.js';

export const PAGES_GROUP = 'natural';
export const TEXT_GROUP = 'natural, as text';
/** Behind the id of a document and its questions where the model reads the text itself. */
export const TEXT_MARK = '#text';

/** Questions of a document that a run asks unless told otherwise. */
export const DEFAULT_QUESTIONS_PER_DOCUMENT = 5;

const SHORT_ANSWER_TOKENS = 96;
const LONG_ANSWER_TOKENS = 128;
/** Question positions are distinguished by this number of equal parts of the text. */
const DEPTHS = 4;

const FORM = 'Answer in a few words. If the text does not say, answer "not found".';

export interface NaturalSetting {
  config: RenderConfig;
  style: PromptStyle;
  /** Chooses documents and questions where not all are asked. */
  seed: number;
  /** Of each document. */
  questions: number;
  /** Ask what these settings would leave out, so that what is fitted on it says nothing of its own questions. */
  others?: boolean;
  /** @defaultValue all */
  documents?: number;
  /** Lengths: a document counts as the next power of two of its pages. @defaultValue all */
  pages?: readonly number[];
  /** The model reads text too: everything is asked of the text as well. */
  readsText?: boolean;
  /**
   * Every question is read from its passages alone, and questions that the text does not answer are added to
   * those of people, see {@link madeAbsent}.
   */
  passagesAlone?: boolean;
}

/** How many pages each text takes, by its layout. */
export type CountPages = (texts: readonly string[]) => Promise<number[]>;

export async function planNatural(
  setting: NaturalSetting,
  countPages: CountPages,
  suite: readonly NaturalText[] = readNaturalSuite(),
): Promise<EvalPlan> {
  const { config, seed, style } = setting;
  const { pages } = setting;
  const counts = pages ? await countPages(suite.map(({ text }) => text)) : [];
  const fitting = suite.filter((_, i) => !pages || pages.includes(lengthClass(counts[i]!)));
  const chosen = spread(fitting, setting.documents ?? fitting.length, seed);
  if (chosen.length === 0) {
    throw new GlyphpressError('GP_USAGE', {
      message: `No document of the natural suite takes ${pages?.join(' or ')} pages`,
      hint: 'Its lengths count as 1, 2, 4, 8 and 16 pages.',
    });
  }
  const documents = chosen.flatMap((one): EvalDocument[] => {
    const numbered = one.questions.map((question, n) => ({ question, n }));
    const chosen = chooseQuestions(numbered, setting.questions, `${seed} ${one.document}`);
    const asked = setting.others ? numbered.filter((each) => !chosen.includes(each)) : chosen;
    if (asked.length === 0) return [];
    const questions = asked.map(({ question, n }) =>
      toQuestion(question, `${one.document}/${n + 1}`, one.text, style),
    );
    const shared = { text: one.text, rendering: 'page', pages: null };
    const document = { id: one.document, group: PAGES_GROUP, ...shared, questions };
    if (!setting.readsText) return [document];
    const twins = questions.map((question) => ({ ...question, id: question.id + TEXT_MARK }));
    const twin = { as: 'text' as const, id: one.document + TEXT_MARK, group: TEXT_GROUP };
    return [document, { ...twin, ...shared, questions: twins }];
  });
  const whole = setting.passagesAlone ? withMadeAbsent(documents) : documents;
  const kinds = new Set(documents.flatMap((one) => one.questions.map(({ kind }) => kind)));
  return {
    suite: 'natural',
    renderings: { page: config },
    documents: whole,
    headlines: NATURAL_KINDS.filter((kind) => kinds.has(kind)).map((kind) => ({
      label: kind,
      group: PAGES_GROUP,
      kind,
      measure: 'score',
    })),
  };
}

function withMadeAbsent(documents: readonly EvalDocument[]): EvalDocument[] {
  return [
    ...documents.map((document) => ({ ...document, as: 'passages' as const })),
    ...madeAbsent(documents),
  ];
}

export const lengthClass = (pages: number) => 2 ** Math.ceil(Math.log2(Math.max(1, pages)));

/** So many documents of all lengths: every n-th by its length, from a place that the seed says. */
function spread(suite: readonly NaturalText[], count: number, seed: number): NaturalText[] {
  if (count >= suite.length) return [...suite];
  const byLength = [...suite].sort((a, b) => a.textTokens - b.textTokens);
  const step = suite.length / count;
  const start = new SeededRandom(`natural documents ${seed}`).below(Math.ceil(step));
  const taken = Array.from(
    { length: count },
    (_, i) => byLength[Math.floor(i * step + start) % suite.length]!,
  );
  return suite.filter((one) => taken.includes(one));
}

/** One that is absent, if there are several, and others by chance; in the order of the file. */
function chooseQuestions<T extends { question: NaturalQuestion }>(
  all: readonly T[],
  count: number,
  name: string,
): T[] {
  if (count >= all.length) return [...all];
  const shuffled = new SeededRandom(`natural questions ${name}`).shuffled(all);
  const absent = shuffled.filter(({ question }) => question.absent).slice(0, 1);
  const others = shuffled.filter(({ question }) => !question.absent);
  const taken = new Set([...absent, ...others].slice(0, count));
  return all.filter((one) => taken.has(one));
}

function toQuestion(
  asked: NaturalQuestion,
  id: string,
  text: string,
  style: PromptStyle,
): EvalQuestion {
  const place = placeOf(asked, text);
  const shared = {
    id,
    kind: asked.kind,
    question: style === 'bare' ? asked.question : `${asked.question} ${FORM}`,
    ...(place >= 0 && { depth: Math.round((place / text.length) * DEPTHS) / DEPTHS }),
    maxNewTokens: asked.words ? LONG_ANSWER_TOKENS : SHORT_ANSWER_TOKENS,
  };
  if (asked.absent) return { ...shared, expected: [], metric: 'notFound' };
  if (asked.verdict) {
    const expected = [
      asked.verdict,
      ...(asked.phrases ?? []),
      ...(asked.evidence ? [asked.evidence] : []),
    ];
    return { ...shared, expected, metric: 'verdict' };
  }
  if (asked.words) {
    const { words: expected, forbidden: wrong, atLeast } = asked;
    return {
      ...shared,
      expected,
      ...(wrong && { wrong }),
      ...(atLeast !== undefined && { atLeast }),
      metric: 'requiredWords',
    };
  }
  return {
    ...shared,
    expected: asked.answers!,
    ...(asked.wrong && { wrong: asked.wrong }),
    metric: isExact(asked) ? 'value' : 'namedValue',
  };
}

export const isExact = ({ kind, exact }: Pick<NaturalQuestion, 'kind' | 'exact'>) =>
  exact ?? kind === 'identifier';

/** Where the text answers, −1 where it does not do so in one place. */
function placeOf({ evidence, answers }: NaturalQuestion, text: string): number {
  for (const quote of [evidence, ...(answers ?? [])]) {
    const at = quote === undefined ? -1 : text.indexOf(quote);
    if (at >= 0) return at;
  }
  return -1;
}
