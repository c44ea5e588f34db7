import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type LoadOptions, loadTasks, parseTasks } from '../../src/eval/load-tasks.js';
import { temporaryFolder } from '../support/folders.js';

const parse = (lines: unknown[], options: Partial<LoadOptions> = {}) =>
  parseTasks(
    lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))),
    'tasks.jsonl',
    { style: 'bare', ...options },
  );

const longBench = {
  input: 'Who keeps the light?',
  context: 'Passage 1:\nThe light is kept by Ingrid Marsh.',
  answers: ['Ingrid Marsh', 'Marsh'],
  length: 9,
  dataset: 'hotpotqa',
  language: 'en',
  all_classes: null,
  _id: 'a1b2',
};

const niah = {
  index: 7,
  input:
    'A special magic number is hidden within the following text. Make sure to memorize it.\nThe grass is green.\nOne of the special magic numbers for stale-oak is: 7392651.\nWhat is the special magic number for stale-oak mentioned in the provided text?',
  outputs: ['7392651'],
  length: 4000,
  answer_prefix: ' The special magic number for stale-oak mentioned in the provided text is',
};

const mrcr = {
  prompt: JSON.stringify([
    { role: 'user', content: 'Write a poem about tapirs' },
    { role: 'assistant', content: 'Tapirs, tapirs' },
    { role: 'user', content: 'Prepend aB3 to the first poem about tapirs.' },
  ]),
  answer: 'aB3Tapirs, tapirs',
  random_string_to_prepend: 'aB3',
  n_needles: 2,
  desired_msg_index: 1,
  total_messages: 3,
  n_chars: 60,
};

describe('a line in the shape of', () => {
  it('LongBench is a question with several right answers, scored by F1', () => {
    const [document] = parse([longBench]);
    expect(document).toMatchObject({ text: longBench.context, group: 'hotpotqa', pages: null });
    expect(document!.questions).toEqual([
      {
        id: 'hotpotqa/a1b2',
        kind: 'hotpotqa',
        question: 'Who keeps the light?',
        expected: ['Ingrid Marsh', 'Marsh'],
        metric: 'f1',
        maxNewTokens: 256,
      },
    ]);
    expect(parse([longBench], { style: 'full' })[0]!.questions[0]!.question).toContain('Only give');
  });

  it('RULER is parted into text and question, and finds all outputs', () => {
    const [document] = parse([niah]);
    expect(document!.text).toMatch(/^A special magic .* is: 7392651\.$/s);
    expect(document!.text).not.toContain('What is the special');
    expect(document!.questions[0]).toMatchObject({
      id: 'tasks/7',
      metric: 'stringMatchAll',
      expected: ['7392651'],
    });
    expect(document!.questions[0]!.question).toMatch(
      /^What is the special .*\nThe special .* is$/s,
    );
  });

  it('RULER without line breaks is parted before the last question', () => {
    const [document] = parse([{ ...niah, input: niah.input.replace(/\n/g, ' ') }]);
    expect(document!.questions[0]!.question).toMatch(/^What is the special magic number/);
  });

  it("RULER's question answering takes any of the outputs", () => {
    const input =
      'Answer from the documents.\n\nDocument 1:\nIt is Paris.\n\nQuestion: Which city?';
    expect(parse([{ input, outputs: ['Paris', 'paris'] }])[0]!.questions[0]).toMatchObject({
      metric: 'stringMatchPart',
      question: 'Question: Which city?',
    });
    const variables =
      'VAR X = 1\n\nQuestion: Find all variables that are assigned the value 1 in the text above.';
    expect(parse([{ input: variables, outputs: ['X'] }])[0]!.questions[0]!.metric).toBe(
      'stringMatchAll',
    );
  });

  it('MRCR is a conversation whose last message asks', () => {
    const [document] = parse([mrcr]);
    expect(document!.text).toBe('User: Write a poem about tapirs\n\nAssistant: Tapirs, tapirs');
    expect(document!.questions[0]).toMatchObject({
      question: 'Prepend aB3 to the first poem about tapirs.',
      expected: ['aB3Tapirs, tapirs', 'aB3'],
      metric: 'sequenceMatch',
    });
  });

  it('glyphpress says all itself', () => {
    const line = {
      context: 'The pin of Anna is 12-44.',
      question: 'What is the pin of Anna?',
      expected: '12-44',
      wrong: ['55-11'],
      metric: 'value',
      depth: 0.5,
      kind: 'pins',
      maxNewTokens: 20,
    };
    expect(parse([line])[0]!.questions[0]).toEqual({
      id: 'tasks/1',
      kind: 'pins',
      question: line.question,
      expected: ['12-44'],
      wrong: ['55-11'],
      metric: 'value',
      depth: 0.5,
      maxNewTokens: 20,
    });
  });

  it('others is understood by common names', () => {
    const [document] = parse([{ document: 'Text.', query: 'Why?', target: 42, idx: 3 }]);
    expect(document).toMatchObject({ text: 'Text.' });
    expect(document!.questions[0]).toMatchObject({
      question: 'Why?',
      expected: ['42'],
      id: 'tasks/3',
    });
  });
});

describe('a file of tasks', () => {
  it('keeps questions about one text together, and ids apart', () => {
    const documents = parse([longBench, { ...longBench, input: 'Where?' }, '', niah]);
    expect(documents.map(({ questions }) => questions.length)).toEqual([2, 1]);
    const ids = documents.flatMap(({ questions }) => questions.map(({ id }) => id));
    expect(new Set(ids).size).toBe(3);
  });
  it('can be cut short, and scored otherwise', () => {
    const documents = parse([longBench, niah], { limit: 1, metric: 'exactMatch' });
    expect(documents).toHaveLength(1);
    expect(documents[0]!.questions[0]!.metric).toBe('exactMatch');
  });
  it('may start with a byte order mark and have Windows line ends', () => {
    const file = path.join(temporaryFolder(), 'a.jsonl');
    writeFileSync(file, `\ufeff${JSON.stringify(longBench)}\r\n\r\n${JSON.stringify(niah)}\r\n`);
    expect(loadTasks(file, { style: 'bare' })).toHaveLength(2);
  });
});

describe('what cannot be read', () => {
  const good = JSON.stringify(longBench);
  it.each([
    ['{"context": ', /tasks\.jsonl, line 2 is not JSON/],
    ['[1]', /line 2 is not a JSON object/],
    [{ ...longBench, input: ' ' }, /line 2 has no question/],
    [{ ...longBench, answers: [] }, /line 2 has no answer/],
    [{ ...longBench, answers: [{}] }, /line 2 has a field answers that is neither/],
    [{ ...longBench, metric: 'bleu' }, /line 2 names the metric "bleu"; known are exactMatch/],
    [{ input: 'No text, no question', outputs: ['x'] }, /line 2 has an input that is not/],
    [{ answers: ['x'] }, /line 2 has no text/],
    [{ ...mrcr, prompt: '[' }, /line 2 has a prompt that is not JSON/],
    [{ ...mrcr, prompt: '[]' }, /line 2 has no prompt with messages/],
    [{ ...mrcr, answer: undefined }, /line 2 has no answer/],
  ])('names its line: %j', (line, message) => {
    let thrown: unknown;
    try {
      parse([good, line]);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'GP_INPUT_UNREADABLE', details: { line: 2 } });
    expect((thrown as Error).message).toMatch(message);
  });
  it.each([[''], ['\n\n  \n']])('is a file without tasks: %j', (text) => {
    const file = path.join(temporaryFolder(), 'a.jsonl');
    writeFileSync(file, text);
    expect(() => loadTasks(file, { style: 'bare' })).toThrow(
      expect.objectContaining({ code: 'GP_INPUT_EMPTY' }),
    );
  });
  it('is a file that is not there', () => {
    expect(() => loadTasks('/nowhere/tasks.jsonl', { style: 'bare' })).toThrow(
      expect.objectContaining({ code: 'GP_INPUT_NOT_FOUND' }),
    );
  });
});
