import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DraftSetting } from '../../src/eval/draft.js';
import {
  type Haystack,
  haystackFrom,
  joinSentences,
  madeUpHaystack,
  randomHaystack,
  sentencesOf,
} from '../../src/eval/haystack.js';
import { collapseSpaces } from '../../src/eval/metrics/character-error.js';
import { planReaderSuite } from '../../src/eval/reader-suite.js';
import { SeededRandom } from '../../src/eval/seeded-random.js';
import { planSuites, TASK_SUITES, type TaskSuite } from '../../src/eval/suites.js';
import type { EvalDocument } from '../../src/eval/task.js';
import { makeDistractors } from '../../src/eval/tasks/distractors.js';
import { makeLookUp } from '../../src/eval/tasks/look-up.js';
import { makeNeedles } from '../../src/eval/tasks/needles.js';
import { makeSeveralValues } from '../../src/eval/tasks/several-values.js';
import { makeTranscription } from '../../src/eval/tasks/transcription.js';
import { drawValue } from '../../src/eval/values.js';
import { smallConfig } from '../support/rendering.js';

const setting = (more: Partial<DraftSetting> = {}): DraftSetting => ({
  id: 'test/1',
  seed: 1,
  group: 'test',
  rendering: 'page',
  pages: 1,
  characters: 6_000,
  depths: [0, 0.25, 0.5, 0.75, 1],
  haystack: madeUpHaystack,
  style: 'bare',
  ...more,
});

const suite = (name: TaskSuite, characters = 3_000, seed = 1) =>
  planSuites(
    name,
    [name],
    { config: smallConfig(), seed, style: 'bare', pages: [1, 2], samples: 2, depths: [0, 0.5, 1] },
    async () => characters,
  );

const count = (text: string, part: string) => text.split(part).length - 1;
const asked = (question: string) => /the (.+?)\?/.exec(question)![1]!;

const anySetting = fc.record({
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  characters: fc.integer({ min: 2_500, max: 20_000 }),
});

describe('each suite', () => {
  it.each(TASK_SUITES)('%s is the same for the same seed, and other for another', async (name) => {
    const [first, again, other] = [
      await suite(name),
      await suite(name),
      await suite(name, 3_000, 2),
    ];
    expect(again.documents).toEqual(first.documents);
    expect(other.documents).not.toEqual(first.documents);
  });

  it.each(TASK_SUITES)('%s has ids that differ, and lengths as wanted', async (name) => {
    const { documents } = await suite(name);
    const ids = documents.flatMap(({ questions }) => questions.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(documents.map(({ id }) => id)).size).toBe(4);
    for (const { text, pages } of documents) {
      expect(text.length).toBeLessThanOrEqual(pages! * 3_000);
      expect(text.length).toBeGreaterThan(pages! * 3_000 - 400);
    }
  });

  it.each(TASK_SUITES)('%s keeps a sample as it is when more are wanted', async (name) => {
    const more = await planSuites(
      name,
      [name],
      {
        config: smallConfig(),
        seed: 1,
        style: 'bare',
        pages: [1, 2, 4],
        samples: 3,
        depths: [0, 0.5, 1],
      },
      async () => 3_000,
    );
    const { documents } = await suite(name);
    expect(more.documents).toEqual(expect.arrayContaining(documents));
  });
});

function expectAnswersOnce({ text, questions }: EvalDocument) {
  const low = text.toLowerCase();
  for (const { expected, wrong = [] } of questions) {
    for (const value of [...expected, ...wrong]) expect(count(low, value.toLowerCase())).toBe(1);
  }
}

describe('look-ups', () => {
  it('stand in the text exactly once, with the question that asks for them', () => {
    fc.assert(
      fc.property(
        anySetting,
        fc.constantFrom('code', 'hex', 'uuid', 'number' as const),
        (given, value) => {
          const document = makeLookUp(setting(given), { value: value as 'code' });
          expectAnswersOnce(document);
          for (const { question, expected } of document.questions)
            expect(count(document.text, `The ${asked(question)} is ${expected[0]}.`)).toBe(1);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('stand where they should, to within a sentence or two', () => {
    const { text, questions } = makeLookUp(setting({ characters: 20_000 }));
    for (const { depth, expected } of questions)
      expect(Math.abs(text.indexOf(expected[0]!) / text.length - depth!)).toBeLessThan(0.03);
    expect(text.startsWith('The ')).toBe(true);
    expect(text.trimEnd().endsWith(`${questions.at(-1)!.expected[0]}.`)).toBe(true);
  });

  it('that are absent are not there, though something near is', () => {
    fc.assert(
      fc.property(anySetting, (given) => {
        const { text, questions } = makeLookUp(setting(given), { absent: 4 });
        const absent = questions.filter(({ kind }) => kind === 'absent');
        expect(absent).toHaveLength(4);
        for (const { question, metric } of absent) {
          const subject = asked(question);
          expect(metric).toBe('notFound');
          expect(text.toLowerCase()).not.toContain(subject.toLowerCase());
          const [attribute, owner] = subject.split(' of ') as [string, string];
          expect(text.includes(`${attribute} of `) || text.includes(` of ${owner}`)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('needles, values, distractors', () => {
  it('have their answers in the text exactly once', () => {
    fc.assert(
      fc.property(anySetting, (given) => {
        for (const make of [makeNeedles, makeSeveralValues, makeDistractors])
          expectAnswersOnce(make(setting(given)));
      }),
      { numRuns: 30 },
    );
  });
  it('ask for several at once', () => {
    const [needles] = makeNeedles(setting()).questions;
    expect(needles!.expected).toHaveLength(4);
    expect(needles!.question).toMatch(/^What are the .+, the .+, the .+ and the .+\?$/);
    const [values] = makeSeveralValues(setting()).questions;
    expect(values!.question).toMatch(/^What are all the .+s of .+\?$/);
  });
});

describe('transcription', () => {
  it('quotes what stands in the text once, and expects what follows', () => {
    fc.assert(
      fc.property(
        anySetting,
        fc.constantFrom<Haystack>(madeUpHaystack, randomHaystack),
        (given, haystack) => {
          const { text, questions } = makeTranscription(setting({ ...given, haystack }), 2);
          const plain = collapseSpaces(text);
          expect(questions.length).toBeGreaterThan(5);
          for (const { question, expected } of questions) {
            const quoted = /^Continue: "(.*)"$/.exec(question)![1]!;
            expect(count(plain, quoted)).toBe(1);
            expect(plain).toContain(quoted + expected[0]);
          }
        },
      ),
      { numRuns: 20 },
    );
  });
  it('asks models that follow instructions for the whole text', () => {
    const { text, questions } = makeTranscription(setting({ style: 'full' }), 2);
    expect(questions).toHaveLength(1);
    expect(questions[0]!.expected).toEqual([text]);
  });
});

describe('the reader suite', () => {
  it('draws three densities, and has a row for each published figure', async () => {
    const plan = await planReaderSuite(
      {
        config: smallConfig(),
        seed: 1,
        style: 'bare',
        pages: [1, 8],
        samples: 1,
        depths: [0, 0.5, 1],
      },
      async () => 2_500,
    );
    expect(Object.keys(plan.renderings)).toEqual(['wide', 'trained', 'dense']);
    for (const { group, kind } of plan.headlines!)
      expect(
        plan.documents.some((d) => d.group === group && d.questions.some((q) => q.kind === kind)),
      ).toBe(true);
    expect(plan.headlines!.map(({ label }) => label)).toContain('12-hex exact');
  });
});

describe('values', () => {
  it.each([
    ['hex', /^[0-9a-f]{12}$/],
    ['uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/],
    ['number', /^\d{4,8}$/],
    ['code', /^[A-Za-z0-9-]{5,12}$/],
  ] as const)('of kind %s look like it', (kind, form) => {
    const random = new SeededRandom('values');
    for (let i = 0; i < 200; i++) expect(drawValue(kind, random)).toMatch(form);
  });
});

describe('a haystack from a text', () => {
  const text =
    'One line\nthat was broken. It goes on.\n\n  Next "one." Then Dr. Who? Yes.\r\n\r\nEnd';
  it('joins broken lines and splits sentences', () => {
    expect(sentencesOf(text)).toEqual([
      { text: 'One line that was broken.', endsParagraph: false },
      { text: 'It goes on.', endsParagraph: true },
      { text: 'Next "one."', endsParagraph: false },
      { text: 'Then Dr.', endsParagraph: false },
      { text: 'Who?', endsParagraph: false },
      { text: 'Yes.', endsParagraph: true },
      { text: 'End', endsParagraph: true },
    ]);
  });
  it('goes round at the end, and is as long as wanted', () => {
    const run = haystackFrom(text)(new SeededRandom('any'), 5_000);
    expect(joinSentences(run).length).toBeGreaterThanOrEqual(4_990);
  });
});

describe('seeded random choices', () => {
  it('draws every number below a bound, none other', () => {
    const random = new SeededRandom('bounds');
    const drawn = new Set(Array.from({ length: 500 }, () => random.below(7)));
    expect([...drawn].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
  it('shuffles without loss', () => {
    expect(new SeededRandom('s').shuffled([1, 2, 3, 4]).sort()).toEqual([1, 2, 3, 4]);
  });
});
