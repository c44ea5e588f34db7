import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import {
  lengthClass,
  planNatural,
  TEXT_GROUP,
  TEXT_MARK,
} from '../../src/eval/natural/natural-plan.js';
import { makeNaturalReport } from '../../src/eval/natural/natural-report.js';
import { readNaturalSuite } from '../../src/eval/natural/natural-suite.js';
import { naturalMarkdown, naturalTable } from '../../src/eval/natural/natural-text.js';
import { makeReport } from '../../src/eval/report.js';
import { reportTable } from '../../src/eval/report-table.js';
import type { ResultLine } from '../../src/eval/results-log.js';
import { scoreAnswer } from '../../src/eval/score.js';
import type { EvalDocument, EvalQuestion } from '../../src/eval/task.js';
import type { PassageReading } from '../../src/vlm/index.js';
import { smallConfig } from '../support/rendering.js';

const config = smallConfig();
const suite = readNaturalSuite();
/** Pages by length alone: no browser is needed to choose. */
const countPages = async (texts: readonly string[]) =>
  texts.map((text) => Math.ceil(text.length / 8_000));
const plan = (more: Partial<Parameters<typeof planNatural>[0]> = {}) =>
  planNatural({ config, style: 'bare', seed: 1, questions: 5, ...more }, countPages, suite);

describe('a plan of the natural suite', () => {
  it('asks 200 questions or more of every document, absent ones too', async () => {
    const { documents } = await plan();
    expect(documents.map(({ id }) => id)).toEqual(suite.map(({ document }) => document));
    const questions = documents.flatMap((document) => document.questions);
    expect(questions.length).toBeGreaterThanOrEqual(200);
    expect(questions.filter(({ kind }) => kind === 'absent').length).toBeGreaterThanOrEqual(30);
    expect(new Set(questions.map(({ id }) => id)).size).toBe(questions.length);
  });

  it('is the same for the same seed, and asks others for another', async () => {
    expect(await plan()).toEqual(await plan());
    const ids = async (seed: number) =>
      (await plan({ seed })).documents.flatMap(({ questions }) => questions.map(({ id }) => id));
    expect(await ids(2)).not.toEqual(await ids(1));
  });

  it('asks everything where more is wanted than there is', async () => {
    const { documents } = await plan({ questions: 1_000 });
    const count = (all: readonly { questions: readonly unknown[] }[]) =>
      all.reduce((sum, { questions }) => sum + questions.length, 0);
    expect(count(documents)).toBe(count(suite));
  });

  it.each([1, 7, 20])('takes %i documents of all lengths', async (count) => {
    const { documents } = await plan({ documents: count });
    expect(documents).toHaveLength(count);
    if (count < 7) return;
    const lengths = documents.map(({ text }) => text.length);
    expect(Math.min(...lengths)).toBeLessThan(3_000);
    expect(Math.max(...lengths)).toBeGreaterThan(20_000);
  });

  it('asks the others where it is told to, each question once', async () => {
    const idsOf = async (more: Parameters<typeof plan>[0]) =>
      (await plan(more)).documents.flatMap(({ questions }) => questions.map(({ id }) => id));
    const [usual, others] = [await idsOf({}), await idsOf({ others: true })];
    expect(others.length).toBeGreaterThan(100);
    expect([...usual, ...others].sort()).toEqual((await idsOf({ questions: 1_000 })).sort());
  });

  it('takes documents of the pages that are wanted', async () => {
    const { documents } = await plan({ pages: [2, 8] });
    expect(documents.length).toBeGreaterThan(2);
    for (const { text } of documents)
      expect([2, 8]).toContain(lengthClass((await countPages([text]))[0]!));
    await expect(plan({ pages: [1_000] })).rejects.toThrow(GlyphpressError);
  });

  it('asks the text too of a model that reads text', async () => {
    const { documents } = await plan({ readsText: true, documents: 3 });
    const [pages, text] = [false, true].map((isText) =>
      documents.filter(({ as }) => (as === 'text') === isText),
    );
    expect(text!.map(({ id }) => id)).toEqual(pages!.map(({ id }) => id + TEXT_MARK));
    expect(text!.map(({ group }) => group)).toEqual(pages!.map(() => TEXT_GROUP));
    expect(text!.map(({ questions }) => questions.map((one) => one.question))).toEqual(
      pages!.map(({ questions }) => questions.map((one) => one.question)),
    );
  });

  it('says the form of an answer to models that follow instructions', async () => {
    const { documents } = await plan({ style: 'full', documents: 1 });
    for (const { question } of documents[0]!.questions) expect(question).toMatch(/not found/);
  });

  it('has questions that a perfect answer answers', async () => {
    const { documents } = await plan({ questions: 1_000 });
    for (const { questions } of documents) {
      for (const question of questions)
        expect([
          question.id,
          scoreAnswer(question.metric, perfect(question), question).value,
        ]).toEqual([question.id, 1]);
    }
  });

  it('has questions that "not found", "yes", a shrug and the whole text do not answer', async () => {
    const { documents } = await plan({ questions: 1_000 });
    for (const { questions, text } of documents) {
      for (const question of questions) {
        const score = (answer: string) => scoreAnswer(question.metric, answer, question).value;
        if (question.kind !== 'absent')
          expect([question.id, score('Not found.')]).toEqual([question.id, 0]);
        if (question.metric !== 'verdict')
          expect([question.id, score('Yes.')]).toEqual([question.id, 0]);
        expect([question.id, score('')]).toEqual([question.id, 0]);
        if (question.kind === 'absent')
          expect([question.id, score(text)]).toEqual([question.id, 0]);
      }
    }
  });
});

/** What somebody would say who knows. */
function perfect({ metric, expected }: EvalQuestion): string {
  if (metric === 'notFound') return 'That is not mentioned in the text.';
  if (metric === 'verdict') return expected[0] === 'yes' ? 'Yes.' : 'No.';
  if (metric === 'requiredWords')
    return expected.map((group) => group.split('|')[0]!.replaceAll('*', '')).join(', ');
  return `It is ${expected[0]}.`;
}

describe('the report of the natural suite', () => {
  const answerOf = (
    document: EvalDocument,
    question: EvalQuestion,
    answer: string,
    mean = -0.1,
    passages?: PassageReading,
  ): ResultLine => ({
    id: question.id,
    document: document.id,
    answer,
    score: scoreAnswer(question.metric, answer, question),
    account: {
      pages: document.as === 'text' ? 0 : 1,
      textTokens: 100,
      visualTokens: 50,
      contextTokens: passages === 'alone' ? 20 : 50,
      ...(passages && { passages }),
    },
    finishReason: 'stop',
    completionTokens: 5,
    answerMs: 10,
    logProb: { mean, min: mean },
  });

  const reported = async (
    readsText: boolean,
    answer: (question: EvalQuestion, isText: boolean) => { answer: string; mean?: number },
    passages?: PassageReading,
  ) => {
    const asked = await plan({ readsText });
    const results = new Map(
      asked.documents.flatMap((document) =>
        document.questions.map((question) => {
          const isText = document.as === 'text';
          const said = answer(question, isText);
          const read = isText ? undefined : passages;
          const line = answerOf(document, question, said.answer, said.mean, read);
          return [question.id, line] as const;
        }),
      ),
    );
    const natural = makeNaturalReport(asked, results, suite, null);
    const row = (label: string) => natural.rows.find((one) => one.label === label)!;
    return { natural, row, base: makeReport(asked, results, {}, { seed: 1 }) };
  };

  it('shows pages beside text, and what they keep', async () => {
    // The text answers everything; pages all but the questions for names.
    const { row, natural, base } = await reported(true, (question, isText) => ({
      answer: isText || question.kind !== 'who' ? perfect(question) : 'Somebody else.',
    }));
    expect(row('who').pages.value).toBe(0);
    expect(row('who').text!.value).toBe(1);
    // Text is in no rendering.
    expect(base.renderings[0]!.documents).toBe(natural.documents);
    expect(row('who').kept!.value).toBe(0);
    expect(row('when').kept).toMatchObject({ value: 1, low: 1, high: 1 });
    const all = row('all questions');
    expect(all.kept!.value).toBeCloseTo(all.pages.value!, 12);
    expect(all.kept!.low).toBeLessThan(all.kept!.value);
    expect(all.kept!.high).toBeGreaterThan(all.kept!.value);
    expect(all.pages.questions).toBe(all.kept!.questions);
    expect(row('absent recognised').pages.value).toBe(1);
    expect(row('false "not found"').pages.value).toBe(0);
    const inLengths = natural.rows.filter(({ section }) => section === 'length');
    expect(inLengths.map(({ label }) => label)).toHaveLength(4);
    const sum = inLengths.reduce((total, { pages }) => total + pages.questions, 0);
    expect(sum).toBe(row('answered by the text').pages.questions);
  });

  it('has no text column where text was not asked', async () => {
    const { row, natural } = await reported(false, () => ({ answer: 'Not stated.' }));
    expect(row('all questions').text).toBeNull();
    expect(row('all questions').kept).toBeNull();
    expect(row('false "not found"').pages.value).toBe(1);
    expect(row('absent recognised').pages.value).toBe(1);
    expect(natural.confidence.text).toBeNull();
  });

  it('tells how true confidence is, and how well it tells right from wrong', async () => {
    const { natural } = await reported(false, (question) =>
      question.kind === 'absent'
        ? { answer: perfect(question), mean: Math.log(0.95) }
        : { answer: 'Hm.', mean: Math.log(0.15) },
    );
    expect(natural.confidence.pages!.areaUnderRoc).toBe(1);
    expect(natural.confidence.pages!.expectedCalibrationError).toBeLessThan(0.16);
    expect(natural.confidence.pages!.calibrated).toBe(false);
  });

  it('is a table and a page of figures', async () => {
    const { natural, base } = await reported(true, (question) => ({ answer: perfect(question) }));
    const table = naturalTable(natural);
    expect(table).toMatch(/all questions +100\.0 %/);
    expect(table).toMatch(/false "not found" +0\.0 %/);
    const page = naturalMarkdown({ ...base, natural }, { command: 'npx x', model: 'm' });
    expect(page).toContain('| all questions | 100.0 % |');
    expect(page).toContain('npx x');
    expect(`${table}${page}`).not.toMatch(/NaN|undefined|null/);
  });

  it('says what was read where passages were, and that the pages were not', async () => {
    const perfectly = (question: EvalQuestion) => ({ answer: perfect(question) });
    const alone = await reported(true, perfectly, 'alone');
    expect(alone.natural.reading).toBe('passages');
    const { passages, renderings } = alone.base;
    expect(passages!.withoutPages).toBe(passages!.answers);
    expect(passages!.answers).toBe(alone.row('all questions').pages.questions);
    expect(renderings[0]).toMatchObject({ renderRatio: 2, pruneRatio: 0, stackedRatio: 5 });
    expect(naturalTable(alone.natural)).toMatch(/^ +passages +95 %/);
    const page = naturalMarkdown(
      { ...alone.base, natural: alone.natural },
      { command: 'c', model: 'm' },
    );
    expect(page).toContain('| all | passages | 95 % interval | text |');
    expect(page).toContain('without the pages, for all');
    const behind = await reported(true, perfectly, 'behind-pages');
    expect(behind.natural.reading).toBe('pages and passages');
    expect(behind.base.passages).toMatchObject({ withoutPages: 0 });
    expect(reportTable(behind.base)).toContain('beside the pages');
  });
});
