/** A document that its model does not hold is read in parts, by the rule of the command line. */

import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { partCapacity } from '../../src/pipeline/parts/part-capacity.js';
import { partsOfDocument } from '../../src/pipeline/parts/parts-of-document.js';
import type { DocumentPart } from '../../src/pipeline/parts/plan-parts.js';
import { CompressionQueue } from '../../src/queue/compression-queue.js';
import { connectRedis } from '../../src/queue/connection.js';
import { DocumentRecords } from '../../src/queue/document-records.js';
import { FolderStore } from '../../src/service/folder-store.js';
import { ModelRegistry } from '../../src/service/models.js';
import { keysOfParts } from '../../src/service/pieces.js';
import { openWork } from '../../src/service/work.js';
import { sharedFolder, temporaryFolder } from '../support/folders.js';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import { LOOK_UP_READER, shortModel, TINY_MODEL } from '../support/models.js';
import { words } from '../support/rendering.js';
import {
  cleanUpAtEnd,
  startTestWorkers,
  type TestRedis,
  testRedis,
  until,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();
/** Of 15 visual tokens a page, about 23 fit beside a question. */
const dir = shortModel(TINY_MODEL, path.join(sharedFolder(), 'short'), 400);
const models = () => new ModelRegistry([dir], { threads: 1 });
const PAGES_PER_JOB = 12;
const chapters = ['The harbour', 'The zephyr', 'The moor'].map(
  (title, n) => `Chapter ${n + 1}\n\n${title}. ${words(1_400, n + 1)}\n\n`,
);
const text = chapters.join('');

let redis: TestRedis;
let server: TestServer;
let records: DocumentRecords;
let queue: CompressionQueue;
let done: DocumentJson;
let parts: DocumentPart[];

const recordOf = async ({ id }: DocumentJson) => (await records.get({ tenant: 'local', id }))!;
const workOf = async (document: DocumentJson) =>
  openWork(await recordOf(document), {
    store: new FolderStore(redis.dataFolder),
    models: models(),
  });

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  const workers = { models: models(), pagesPerJob: PAGES_PER_JOB };
  server = await testServer(redis, cleanUp, { models: models() }, workers);
  const connection = await connectRedis(redis.url, 'request');
  records = new DocumentRecords(connection);
  queue = new CompressionQueue(connection);
  cleanUp.push(async () => {
    await queue.close();
    connection.disconnect();
  });
  done = await server.finished((await server.submit(text, { model: 'short' })).id);
  parts = (await recordOf(done)).parts!;
});

const json = async <T>(route: string, more: Parameters<TestServer['fetch']>[1] = {}) =>
  (await (await server.fetch(route, more)).json()) as T;

interface AskedPart {
  document_id: string;
  lexical_score: number;
  part: number;
  start: number;
  first_page: number;
  pages: number;
  answer: string;
}
interface ChatAnswer {
  choices: [{ message: { content: string } }];
  usage: {
    completion_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
    glyphpress: Record<string, number>;
  };
  glyphpress: {
    parts: AskedPart[];
    citations?: { document_id: string; start: number; end: number; text: string; page: number }[];
  };
}
const question = (more: object = {}, glyphpress: object = {}) => ({
  model: 'short',
  max_tokens: 6,
  messages: [{ role: 'user', content: 'What of the zephyr?' }],
  glyphpress: { document_ids: [done.id], ...glyphpress },
  ...more,
});
const ask = (glyphpress: object = {}) =>
  json<ChatAnswer>('/v1/chat/completions', { json: question({}, glyphpress) });

describe('a document that its model does not hold', () => {
  it('is read in the parts in which the command line reads it', async () => {
    expect(done).toMatchObject({ status: 'completed', error: null });
    expect(parts.length).toBeGreaterThan(2);
    const { reading } = await workOf(done);
    const registry = models();
    const model = await registry.open('short');
    const plan = await partsOfDocument(
      { id: 'doc_0', hash: '0', text },
      {
        renderConfig: reading.renderConfig,
        cellsOf: (page) => model.visualTokenGrid(page),
        cellsId: model.info.checkpointHash,
        capacity: partCapacity(model.info.maxPositions, reading.plan, 0),
        piece: null,
        folder: temporaryFolder(),
        chromium: chromiumOptions,
        signal: new AbortController().signal,
      },
    );
    await registry.close();
    expect(parts).toEqual(plan!.parts);
    expect(done.parts).toEqual(
      parts.map(({ start, end, pagesBefore, pages }) => ({
        start,
        end,
        first_page: pagesBefore + 1,
        pages,
      })),
    );
  });

  it('is drawn, encoded and prefilled as jobs of some pages of one part each', async () => {
    for (const { name, getCompleted } of queue.all.map((one) => ({
      name: one.name,
      getCompleted: () => one.getCompleted(0, 1_000),
    }))) {
      const ranges = (await getCompleted())
        .filter(({ data }) => data.id === done.id && data.range)
        .map(({ data }) => data.range as { part: number; start: number; end: number });
      if (name === 'extract') expect(ranges).toEqual([]);
      else expect(new Set(ranges.map(({ part }) => part)).size).toBe(parts.length);
      if (name !== 'encode') continue;
      for (const { start, end } of ranges) expect(end - start).toBeLessThanOrEqual(PAGES_PER_JOB);
      const pages = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
      expect(pages).toBe((done.progress as { pages: number }).pages);
    }
  });

  it('shows its pages, lines and report as those of one document', async () => {
    const all = parts.reduce((sum, { pages }) => sum + pages, 0);
    const report = await json<Record<string, number>>(`/v1/documents/${done.id}/report`);
    expect(report).toMatchObject({ pages: all, characters: text.length, documentId: done.id });
    expect(report.visualTokens).toBeGreaterThan(400);
    expect(done.progress).toMatchObject({ pages: all, pages_done: all });
    const spans = await json<{
      characters: number;
      pages: {
        page: number;
        start: number;
        end: number;
        lines: { start: number; end: number }[];
      }[];
    }>(`/v1/documents/${done.id}/spans`);
    expect(spans.characters).toBe(text.length);
    expect(spans.pages.map(({ page }) => page)).toEqual(
      Array.from({ length: all }, (_, n) => n + 1),
    );
    for (const [n, { start, lines }] of spans.pages.entries()) {
      // A line break between two pages is on neither.
      if (n > 0) expect(start - spans.pages[n - 1]!.end).toBeOneOf([0, 1]);
      expect(lines.every((line) => line.start >= start)).toBe(true);
    }
    const cells = await json<{ pages: unknown[] }>(`/v1/documents/${done.id}/cells`);
    expect(cells.pages).toHaveLength(all);
    const zephyr = text.indexOf('zephyr');
    const line = spans.pages.flatMap(({ lines }) => lines).find(({ end }) => end > zephyr)!;
    expect(text.slice(line.start, line.end)).toContain('zephyr');
    for (const page of [1, parts[1]!.pagesBefore, parts[1]!.pagesBefore + 1, all]) {
      const png = await server.fetch(`/v1/documents/${done.id}/pages/${page}.png`);
      expect([page, png.status]).toEqual([page, 200]);
    }
    expect((await server.fetch(`/v1/documents/${done.id}/pages/${all + 1}.png`)).status).toBe(404);
  });

  it('is asked in all its parts, or in those that the question speaks of', async () => {
    const every = await ask();
    const asked = every.glyphpress.parts;
    expect(asked.map(({ part }) => part).sort()).toEqual(parts.map((_, n) => n + 1));
    expect(every.choices[0].message.content).toBe(asked[0]!.answer);
    const report = await json<Record<string, number>>(`/v1/documents/${done.id}/report`);
    expect(every.usage.glyphpress).toMatchObject({
      pages: report.pages,
      visual_tokens: report.visualTokens,
      text_tokens: report.textTokens,
    });

    const likeliest = await ask({ parts: 1 });
    const [only, ...others] = likeliest.glyphpress.parts;
    expect(others).toEqual([]);
    const part = parts[only!.part - 1]!;
    expect(text.slice(part.start, part.end)).toContain('The zephyr');
    expect(only).toMatchObject({ start: part.start, first_page: part.pagesBefore + 1 });
    expect(likeliest.usage.glyphpress.pages).toBe(part.pages);
    expect(likeliest.usage.completion_tokens).toBeLessThan(every.usage.completion_tokens);
    expect((await ask({ parts: 2 })).glyphpress.parts).toHaveLength(2);
    const wrong = await server.fetch('/v1/chat/completions', { json: question({}, { parts: 0 }) });
    expect(wrong.status).toBe(400);
  });

  it('streams the answer of the only part, and the best of several at its end', async () => {
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 });
    for (const [wanted, glyphpress] of [
      [1, { parts: 1 }],
      [parts.length, {}],
    ] as const) {
      const whole = (await ask(glyphpress)).choices[0].message.content;
      const asked = { ...question({}, glyphpress), stream: true as const };
      const stream = await client.chat.completions.create(
        asked as unknown as OpenAI.ChatCompletionCreateParamsStreaming,
      );
      let said = '';
      let evidence: { parts: unknown[] } | undefined;
      for await (const chunk of stream) {
        said += chunk.choices[0]?.delta.content ?? '';
        evidence = (chunk as { glyphpress?: { parts: unknown[] } }).glyphpress ?? evidence;
      }
      expect(said.trim()).toBe(whole);
      expect(evidence!.parts).toHaveLength(wanted);
    }
  });

  it('is answered in the background, in as many parts as were asked for', async () => {
    const { id } = await json<{ id: string }>('/v1/responses', {
      json: {
        model: 'short',
        background: true,
        input: 'What of the zephyr?',
        max_output_tokens: 6,
        glyphpress: { document_ids: [done.id], parts: 1 },
      },
    });
    type Response = { status: string; glyphpress: { parts: unknown[] } };
    let response!: Response;
    await until(async () => {
      response = await json<Response>(`/v1/responses/${id}`);
      return !['queued', 'in_progress'].includes(response.status);
    });
    expect(['completed', 'incomplete']).toContain(response.status);
    expect(response.glyphpress.parts).toHaveLength(1);
  });

  it('is asked together with others, each of its parts and each of them by itself', async () => {
    const text = 'The walrus sleeps.';
    const other = await server.finished((await server.submit(text, { model: 'short' })).id);
    const document_ids = [other.id, done.id];
    const every = await ask({ document_ids });
    const own = parts.map(({ start }, n) => ({ document_id: done.id, part: n + 1, start }));
    const all = [{ document_id: other.id, part: 1, start: 0 }, ...own];
    const asked = every.glyphpress.parts;
    expect(asked).toHaveLength(all.length);
    for (const one of all) expect(asked).toContainEqual(expect.objectContaining(one));
    const pages = (done.progress.pages ?? 0) + (other.progress.pages ?? 0);
    expect(every.usage.glyphpress).toMatchObject({ pages, document_ids });

    const [likeliest] = (await ask({ document_ids, parts: 1 })).glyphpress.parts;
    const { start, first_page, document_id } = likeliest!;
    expect(document_id).toBe(done.id);
    const part = parts.find((one) => one.start === start)!;
    expect(first_page).toBe(part.pagesBefore + 1);
    const walrus = question(
      { messages: [{ role: 'user', content: 'What does the walrus do?' }] },
      { document_ids: [done.id, other.id], parts: 1 },
    );
    const reply = await json<ChatAnswer>('/v1/chat/completions', { json: walrus });
    expect(reply.glyphpress.parts).toMatchObject([
      { document_id: other.id, part: 1, start: 0, end: text.length, first_page: 1, pages: 1 },
    ]);
    const report = await json(`/v1/documents/${other.id}/report`);
    expect(reply.usage.glyphpress.visual_tokens).toBe(
      (report as Record<string, number>).visualTokens,
    );
  });

  it('takes no layout and no model when it is handed in again, and goes with all its parts', async () => {
    const work = await workOf(done);
    const folder = path.dirname(work.place.context('0'.repeat(32)));
    const contexts = keysOfParts(work.reading.contextKey, work.record).map((key) =>
      work.place.context(key),
    );
    expect(contexts.every(existsSync)).toBe(true);
    const again = await server.finished((await server.submit(text, { model: 'short' })).id);
    expect(again).toMatchObject({ status: 'completed', parts: done.parts });
    const otherwise = await server.submit(text, { model: 'short', sidecar: 20 });
    expect((await server.finished(otherwise.id)).status).toBe('completed');

    const remove = ({ id }: DocumentJson) =>
      server.fetch(`/v1/documents/${id}`, { method: 'DELETE' });
    await remove(again);
    expect(contexts.every(existsSync)).toBe(true);
    await remove(done);
    expect(contexts.some(existsSync)).toBe(false);
    expect(readdirSync(folder).some((name) => name.startsWith('context-'))).toBe(true);
    await remove(otherwise);
    expect(existsSync(folder)).toBe(false);
  });
});

it('an answer from a later part is cited where it stands in the whole document', async () => {
  const reader = shortModel(LOOK_UP_READER, path.join(temporaryFolder(), 'reader'), 1_600);
  const readers = () => new ModelRegistry([reader], { threads: 2 });
  const other = await testRedis(cleanUp);
  const own = await testServer(other, cleanUp, { models: readers() }, { models: readers() });
  const secret = 'The access code of the north gate is 4817.';
  const boats = (from: number, count: number) =>
    Array.from(
      { length: count },
      (_, n) => `On day ${from + n} the boats brought ${(n * 7) % 90} baskets home.`,
    );
  const long = [...boats(1, 500), secret, ...boats(501, 20)].join(' ');
  const submitted = await own.submit(long, { model: 'reader', render: undefined });
  const document = await own.finished(submitted.id);
  expect(document.error).toBeNull();
  const given = document.parts as { start: number; end: number; first_page: number }[];
  expect(given.length).toBeGreaterThan(1);
  const ask = async (document_ids: string[]) => {
    const reply = await own.fetch('/v1/chat/completions', {
      json: {
        model: 'reader',
        max_tokens: 60,
        messages: [{ role: 'user', content: 'What is the access code of the north gate?' }],
        glyphpress: { document_ids, parts: 1, citations: true },
      },
    });
    return (await reply.json()) as ChatAnswer;
  };
  const { choices, glyphpress } = await ask([document.id]);
  const at = long.indexOf(secret);
  const [part] = glyphpress.parts;
  expect(part!.start).toBe(given.at(-1)!.start);
  expect(choices[0].message.content).toContain('4817');
  const [citation] = glyphpress.citations!;
  expect(citation!.start).toBeGreaterThanOrEqual(at);
  expect(citation!.end).toBeLessThanOrEqual(at + secret.length);
  expect(long.slice(citation!.start, citation!.end)).toBe(citation!.text);
  expect(citation!.page).toBeGreaterThanOrEqual(given.at(-1)!.first_page);
  const shown = await own.fetch(`/v1/documents/${document.id}/spans?page=${citation!.page}`);
  const [page] = ((await shown.json()) as { pages: { start: number; end: number }[] }).pages;
  expect(citation!.start).toBeGreaterThanOrEqual(page!.start);
  expect(citation!.end).toBeLessThanOrEqual(page!.end);
  expect(citation!.document_id).toBe(document.id);

  // Behind another document in the text that both are asked as, and at the same place in its own.
  const note = await own.submit(boats(900, 30).join(' '), { model: 'reader', render: undefined });
  expect((await own.finished(note.id)).error).toBeNull();
  const together = await ask([note.id, document.id]);
  const [{ lexical_score: _, ...asked }] = glyphpress.parts as [AskedPart];
  expect(together.glyphpress.parts).toMatchObject([asked]);
  expect(together.glyphpress.citations).toEqual(glyphpress.citations);
});

describe('parts of a document', () => {
  it('are not lost when workers leave in the middle of any step', async () => {
    const other = await testRedis(cleanUp);
    const own = await testServer(other, cleanUp, { models: models() }, null);
    const { id } = await own.submit(text, { model: 'short' });
    const connection = await connectRedis(other.url, 'worker');
    cleanUp.push(async () => connection.disconnect());
    const theirs = new DocumentRecords(connection);
    const state = async () => (await theirs.get({ tenant: 'local', id }))!;
    let before: DocumentPart[] | null = null;
    for (const stage of ['render', 'encode', 'prefill'] as const) {
      const workers = await startTestWorkers(other, { models: models(), pagesPerJob: 12 });
      await until(async () => {
        const record = await state();
        return record.state === 'completed' || (record.stage === stage && record.share > 0.1);
      });
      await workers.close(0);
      const { parts: now } = await state();
      if (before) expect(now).toEqual(before);
      before = now;
    }
    const workers = await startTestWorkers(other, { models: models(), pagesPerJob: 12 });
    const finished = await own.finished(id);
    await workers.close(0);
    expect(finished).toMatchObject({ status: 'completed', error: null });
    expect(before).not.toBeNull();
  });

  it('are refused before a page is drawn: too many of them, and more than a quota holds', async () => {
    const other = await testRedis(cleanUp);
    const own = await testServer(other, cleanUp, { models: models() }, null);
    const outcomes = [];
    for (const limits of [{ maxParts: 2 }, { quotaBytes: 200_000 }]) {
      const { id } = await own.submit(text, { model: 'short' });
      const workers = await startTestWorkers(other, { models: models(), ...limits });
      outcomes.push(await own.finished(id));
      await workers.close(0);
    }
    const [tooMany, tooLarge] = outcomes;
    expect(tooMany).toMatchObject({
      status: 'failed',
      progress: { pages_done: 0 },
      error: {
        code: 'GP_CONTEXT_LENGTH',
        message: expect.stringContaining('in each of at most 2 parts'),
        details: { limit: 350, maxParts: 2, parts: expect.any(Array) },
      },
    });
    expect(tooLarge).toMatchObject({
      status: 'failed',
      progress: { pages_done: 0 },
      error: { code: 'GP_QUOTA' },
    });
  });
});
