/**
 * A text that a context does not hold: are its passages better looked for in all of it, or in each of its
 * parts, of whose answers the surest counts? Documents of the natural suite, several of them one text, cut
 * at its documents into as many parts as the reader would read it in. LONG_QUESTIONS of each document
 * (default 2), LONG_TOGETHER documents a text (default 12), LONG_PARTS (default 3).
 */
import { expect, it } from 'vitest';
import { planNatural } from '../../src/eval/natural/natural-plan.js';
import { readNaturalSuite } from '../../src/eval/natural/natural-suite.js';
import { scoreAnswer } from '../../src/eval/score.js';
import type { EvalDocument } from '../../src/eval/task.js';
import type { LocalAnswer } from '../../src/pipeline/backends/local-answer.js';
import { PassagesDocument } from '../../src/pipeline/expanding/passages-document.js';
import { rankAnswers } from '../../src/pipeline/parts/merge-answers.js';
import { loadRenderConfig } from '../../src/render/index.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { SHIPPED_READER } from '../support/models.js';
import { emit } from './measure.js';

const questionsOfEach = Number(process.env.LONG_QUESTIONS ?? 2);
const together = Number(process.env.LONG_TOGETHER ?? 12);
const parts = Number(process.env.LONG_PARTS ?? 3);
/** Longer ones would be most of their text. */
const MOST_TOKENS = 2_000;

const chunks = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, n) =>
    all.slice(n * size, (n + 1) * size),
  );

it('long passages', async () => {
  const model = await VisionLanguageModel.open(process.env.LONG_MODEL ?? SHIPPED_READER);
  const settings = {
    method: 'lexical',
    budget: 300,
    countTokens: (text: string) => model.countTokens(text),
  } as const;
  const open = (documents: readonly EvalDocument[]) => {
    const text = documents.map((document) => document.text).join('\n\n');
    return new PassagesDocument(model, [{ text: async () => text, pages: async () => null }]);
  };
  const short = readNaturalSuite().filter(({ textTokens }) => textTokens < MOST_TOKENS);
  const config = loadRenderConfig('default');
  const setting = { config, style: 'bare' as const, seed: 1, questions: questionsOfEach };
  const { documents } = await planNatural(setting, async () => [], short);
  const right = { whole: 0, parts: 0 };
  const absent = { asked: 0, whole: 0, parts: 0 };
  const without = { whole: 0, parts: 0 };
  let asked = 0;
  for (const texts of chunks(documents, together)) {
    const whole = open(texts);
    const pieces = chunks(texts, Math.ceil(texts.length / parts)).map(open);
    for (const question of texts.flatMap(({ questions }) => questions)) {
      const ask = (document: PassagesDocument) =>
        document.ask(question.question, { maxNewTokens: question.maxNewTokens }, settings);
      const ofWhole = await ask(whole);
      const replies: LocalAnswer[] = [];
      for (const piece of pieces) {
        const reply = await ask(piece);
        if (reply) replies.push(reply);
      }
      const [best] = rankAnswers(
        replies.map((reply) => ({ part: {} as never, lexicalScore: 0, reply })),
      );
      const scoreOf = (answer: LocalAnswer | null | undefined) =>
        answer ? scoreAnswer(question.metric, answer.answer, question).value : 0;
      const scores = { whole: scoreOf(ofWhole), parts: scoreOf(best?.reply) };
      without.whole += ofWhole ? 0 : 1;
      without.parts += best ? 0 : 1;
      const isAbsent = question.metric === 'notFound';
      if (isAbsent) absent.asked += 1;
      else asked += 1;
      const counts = isAbsent ? absent : right;
      counts.whole += scores.whole;
      counts.parts += scores.parts;
    }
  }
  await model.close();
  expect(asked).toBeGreaterThan(0);
  emit({ bench: 'long-passages', together, parts, asked, right, absent, without });
}, 7_200_000);
