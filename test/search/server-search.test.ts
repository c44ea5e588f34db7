/** A search whose pages go to a server: a real HTTP server plays a model that knows the answers. */

import { existsSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { OpenAiBackend } from '../../src/pipeline/backends/openai.js';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { searchInFolder } from '../../src/search/run-search.js';
import { ServerEvaluator } from '../../src/search/server-evaluator.js';
import { temporaryFolder } from '../support/folders.js';
import { smallSearch, smallTasks } from './small-search.js';

describe('a search through a server', () => {
  it('sends pages, and keeps to rendering', async () => {
    const given = smallTasks('full');
    const answers = new Map(
      [...given.train, ...given.validation, ...given.heldOut].flatMap(({ questions }) =>
        questions.map(({ question, expected }) => [question, expected[0]!]),
      ),
    );
    const server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { messages } = JSON.parse(Buffer.concat(chunks).toString('utf8'));
        const parts = messages.at(-1).content as { type: string; text?: string }[];
        expect(parts.map(({ type }) => type)).toContain('image_url');
        const content = answers.get(parts.at(-1)!.text!) ?? 'not found';
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ choices: [{ message: { content } }] }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const folder = path.join(temporaryFolder(), 'run');
    const { port } = server.address() as AddressInfo;
    const evaluator = new ServerEvaluator(
      new OpenAiBackend({ baseUrl: `http://127.0.0.1:${port}`, model: 'm' }),
      {
        cache: path.join(folder, 'cache'),
        chromium: chromiumOptions,
        concurrency: 2,
        maxNewTokens: 64,
      },
    );
    const summary = await searchInFolder(smallSearch(evaluator, given, ['reader']), folder);
    expect(summary.front.length).toBeGreaterThan(0);
    expect(summary.front[0]!.heldOut).toMatchObject({ accuracy: 1, questions: 4 });
    for (const { settings } of summary.trials) expect(settings.plan).toEqual({ decoder: [] });
    expect(existsSync(path.join(folder, 'best/1.config.json'))).toBe(true);
  }, 120_000);
});
