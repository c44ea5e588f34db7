/** Documents whose model reads passages alone: drawn at once, their contexts built when a question reads pages. */

import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DocumentRecords } from '../../src/queue/document-records.js';
import type { Step } from '../../src/queue/stage-runner.js';
import { FolderStore } from '../../src/service/folder-store.js';
import { ModelRegistry } from '../../src/service/models.js';
import { Sweeper } from '../../src/service/sweeper.js';
import { openWork } from '../../src/service/work.js';
import { sharedFolder } from '../support/folders.js';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import { passagesAloneModel } from '../support/models.js';
import { words } from '../support/rendering.js';
import {
  cleanUpAtEnd,
  startTestWorkers,
  type TestRedis,
  TINY_NAME,
  testRedis,
  testService,
  until,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const folder = passagesAloneModel(path.join(sharedFolder(), TINY_NAME));
const models = () => new ModelRegistry([folder], { threads: 1 });
const textOf = (n: number) => `${words(200)}\nThe gate ${n} is shut at nine.\n${words(300)}`;

let redis: TestRedis;
let server: TestServer;
let texts = 0;
beforeAll(async () => {
  redis = await testRedis(cleanUp);
  server = await testServer(redis, cleanUp, { models: models() }, null);
  records = new DocumentRecords(redis.redis);
});

async function withWorkers<T>(
  work: () => Promise<T>,
  steps: Partial<Record<'encode' | 'prefill', Step>> = {},
): Promise<T> {
  const running = await startTestWorkers(redis, { models: models(), steps });
  try {
    return await work();
  } finally {
    await running.close(0);
  }
}

const drawn = (fields: Record<string, unknown> = {}) =>
  withWorkers(async () => server.finished((await server.submit(textOf(texts++), fields)).id));

const get = async (id: string) =>
  (await (await server.fetch(`/v1/documents/${id}`)).json()) as DocumentJson;

async function ask(ids: readonly string[], question: string, glyphpress: object = {}) {
  const response = await server.fetch('/v1/chat/completions', {
    json: {
      model: TINY_NAME,
      max_tokens: 4,
      messages: [{ role: 'user', content: question }],
      glyphpress: { document_ids: ids, ...glyphpress },
    },
  });
  return { status: response.status, body: await response.json() };
}

const PAGES = { expand: 'off' };
let records: DocumentRecords;
const recordOf = async (id: string) => (await records.get({ tenant: 'local', id }))!;
const folderOf = async (id: string) => {
  const store = new FolderStore(redis.dataFolder);
  const { place, reading } = openWork(await recordOf(id), { store, models: models() });
  return place.context(reading.contextKey);
};

describe('a document of a model that reads passages alone', () => {
  it('is completed when it is drawn, and says what there is not', async () => {
    const document = await drawn();
    expect(document).toMatchObject({
      status: 'completed',
      context: { status: 'not_built', progress: null, error: null },
      compression: {
        text_tokens: expect.any(Number),
        visual_tokens: expect.any(Number),
        encoded_tokens: null,
        context_tokens: null,
        stacked_ratio: null,
        kv_bytes: null,
      },
    });
    expect(document.progress.pages).toBeGreaterThan(1);
    const { id } = document;
    expect(existsSync(await folderOf(id))).toBe(false);
    expect((await server.fetch(`/v1/documents/${id}/pages/1.png`)).status).toBe(200);
    const cells = await server.fetch(`/v1/documents/${id}/cells?page=1`);
    expect(await cells.json()).toMatchObject({ code: 'GP_DOCUMENT_STATE' });
    const report = await (await server.fetch(`/v1/documents/${id}/report`)).json();
    expect(report).toMatchObject({ made: 'pages', timings: { encodeMs: null, prefillMs: null } });
  });

  it('answers by passages with their places, alone and with others, and builds nothing', async () => {
    const [one, other] = [await drawn(), await drawn()];
    for (const ids of [[one.id], [one.id, other.id]]) {
      const { status, body } = await ask(ids, 'Which gate is shut?', { expand_budget: 600 });
      expect(status).toBe(200);
      expect(body.glyphpress.passages).toBe('alone');
      expect(body.glyphpress.expanded[0]).toMatchObject({ page: expect.any(Number) });
      const cost = body.usage.glyphpress;
      expect(cost).toMatchObject({ encoded_tokens: null, context_tokens: cost.expanded_tokens });
      expect(cost.visual_tokens).toBeGreaterThan(0);
    }
    expect(await get(one.id)).toMatchObject({ context: { status: 'not_built' } });
  });

  it('builds its context once for all questions that read pages, and keeps it', async () => {
    const { id } = await drawn();
    const answers = await withWorkers(() =>
      Promise.all([ask([id], 'Zeppelin?'), ask([id], 'Which gate?', PAGES)]),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect((await recordOf(id)).generation).toBe(2);
    const built = await get(id);
    expect(built).toMatchObject({
      status: 'completed',
      context: { status: 'built' },
      compression: { context_tokens: expect.any(Number), kv_bytes: expect.any(Number) },
    });
    // No worker is there now.
    expect((await ask([id], 'Which wall?', PAGES)).status).toBe(200);
  });

  it('knows the context of an equal document', async () => {
    const text = textOf(texts++);
    const [first, second] = await withWorkers(async () => {
      const { id } = await server.submit(text, { contexts: 'at-once' });
      await server.finished(id);
      return [await get(id), await server.finished((await server.submit(text)).id)];
    });
    expect(second!.context).toMatchObject({ status: 'built' });
    expect(second!.compression).toEqual(first!.compression);
  });

  it('builds a context anew that the store has lost', async () => {
    const { id } = await drawn({ contexts: 'at-once' });
    expect(await get(id)).toMatchObject({ context: { status: 'built' } });
    rmSync(await folderOf(id), { recursive: true });
    const { status } = await withWorkers(() => ask([id], 'Which gate?', PAGES));
    expect(status).toBe(200);
    expect(existsSync(await folderOf(id))).toBe(true);
  });

  it('builds those of documents that are asked together', async () => {
    const [one, other] = [await drawn(), await drawn()];
    const { status, body } = await withWorkers(() => ask([one.id, other.id], 'Gate?', PAGES));
    expect({ status, body }).toMatchObject({ status: 200 });
    expect(body.usage.glyphpress.context_tokens).toBeGreaterThan(0);
  });

  it('says that it is being built when the time is over, and goes on', async () => {
    const { id } = await drawn();
    const { status, body } = await ask([id], 'Which gate?', { ...PAGES, wait_seconds: 0 });
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'GP_DOCUMENT_PENDING' });
    expect(await get(id)).toMatchObject({ status: 'completed', context: { status: 'building' } });
    await withWorkers(() => until(async () => (await recordOf(id)).context === 'built'));
  });
});

describe('the building of a context', () => {
  const blocked =
    (begun: () => void): Step =>
    ({ signal }) => {
      begun();
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    };

  it('goes on where another worker takes it over, while the question waits', async () => {
    const { id } = await drawn();
    let begun = () => {};
    const isBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    let answer: ReturnType<typeof ask> | undefined;
    await withWorkers(
      async () => {
        answer = ask([id], 'Which gate?', PAGES);
        await isBegun;
      },
      { encode: blocked(begun) },
    );
    expect((await get(id)).context).toMatchObject({ status: 'building' });
    expect((await withWorkers(() => answer!)).status).toBe(200);
  });

  it('is cancelled by itself: the document stays, and the next question starts anew', async () => {
    const { id } = await drawn();
    let begun = () => {};
    const isBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    await withWorkers(
      async () => {
        const waiting = ask([id], 'Which gate?', PAGES);
        await isBegun;
        const response = await server.fetch(`/v1/documents/${id}/cancel`, { json: {} });
        expect(await response.json()).toMatchObject({
          status: 'completed',
          context: { status: 'not_built' },
        });
        const { status, body } = await waiting;
        expect({ status, code: body.error.code }).toEqual({
          status: 422,
          code: 'GP_DOCUMENT_STATE',
        });
      },
      { encode: blocked(begun) },
    );
    expect((await withWorkers(() => ask([id], 'Which gate?', PAGES))).status).toBe(200);
  });

  it('says why it failed, and what is made is kept', async () => {
    const { id } = await drawn();
    const failing: Step = async () => {
      throw Object.assign(new Error('no room'), { code: 'GP_TEST' });
    };
    const { status, body } = await withWorkers(() => ask([id], 'Which gate?', PAGES), {
      prefill: failing,
    });
    expect({ status, code: body.error.code }).toEqual({ status: 422, code: 'GP_DOCUMENT_STATE' });
    expect(await get(id)).toMatchObject({
      status: 'completed',
      error: null,
      context: { status: 'not_built', error: { code: expect.any(String) } },
    });
    expect((await ask([id], 'Which gate is shut?')).status).toBe(200);
    expect((await withWorkers(() => ask([id], 'Which gate?', PAGES))).status).toBe(200);
    expect((await get(id)).context).toMatchObject({ status: 'built', error: null });
  });

  it('is no idleness, and is put back by the sweeper where its jobs are gone', async () => {
    const { id } = await drawn();
    const ref = { tenant: 'local', id };
    const service = await testService(redis, cleanUp);
    expect(await records.build(ref)).toBe(2);
    expect(await records.build(ref)).toBeNull();
    let wasIdle = false;
    const { contentHash } = await recordOf(id);
    await service.documents.whileIdle('local', contentHash, async () => {
      wasIdle = true;
    });
    expect(wasIdle).toBe(false);
    const sweeper = new Sweeper(service, { everyMs: 3_600_000, quietMs: 0 });
    await withWorkers(async () => {
      await sweeper.sweep();
      await until(async () => (await recordOf(id)).context === 'built');
    });
    await sweeper.close();
    expect((await recordOf(id)).generation).toBe(3);
  });

  it('ends with its document', async () => {
    const { id } = await drawn();
    let begun = () => {};
    const isBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    await withWorkers(
      async () => {
        const waiting = ask([id], 'Which gate?', PAGES);
        await isBegun;
        await server.fetch(`/v1/documents/${id}`, { method: 'DELETE' });
        expect((await waiting).body.error.code).toBe('GP_DOCUMENT_UNKNOWN');
      },
      { encode: blocked(begun) },
    );
  });
});
