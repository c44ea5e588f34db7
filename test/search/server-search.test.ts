/** A search whose pages go to a server: a real HTTP server plays a model that knows the answers. */

import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { OpenAiBackend } from '../../src/pipeline/backends/openai.js';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
import { searchInFolder } from '../../src/search/run-search.js';
import { ServerEvaluator } from '../../src/search/server-evaluator.js';
import { summaryText } from '../../src/search/summary-text.js';
import type { DocumentScore } from '../../src/search/trial.js';
import { temporaryFolder } from '../support/folders.js';
import { smallSearch, smallTasks } from './small-search.js';

const given = smallTasks('full');
const answers = new Map(
  [...given.train, ...given.validation, ...given.heldOut].flatMap(({ questions }) =>
    questions.map(({ question, expected }) => [question, expected[0]!]),
  ),
);

/** @returns its address, and the last text of each request */
async function startServer() {
  const prompts: string[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { messages } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      const parts = messages.at(-1).content as { type: string; text?: string }[];
      expect(parts.map(({ type }) => type)).toContain('image_url');
      const prompt = parts.at(-1)!.text!;
      prompts.push(prompt);
      const asked = [...answers.keys()].find((question) => prompt.endsWith(question));
      const content = (asked && answers.get(asked)) ?? 'not found';
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ choices: [{ message: { content } }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const client = new OpenAiBackend({ baseUrl: `http://127.0.0.1:${port}`, model: 'm' });
  return { client, prompts };
}

const optionsIn = (folder: string) => ({
  cache: path.join(folder, 'cache'),
  chromium: chromiumOptions,
  concurrency: 2,
  maxNewTokens: 64,
});

describe('a search through a server', () => {
  it('sends pages, and keeps to rendering', async () => {
    const { client } = await startServer();
    const folder = path.join(temporaryFolder(), 'run');
    const evaluator = new ServerEvaluator(client, optionsIn(folder));
    const summary = await searchInFolder(smallSearch(evaluator, given, ['reader']), folder);
    expect(summary.front.length).toBeGreaterThan(0);
    expect(summary.front[0]!.heldOut).toMatchObject({ accuracy: 1, questions: 4 });
    expect(summary.expand).toBeNull();
    for (const { settings } of summary.trials) expect(settings.plan).toEqual({ decoder: [] });
    expect(existsSync(path.join(folder, 'best/1.config.json'))).toBe(true);
  }, 120_000);

  it('asks with passages, counts them in every ratio, and goes on with the same ones only', async () => {
    const { client, prompts } = await startServer();
    const folder = path.join(temporaryFolder(), 'run');
    const search = (budget: number) => {
      const expand = { method: 'lexical' as const, budget, countTokens: countTextTokens };
      const evaluator = new ServerEvaluator(client, { ...optionsIn(folder), expand });
      return searchInFolder(smallSearch(evaluator, given, ['reader']), folder);
    };
    const summary = await search(60);
    expect(prompts.length).toBeGreaterThan(0);
    for (const prompt of prompts) expect(prompt).toContain('word for word');
    expect(summary.expand).toMatchObject({ method: 'lexical', budget: 60 });
    expect(summary.expand!.tokens).toBeGreaterThan(0);
    expect(summary.expand!.tokens).toBeLessThanOrEqual(60);
    expect(summaryText(summary, folder)).toContain('--expand lexical --expand-budget 60');
    const scored = readFileSync(path.join(folder, 'trials.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .flatMap((line) => (JSON.parse(line).body.documents ?? []) as DocumentScore[]);
    expect(scored.length).toBeGreaterThan(0);
    for (const { visualTokens, contextTokens, expandedTokens } of scored) {
      expect(expandedTokens).toBeGreaterThan(0);
      expect(contextTokens).toBeCloseTo(visualTokens + expandedTokens!, 6);
    }
    // One train text, looked at and asked in full: what was predicted of it is what it took.
    for (const { stackedRatio, train } of summary.trials)
      if (train) expect(train.stackedRatio).toBeCloseTo(stackedRatio!, 6);

    const asked = prompts.length;
    expect((await search(60)).trials).toEqual(summary.trials);
    expect(prompts).toHaveLength(asked);
    await expect(search(61)).rejects.toMatchObject({ code: 'GP_ARTIFACT_MISMATCH' });
  }, 120_000);
});
