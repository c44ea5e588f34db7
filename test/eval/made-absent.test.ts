import { describe, expect, it } from 'vitest';
import { madeAbsent } from '../../src/eval/natural/made-absent.js';
import { planNatural } from '../../src/eval/natural/natural-plan.js';
import type { EvalDocument, EvalQuestion } from '../../src/eval/task.js';
import { loadRenderConfig } from '../../src/render/index.js';

const question = (id: string, text: string, expected: string[]): EvalQuestion => ({
  id,
  kind: 'who',
  question: text,
  expected,
  wrong: ['Hilary'],
  metric: 'namedValue',
  maxNewTokens: 32,
  depth: 0.5,
});
const document = (id: string, text: string, ...questions: EvalQuestion[]): EvalDocument => ({
  id,
  text,
  group: 'natural',
  rendering: 'page',
  pages: null,
  questions,
});

const letter = document(
  'letter.txt',
  'Desmond fits the tap.\n\nHilary keeps the keys.\n\nThe hall is open.\n\nThe tap costs £45.',
  question('letter.txt/1', 'Who fits the tap?', ['Desmond']),
  { ...question('letter.txt/2', 'Is it open?', ['yes', 'open']), metric: 'verdict' },
);
const bulletin = document(
  'bulletin.txt',
  'The ferry leaves at nine.\n\nDesmond is its master.\n\nIt has two decks.\n\nNo dogs.',
  question('bulletin.txt/1', 'When does the ferry leave?', ['9']),
  question('bulletin.txt/2', 'Who is its master?', ['Desmond']),
);

describe('questions without an answer', () => {
  const made = madeAbsent([letter, bulletin]);
  const named = (id: string) => made.find((one) => one.id === id);

  it('are those whose answer was taken out of the text', () => {
    const cut = named('letter.txt#cut-1')!;
    expect(cut.text).not.toContain('Desmond');
    expect(cut.text).toContain('Hilary keeps the keys.');
    expect(cut.as).toBe('passages');
    expect(cut.questions).toEqual([
      {
        id: 'letter.txt#cut-1 letter.txt/1',
        kind: 'who',
        question: 'Who fits the tap?',
        expected: [],
        metric: 'notFound',
        maxNewTokens: 32,
      },
    ]);
    // However the number is written.
    expect(named('bulletin.txt#cut-1')!.text).not.toContain('nine');
  });

  it('are those of another text that this one does not answer', () => {
    // It names Desmond too.
    expect(named('letter.txt#foreign')!.questions.map(({ question }) => question)).toEqual([
      'When does the ferry leave?',
    ]);
    expect(named('bulletin.txt#foreign')).toBeUndefined();
  });

  it('are none of a verdict, nor where most of a text would go', () => {
    expect(named('letter.txt#cut-2')).toBeUndefined();
    const short = document('s', 'Desmond.\n\nDesmond again.', question('s/1', 'Who?', ['Desmond']));
    expect(madeAbsent([short])).toEqual([]);
  });

  it('are asked beside those of people, and none of these is one of the measured', async () => {
    const setting = { config: loadRenderConfig('default'), style: 'bare', seed: 1 } as const;
    const never = () => Promise.reject(new Error('laid out'));
    const measured = await planNatural({ ...setting, questions: 5 }, never);
    const asked = await planNatural(
      { ...setting, questions: 5, others: true, passagesAlone: true },
      never,
    );
    const texts = (plan: typeof asked) =>
      plan.documents.flatMap(({ id, questions }) =>
        questions.map(({ question }) => `${id.replace(/#.*/, '')} ${question}`),
      );
    const ofPeople = new Set(texts(measured));
    expect(texts(asked).filter((one) => ofPeople.has(one))).toEqual([]);
    expect(asked.documents.every(({ as }) => as === 'passages')).toBe(true);
    expect(asked.documents.filter(({ id }) => id.includes('#cut-')).length).toBeGreaterThan(60);
    expect(asked.documents.filter(({ id }) => id.endsWith('#foreign')).length).toBeGreaterThan(20);
  });
});
