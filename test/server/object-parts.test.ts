/** A document in parts over an object store: every machine has its parts from the bucket alone. */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Stage } from '../../src/queue/document-record.js';
import { ModelRegistry } from '../../src/service/models.js';
import type { StoreOptions } from '../../src/service/open-store.js';
import { S3Store } from '../../src/store/objects/s3-store.js';
import { sharedFolder } from '../support/folders.js';
import { testServer } from '../support/http.js';
import { shortModel, TINY_MODEL } from '../support/models.js';
import { words } from '../support/rendering.js';
import { noS3Server, testS3 } from '../support/s3-server.js';
import { cleanUpAtEnd, startTestWorkers, testRedis, until } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const dir = shortModel(TINY_MODEL, path.join(sharedFolder(), 'short'), 400);
const models = () => new ModelRegistry([dir], { threads: 1 });
const text = ['The harbour', 'The zephyr', 'The moor']
  .map((title, n) => `Chapter ${n + 1}\n\n${title}. ${words(1_400, n + 1)}\n\n`)
  .join('');

function machine(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-test-'));
  cleanUp.push(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Answer {
  usage: { glyphpress: Record<string, number> };
  glyphpress: { parts: { part: number; start: number }[]; citations?: object[] };
}

describe.skipIf(noS3Server)('a document in parts over an object store', () => {
  it('is made by machines that share the bucket, asked on another one, and goes with all its parts', async () => {
    const redis = await testRedis(cleanUp);
    const s3 = await testS3(cleanUp);
    const storeOptions: StoreOptions = { url: `s3://${s3.bucket}/parts`, endpoint: s3.endpoint };
    const own = (stages: Stage[]) => {
      const folders = { dataFolder: machine(), storeOptions };
      return startTestWorkers(redis, { stages, models: models(), pagesPerJob: 12, ...folders });
    };
    for (const stages of [['extract', 'render', 'encode'], ['encode'], ['prefill']] as Stage[][]) {
      const running = await own(stages);
      cleanUp.push(() => running.close(0));
    }
    const served = { models: models(), store: storeOptions, dataFolder: machine() };
    const server = await testServer(redis, cleanUp, served, null);
    const ask = async (id: string, more: object = {}) => {
      const json = {
        model: 'short',
        max_tokens: 6,
        messages: [{ role: 'user', content: 'What of the zephyr?' }],
        glyphpress: { document_ids: [id], ...more },
      };
      const reply = await server.fetch('/v1/chat/completions', { json });
      expect(reply.status).toBe(200);
      return (await reply.json()) as Answer;
    };

    const document = await server.finished((await server.submit(text, { model: 'short' })).id);
    expect(document).toMatchObject({ status: 'completed', error: null });
    const parts = document.parts as { start: number; end: number; pages: number }[];
    expect(parts.length).toBeGreaterThan(2);
    expect([parts[0]!.start, parts.at(-1)!.end]).toEqual([0, text.length]);

    const every = await ask(document.id);
    expect(every.glyphpress.parts.map(({ part }) => part).sort()).toEqual(
      parts.map((_, n) => n + 1),
    );
    expect(every.usage.glyphpress.pages).toBe(parts.reduce((sum, { pages }) => sum + pages, 0));
    const [likeliest] = (await ask(document.id, { parts: 1 })).glyphpress.parts;
    const { start, end } = parts[likeliest!.part - 1]!;
    expect(text.slice(start, end)).toContain('The zephyr');
    const last = document.progress.pages!;
    const png = await server.fetch(`/v1/documents/${document.id}/pages/${last}.png`);
    expect(png.status).toBe(200);

    const bucket = { bucket: s3.bucket, prefix: 'parts', endpoint: s3.endpoint };
    const objects = await S3Store.open(bucket);
    const keys = async () => {
      const found: string[] = [];
      for await (const { key } of objects.list('tenants/')) found.push(key);
      return found;
    };
    // Equal text has equal parts, and needs no layout.
    const again = await server.finished((await server.submit(text, { model: 'short' })).id);
    expect(again).toMatchObject({ status: 'completed', parts: document.parts });
    for (const { id } of [document, again]) {
      expect((await keys()).length).toBeGreaterThan(parts.length);
      await server.fetch(`/v1/documents/${id}`, { method: 'DELETE' });
    }
    await until(async () => (await keys()).length === 0, 60_000, 'the end of its objects');
  });
});
