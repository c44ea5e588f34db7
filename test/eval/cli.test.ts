import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EvalReport } from '../../src/eval/report.js';
import { glyphpress, startGlyphpress } from '../support/cli.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';

const env = { GLYPHPRESS_CACHE: sharedFolder() };
const small = [
  '--set',
  'page-size=280,280',
  '--browsers',
  '1',
  '--threads',
  '2',
  '--max-tokens',
  '4',
];

const run = async (args: readonly string[]) => {
  const { code, stdout, stderr } = await glyphpress(['eval', ...small, ...args], { env });
  expect(stderr).not.toContain('error');
  expect(code).toBe(0);
  return JSON.parse(stdout) as EvalReport;
};

describe('glyphpress eval', () => {
  it('killed at any time goes on, and gives the same report', async () => {
    const whole = await run(['--suite', 'all', '--pages', '1', '--samples', '1', '--json']);
    expect(whole.answered).toBe(whole.questions);

    const folder = path.join(temporaryFolder(), 'run');
    const args = ['--suite', 'all', '--pages', '1', '--samples', '1', '--json', '-o', folder];
    const { child, result } = startGlyphpress(['eval', ...small, ...args], { env });
    const results = path.join(folder, 'results.jsonl');
    const answered = () =>
      existsSync(results) ? readFileSync(results, 'utf8').split('\n').length - 1 : 0;
    while (answered() < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(-child.pid!, 'SIGKILL');
    await result;
    expect(answered()).toBeLessThan(whole.questions);
    expect(existsSync(path.join(folder, 'report.json'))).toBe(false);

    expect(await run(args)).toEqual(whole);
    expect(namesIn(folder)).toEqual([
      'report.json',
      'report.svg',
      'report.txt',
      'results.jsonl',
      'run.json',
    ]);
    expect(answered()).toBe(whole.questions);
  });

  it('asks what people ask, and writes a page of figures', async () => {
    const folder = path.join(temporaryFolder(), 'run');
    const args = ['--suite', 'natural', '--documents', '2', '--samples', '2', '--pages', '1'];
    const { code, stdout, stderr } = await glyphpress(
      ['eval', ...args, '--max-tokens', '4', '--browsers', '1', '-o', folder, '--json'],
      { env },
    );
    expect(stderr).not.toContain('error');
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as EvalReport & { natural: { documents: number } };
    expect(report).toMatchObject({ suite: 'natural', questions: 4, answered: 4, failed: 0 });
    expect(report.natural.documents).toBe(2);
    const page = readFileSync(path.join(folder, 'report.md'), 'utf8');
    expect(page).toContain(`npx glyphpress eval ${args.join(' ')} --max-tokens 4 --browsers 1\n`);
    expect(page).toMatch(/\| all questions \| \d+\.\d % \|/);
    expect(readFileSync(path.join(folder, 'report.txt'), 'utf8')).toContain('by kind of question');
  }, 150_000);

  it('draws the reader its own page unless a config is given', async () => {
    const args = ['--suite', 'hex', '--pages', '1', '--samples', '1', '--depths', '50', '--json'];
    const own = await run(args);
    const given = await run([...args, '--config', 'default']);
    expect(own.settings).toMatchObject({ prompt: 'bare', seed: 1 });
    expect(own.renderings[0]!.renderConfigId).not.toBe(given.renderings[0]!.renderConfigId);
  });

  it('scores tasks from a file on a server', async () => {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const question: string = JSON.parse(body).messages.at(-1).content.at(-1).text;
      const content = question.startsWith('Who') ? '<think>Hm.</think>Ingrid Marsh' : 'I saw 17.';
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ choices: [{ message: { content }, finish_reason: 'stop' }] }));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const folder = temporaryFolder();
    const tasks = path.join(folder, 'mixed.jsonl');
    const context = 'The light is kept by Ingrid Marsh, berth 17.';
    writeFileSync(
      tasks,
      [
        { context, input: 'Who keeps it?', answers: ['Ingrid Marsh'], dataset: 'hotpotqa' },
        { input: `${context}\nWhat are the numbers?`, outputs: ['17', '23'], task: 'niah' },
      ]
        .map((line) => JSON.stringify(line))
        .join('\n'),
    );
    const { code, stdout, stderr } = await glyphpress(
      [
        ...['eval', '--tasks', tasks, '-o', path.join(folder, 'run'), '--json', '--browsers', '1'],
        ...['--backend', 'openai', '--model', 'm', '--base-url'],
        `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ],
      { env },
    );
    // A busy machine is told how far it is.
    expect(stderr.replace(/^asked: .*\n|^\n/gm, '')).toBe('');
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as EvalReport;
    expect(report.table.map(({ label, value }) => [label, value])).toEqual([
      ['hotpotqa', 1],
      ['niah', 0.5],
    ]);
    expect(report.renderings[0]).toMatchObject({ documents: 2, pruneRatio: 1 });
  });

  it.each([
    [['--suite', 'hex', '--tasks', 'a.jsonl'], 2, 'GP_USAGE'],
    [['--suite', 'everything'], 2, 'GP_USAGE'],
    [['--pages', '0'], 2, 'GP_USAGE'],
    [['--depths', '50,101'], 2, 'GP_USAGE'],
    [['--metric', 'f1'], 2, 'GP_USAGE'],
    [['--backend', 'openai'], 2, 'GP_USAGE'],
    [['--tasks', 'nowhere.jsonl'], 1, 'GP_INPUT_NOT_FOUND'],
    [['--haystack', 'nowhere.txt'], 1, 'GP_INPUT_NOT_FOUND'],
  ])('%j ends with %i and %s', async (args, status, expected) => {
    const { code, stdout } = await glyphpress(['eval', ...args, '--json'], { env });
    expect(JSON.parse(stdout).error.code).toBe(expected);
    expect(code).toBe(status);
  });

  it('names the bad line of a file', async () => {
    const tasks = path.join(temporaryFolder(), 'bad.jsonl');
    writeFileSync(tasks, '{"context":"a","question":"b","answer":"c"}\n{"context":\n');
    const { code, stderr } = await glyphpress(['eval', '--tasks', tasks], { env });
    expect(code).toBe(1);
    expect(stderr).toContain('error GP_INPUT_UNREADABLE: bad.jsonl, line 2 is not JSON');
  });
});
