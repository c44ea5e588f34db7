/** The language model is a real HTTP server that says what the test wants. */

import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
import { axisContributions } from '../../src/search/axis-contributions.js';
import { EvolutionProposer } from '../../src/search/evolution-proposer.js';
import { Journal } from '../../src/search/journal.js';
import { LlmChat } from '../../src/search/llm-chat.js';
import { PROMPT_TOKENS } from '../../src/search/llm-prompt.js';
import { LlmProposer } from '../../src/search/llm-proposer.js';
import { parseReply } from '../../src/search/llm-reply.js';
import { referenceCandidates } from '../../src/search/references.js';
import { searchReport } from '../../src/search/report.js';
import { runSearch, type SearchOutcome } from '../../src/search/search.js';
import { Space } from '../../src/search/space.js';
import { summarise } from '../../src/search/summary.js';
import { Transcript } from '../../src/search/transcript.js';
import { temporaryFolder } from '../support/folders.js';
import { SyntheticEvaluator, syntheticTasks } from './synthetic.js';

const QUESTIONS = 12;
const space = new Space();

interface Asked {
  body: { messages: { role: string; content: string }[]; response_format?: unknown };
  key: string | undefined;
}

type Script = (asked: Asked, n: number) => string | { status: number };

/** Answers every chat completion as the script says. */
async function scripted(script: Script): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
      asked.push({ body, key: request.headers.authorization });
      const said = script(asked.at(-1)!, asked.length);
      if (typeof said !== 'string') {
        response.writeHead(said.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message: 'no' } }));
        return;
      }
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          choices: [{ message: { role: 'assistant', content: said } }],
          usage: { prompt_tokens: 100, completion_tokens: 50 },
        }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked };
}

const good = (changes: Record<string, unknown>[]) =>
  JSON.stringify({
    analysis: 'Small type is dense.',
    critique: 'Margins were wasted.',
    candidates: changes.map((change) => ({ from: [1], changes: change, why: 'denser' })),
  });

/** Sizes that differ from round to round, so that every proposal is new. */
const fresh: Script = (_, n) =>
  good([7, 7.5, 8, 9.5, 10].map((size) => ({ 'font-size': size, 'margin-x': n, dpi: 72 })));

async function search(url: string, folder: string, budget = 18): Promise<SearchOutcome> {
  const chat = new LlmChat(
    { baseUrl: url, model: 'm', apiKey: 'secret-key' },
    { sleep: async () => {} },
  );
  const evolution = new EvolutionProposer(QUESTIONS);
  const transcript = new Transcript(path.join(folder, 'llm.jsonl'));
  const journal = new Journal(path.join(folder, 'trials.jsonl'));
  try {
    return await runSearch(
      {
        space,
        tasks: syntheticTasks(),
        evaluator: new SyntheticEvaluator(),
        proposer: new LlmProposer(chat, evolution, transcript, QUESTIONS),
        references: referenceCandidates(space, null, 4),
        defaultConfig: null,
        seed: 1,
        budget,
        generation: 5,
        patience: 9,
        minRatio: 1,
      },
      journal,
    );
  } finally {
    journal.close();
  }
}

const by = ({ records }: SearchOutcome, who: string) =>
  records.filter(({ trial }) => trial.by === who);

describe('a good language model', () => {
  it('is told what was measured, within its budget, and its proposals are tried', async () => {
    const { url, asked } = await scripted(fresh);
    const folder = temporaryFolder();
    const outcome = await search(url, folder);
    expect(by(outcome, 'llm').length).toBe(9);
    expect(by(outcome, 'llm')[0]!.trial).toMatchObject({ parents: [1], why: 'denser' });
    const { messages, response_format } = asked[0]!.body;
    expect(response_format).toBeDefined();
    expect(messages[1]!.content).toMatch(/font-size: .*9\.3015/);
    expect(messages[1]!.content).toMatch(/#3 \(glyph-72\) \| /);
    expect(asked[1]!.body.messages[1]!.content).toContain('Margins were wasted.');
    for (const { body } of asked) {
      const tokens = body.messages.reduce((sum, { content }) => sum + countTextTokens(content), 0);
      expect(tokens).toBeLessThanOrEqual(PROMPT_TOKENS);
    }
    expect(outcome.generations.at(-1)!.notes).toMatchObject({
      analysis: 'Small type is dense.',
      promptTokens: 100,
      replyTokens: 50,
      attempts: 1,
    });
    const transcript = readFileSync(path.join(folder, 'llm.jsonl'), 'utf8');
    expect(transcript).toContain('Small type is dense.');
    expect(asked[0]!.key).toBe('Bearer secret-key');
    expect(transcript).not.toContain('secret-key');
  });

  it('is not asked again by a search that goes on, also where only the transcript is left', async () => {
    const { url, asked } = await scripted(fresh);
    const folder = temporaryFolder();
    const whole = await search(url, folder);
    const times = asked.length;
    const log = path.join(folder, 'trials.jsonl');
    const lines = readFileSync(log, 'utf8').split('\n');
    const at = lines.findIndex((line) => line.startsWith('{"step":"propose 1"'));
    writeFileSync(log, `${lines.slice(0, at).join('\n')}\n{"step":"pro`);
    expect(await search(url, folder)).toEqual(whole);
    expect(asked.length).toBe(times);
  });

  it('without structured output is asked in words only', async () => {
    const { url, asked } = await scripted((one, n) =>
      one.body.response_format ? { status: 400 } : fresh(one, n),
    );
    const outcome = await search(url, temporaryFolder());
    expect(by(outcome, 'llm').length).toBe(9);
    expect(asked.filter(({ body }) => body.response_format)).toHaveLength(1);
  });

  it('may think aloud and use fences', () => {
    const reply = `<think>{hm}</think>Sure!\n\`\`\`json\n${good([{ dpi: 80 }])}\n\`\`\``;
    expect(parseReply(reply, space).candidates[0]!.changes).toEqual({ dpi: 80 });
  });
});

describe('a bad language model', () => {
  it('that babbles is told so, then evolution stands in, and the round says it', async () => {
    const { url, asked } = await scripted(() => 'I would rather talk about the weather.');
    const outcome = await search(url, temporaryFolder());
    expect(outcome.records).toHaveLength(18);
    expect(by(outcome, 'llm')).toEqual([]);
    const { notes } = outcome.generations[1]!;
    expect(notes).toMatchObject({ attempts: 3, failure: expect.stringMatching(/unusable reply/) });
    expect(asked[1]!.body.messages.at(-1)!.content).toMatch(/not one JSON object/);
  });

  it('that mends its answer is heard', async () => {
    const { url } = await scripted((one, n) => (n % 2 ? '{"candidates": 3}' : fresh(one, n)));
    const outcome = await search(url, temporaryFolder());
    expect(by(outcome, 'llm').length).toBe(9);
    expect(outcome.generations[1]!.notes).toMatchObject({ attempts: 2 });
    expect(outcome.generations[1]!.notes!.failure).toBeUndefined();
  });

  it('that cannot be reached loses no trial', async () => {
    const outcome = await search('http://127.0.0.1:1/v1', temporaryFolder());
    expect(outcome.records).toHaveLength(18);
    expect(outcome.generations[1]!.notes!.failure).toMatch(/GP_BACKEND_UNAVAILABLE/);
  });

  it('that is malicious gets no markup, path or script anywhere', async () => {
    const attack = '"><script>alert(1)</script><style>@import url(http://evil.example)</style>';
    const { url } = await scripted((_, n) =>
      JSON.stringify({
        analysis: attack,
        critique: 'line\u001b[31m red\u202e',
        candidates: [
          {
            from: ['x', 1e99, -4],
            changes: { 'font-path': '/etc/passwd', 'font-family': '../../x.ttf' },
            why: attack,
          },
          {
            from: [1],
            changes: { 'newline-markup': '<img src=x onerror=alert(1)>', dpi: 1e9, __proto__: 3 },
            why: attack,
          },
          {
            from: [1],
            changes: { palette: 'red;} body{display:none', 'font-size': 7, 'margin-x': n },
            why: attack,
          },
        ],
      }),
    );
    const folder = temporaryFolder();
    const outcome = await search(url, folder);
    const proposed = by(outcome, 'llm');
    expect(proposed.length).toBeGreaterThan(0);
    for (const { trial } of outcome.records) {
      for (const [axis, { domain }] of Object.entries(space.axes))
        if (trial.name === undefined)
          expect(space.clamp(trial.point)[axis], `${axis} of ${JSON.stringify(domain)}`).toBe(
            trial.point[axis],
          );
      expect(Object.keys(trial.settings.config)).not.toContain('font-path');
    }
    expect(outcome.generations[1]!.notes!.unusable).toBeGreaterThan(0);
    const summary = summarise(outcome, {
      key: {},
      proposer: 'llm',
      defaultConfig: null,
      seed: 1,
      budget: 18,
      minRatio: 1,
      tasks: 'synthetic',
      timings: { wallMs: 0, renderMs: 0, inferenceMs: 0 },
      concurrency: 1,
      expand: null,
      questionsInAll: QUESTIONS,
    });
    const contributions = axisContributions(outcome.records, space);
    const report = searchReport({ summary, pictures: [], contributions });
    expect(report).toContain('&lt;script&gt;alert(1)');
    expect(report).not.toMatch(/<script|<style>@|<img src=x|\u001b|\u202e/);
    expect(report).toContain("default-src 'none'");
  });
});
