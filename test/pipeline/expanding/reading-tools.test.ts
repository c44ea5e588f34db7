import { describe, expect, it } from 'vitest';
import type { PageRecord } from '../../../src/pipeline/artifacts/page-folder.js';
import { ServerDocument } from '../../../src/pipeline/backends/server.js';
import { Expander, type ExpandSettings } from '../../../src/pipeline/expanding/expander.js';
import { ExpansionSource } from '../../../src/pipeline/expanding/expansion-source.js';
import { runToolCall } from '../../../src/pipeline/expanding/reading-tools.js';
import { SourceReader } from '../../../src/pipeline/expanding/source-reader.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import type { CompressionReport } from '../../../src/pipeline/report.js';
import { json, PAGES, type Seen, serve, whole } from '../backends/model-server.js';

const LINES = [
  ['The north gate is oak.', 'Its code is 7f3a-99c1-04be.', 'Ferries leave at nine.'],
  ['The pump cost 14,250 kroner.', 'It was paid in May.'],
];
const TEXT = LINES.flat().join('\n');
const document = decodeDocument(Buffer.from(TEXT), 'ledger.txt');

const records = LINES.map((lines, page): PageRecord => {
  const boxes = lines.map((line, n) => {
    const start = TEXT.indexOf(line);
    const box = { x: 4, y: 10 * n, width: 6 * line.length, height: 10 };
    return { ...box, start, end: start + line.length };
  });
  const size = { file: `page-${page}.png`, widthPx: 196, heightPx: 112 };
  return { ...size, start: boxes[0]!.start, end: boxes.at(-1)!.end, lines: boxes };
});

const countTokens = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;
const settings = (more: Partial<ExpandSettings> = {}): ExpandSettings => ({
  method: 'tool',
  budget: 60,
  countTokens,
  ...more,
});

type Backend = ReturnType<Awaited<ReturnType<typeof serve>>['backend']>;
const opened = (client: Backend) =>
  new Expander(
    new ServerDocument(
      client,
      document,
      {
        pngs: PAGES,
        records,
        sidecar: { text: '', tokens: 0 } as never,
        report: {} as CompressionReport,
      },
      false,
    ),
  );

const usage = { prompt_tokens: 100, completion_tokens: 7 };
const calling = (...calls: [name: string, given: object | string][]) =>
  json(200, {
    choices: [
      {
        index: 0,
        finish_reason: 'tool_calls',
        message: {
          role: 'assistant',
          content: null,
          tool_calls: calls.map(([name, given], n) => ({
            id: `call-${n}`,
            type: 'function',
            function: {
              name,
              arguments: typeof given === 'string' ? given : JSON.stringify(given),
            },
          })),
        },
      },
    ],
    usage,
  });
/** Answers with what the tools told it, as a model that copies. */
const copying = (response: Parameters<ReturnType<typeof json>>[0], { body }: Seen) => {
  const told = body.messages.filter(({ role }: { role: string }) => role === 'tool');
  const text = told.map(({ content }: { content: string }) => content).join('\n');
  return json(200, {
    choices: [
      { index: 0, finish_reason: 'stop', message: { content: /[\da-f-]{14}/.exec(text)?.[0] } },
    ],
    usage,
  })(response);
};

const QUESTION = 'What is the code of the north gate?';

describe('a model that takes tools', () => {
  it('reads lines and looks for words in several rounds, and answers with what it read', async () => {
    const server = await serve(
      calling(['find', { text: 'NORTH  gate' }]),
      calling(['read_lines', { page: 1, from: 2, to: 3 }], ['read_lines', '{"page":']),
      copying,
    );
    const said: string[] = [];
    const answer = await opened(server.backend()).ask(
      QUESTION,
      { citations: true, onText: (text) => said.push(text) },
      settings(),
    );
    expect(answer.answer).toBe('7f3a-99c1-04be');
    expect(said.join('')).toBe(answer.answer);
    expect(answer.citations[0]).toMatchObject({ page: 1, text: '7f3a-99c1-04be' });
    const [first, second, third] = server.seen.map(({ body }) => body);
    const names = first.tools.map(({ function: { name } }: never) => name);
    expect([names, first.tool_choice]).toEqual([['read_lines', 'find'], 'auto']);
    expect(second.messages.at(-1)).toEqual({
      role: 'tool',
      tool_call_id: 'call-0',
      content: 'page 1, 1| The north gate is oak.\n',
    });
    expect(third.messages.slice(-2).map(({ content }: { content: string }) => content)).toEqual([
      '2| Its code is 7f3a-99c1-04be.\n3| Ferries leave at nine.\n',
      'The arguments are no JSON object.',
    ]);
    expect(answer.usage).toEqual({
      promptTokens: 300,
      completionTokens: 21,
      reading: {
        by: 'tools',
        rounds: 3,
        calls: [
          { name: 'find', arguments: '{"text":"NORTH  gate"}' },
          { name: 'read_lines', arguments: '{"page":1,"from":2,"to":3}' },
          { name: 'read_lines', arguments: '{"page":' },
        ],
      },
    });
    const { method, tokens, expanded } = answer.expansion!;
    expect([method, tokens]).toEqual(['tool', 18]);
    expect(expanded.map(({ page, start, end }) => [page, TEXT.slice(start, end)])).toEqual([
      [1, LINES[0]!.join('\n')],
    ]);
  });

  it('must answer once the budget is spent, and after some rounds in any case', async () => {
    const spent = await serve(calling(['read_lines', { page: 1, from: 1, to: 3 }]), whole('so'));
    const { answer, expansion } = await opened(spent.backend()).ask(
      QUESTION,
      {},
      settings({ budget: 8 }),
    );
    expect([answer, expansion!.tokens]).toEqual(['so', 8]);
    expect(spent.seen[1]!.body.tool_choice).toBe('none');
    expect(spent.seen[1]!.body.messages.at(-1).content).toBe(
      '1| The north gate is oak.\n(No more can be read: answer now.)',
    );
    const endless = await serve(calling(['find', { text: 'pump' }]));
    const { usage } = await opened(endless.backend()).ask(QUESTION, {}, settings({ budget: 500 }));
    expect(usage.reading!.rounds).toBe(5);
    expect(endless.seen.at(-1)!.body.tool_choice).toBe('none');
  });

  it('is told in words what it cannot read', async () => {
    const source = await ExpansionSource.of([
      { text: async () => TEXT, pages: async () => records },
    ]);
    const reader = new SourceReader(source, 100, countTokens);
    const run = (name: string, given: object) =>
      runToolCall(reader, { name, arguments: JSON.stringify(given) });
    expect(run('read_lines', { page: 9, from: 1, to: 2 })).toMatch(/no page 9; the last one is 2/);
    expect(run('read_lines', { page: 2, from: 7, to: 8 })).toMatch(/has 2 lines/);
    expect(run('read_lines', { page: 1, from: 'x', to: 2 })).toMatch(/whole numbers/);
    expect(run('find', { text: 'zeppelin' })).toMatch(/Nothing like it/);
    expect(run('find', { text: 7 })).toMatch(/word or phrase/);
    expect(run('remove', {})).toMatch(/no function remove/);
    expect(reader.ranges).toEqual([]);
    expect(run('find', { text: 'price of the pump' })).toMatch(/Nearest:\n.*14,250 kroner/);
  });
});

describe('a model that takes none', () => {
  const refusing = json(400, { error: { message: 'glyph does not support tools' } });

  it('names the lines first, and gets them with the question', async () => {
    const named = 'Here: ```json\n{"read": [{"page": 2, "from": 1}], "find": ["code"]}\n```';
    const server = await serve(
      refusing,
      whole(named),
      whole('14,250 kroner'),
      whole('{}'),
      whole('?'),
    );
    const client = server.backend();
    const expander = opened(client);
    const { answer, usage, expansion } = await expander.ask(QUESTION, {}, settings());
    expect(answer).toBe('14,250 kroner');
    expect(usage.reading).toEqual({ by: 'prompt', rounds: 2, calls: [] });
    const asked = server.seen[2]!.body.messages.at(-1).content.at(-1).text;
    expect(asked).toMatch(/14,250 kroner\.[\s\S]*7f3a-99c1-04be[\s\S]*\n\nWhat is the code/);
    expect(expansion!.expanded.map(({ page }) => page)).toEqual([1, 2]);
    // What its server said is remembered; a reply that names nothing leaves the pages alone.
    const second = await expander.ask(QUESTION, {}, settings());
    expect(server.seen.slice(3).every(({ body }) => body.tools === undefined)).toBe(true);
    expect(server.seen).toHaveLength(5);
    expect(second.expansion).toMatchObject({ tokens: 0, expanded: [] });
  });

  it('is not taken for one when the server fails otherwise', async () => {
    const server = await serve(json(401, { error: { message: 'no key' } }));
    await expect(opened(server.backend()).ask(QUESTION, {}, settings())).rejects.toMatchObject({
      code: 'GP_BACKEND_REQUEST',
    });
    expect(server.seen).toHaveLength(1);
  });
});

describe('the method auto', () => {
  it('takes the tool where there is one, else the words of the question', async () => {
    const server = await serve(calling(['find', { text: 'pump' }]), whole('so'));
    const auto = settings({ method: 'auto' });
    const answer = await opened(server.backend()).ask(QUESTION, {}, auto);
    expect(answer.expansion!.method).toBe('tool');
    const here = {
      sources: [{ text: async () => TEXT, pages: async () => records }],
      report: {} as CompressionReport,
      ask: async () => answer,
    };
    expect((await new Expander(here).ask(QUESTION, {}, auto)).expansion!.method).toBe('lexical');
    await expect(new Expander(here).ask(QUESTION, {}, settings())).rejects.toMatchObject({
      code: 'GP_USAGE',
    });
  });
});
