/** A real Redis, real queues and real workers for tests, all of it gone when the test file ends. */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { Redis } from 'ioredis';
import { afterAll } from 'vitest';
import { startPrivateRedis } from '../../src/environment/private-redis.js';
import { CompressionQueue } from '../../src/queue/compression-queue.js';
import { connectRedis } from '../../src/queue/connection.js';
import { type DocumentRecord, STAGES, type Stage } from '../../src/queue/document-record.js';
import { DocumentRecords, type RecordLimits } from '../../src/queue/document-records.js';
import type { Step } from '../../src/queue/stage-runner.js';
import type { ContentStore } from '../../src/service/content-store.js';
import { DocumentService, type Submission } from '../../src/service/documents.js';
import { FolderStore } from '../../src/service/folder-store.js';
import { ModelRegistry } from '../../src/service/models.js';
import { startWorkers, type WorkerProcessOptions } from '../../workers/index.js';
import { TINY_MODEL } from './models.js';
import { smallPage } from './rendering.js';

/** Small pages, so that a short text has several. */
export const SMALL_PAGES = { ...smallPage, 'grid-lock': false };

export interface TestRedis {
  url: string;
  dataFolder: string;
  /** A connection for looking into it. */
  redis: Redis;
}

/** For all tests of a file; call it in `beforeAll`. */
export async function testRedis(cleanUp: (() => Promise<unknown>)[]): Promise<TestRedis> {
  const dataFolder = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-test-'));
  const server = await startPrivateRedis(dataFolder);
  const redis = await connectRedis(server.url, 'worker');
  cleanUp.push(async () => {
    redis.disconnect();
    await server.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  });
  return { url: server.url, dataFolder, redis };
}

/** Runs what was put into it, the last first, when the file ends. */
export function cleanUpAtEnd(): (() => Promise<unknown>)[] {
  const steps: (() => Promise<unknown>)[] = [];
  afterAll(async () => {
    for (const step of steps.toReversed()) await step();
  });
  return steps;
}

export interface TestService {
  documents: DocumentService;
  records: DocumentRecords;
  queue: CompressionQueue;
  store: FolderStore;
  models: ModelRegistry;
}

export async function testService(
  { url, dataFolder }: TestRedis,
  cleanUp: (() => Promise<unknown>)[],
  limits: RecordLimits = { perTenant: 100, total: 1_000 },
): Promise<TestService> {
  const redis = await connectRedis(url, 'request');
  const subscriber = await connectRedis(url, 'worker');
  const records = new DocumentRecords(redis);
  const queue = new CompressionQueue(redis);
  const store = new FolderStore(dataFolder);
  const models = tinyModels();
  const parts = { store, models, records, queue, subscriber, limits };
  const documents = await DocumentService.open(parts);
  cleanUp.push(async () => {
    await queue.close();
    redis.disconnect();
    subscriber.disconnect();
    await models.close();
  });
  return { documents, records, queue, store, models };
}

/**
 * A Redis and a service for all tests of a file, which awaits it at its top.
 *
 * @param patienceMs how long a document may take to be finished
 */
export async function serviceForFile(patienceMs = 40_000) {
  const cleanUp = cleanUpAtEnd();
  const redis = await testRedis(cleanUp);
  const service = await testService(redis, cleanUp);
  return {
    cleanUp,
    redis,
    service,
    finished: (record: DocumentRecord) =>
      service.documents.untilFinished(record, patienceMs, new AbortController().signal),
    /** Workers for the time of some work. */
    async withWorkers<T>(
      work: () => Promise<T>,
      options: Partial<WorkerProcessOptions> = {},
    ): Promise<T> {
      const workers = await startTestWorkers(redis, options);
      try {
        return await work();
      } finally {
        await workers.close(0);
      }
    },
  };
}

export function tinyModels(): ModelRegistry {
  return new ModelRegistry([TINY_MODEL], { threads: 1 });
}

export const TINY_NAME = path.basename(TINY_MODEL);

export function startTestWorkers(
  { url, dataFolder }: TestRedis,
  options: Partial<WorkerProcessOptions> = {},
) {
  return startWorkers({
    redisUrl: url,
    dataFolder,
    models: tinyModels(),
    stages: STAGES,
    browsers: 1,
    ...options,
  });
}

/** Steps that do nothing, to see the queue alone. */
export const idleSteps: Record<Stage, Step> = {
  extract: async () => ({ characters: 1 }),
  render: async () => ({ pages: 1 }),
  encode: async () => ({ pages: 1 }),
  prefill: async () => ({ report: '{}' }),
};

export async function submitText(
  { documents, store }: { documents: DocumentService; store: ContentStore },
  text: string | Buffer,
  more: Partial<Submission> = {},
): Promise<DocumentRecord> {
  const upload = await store.receive(Readable.from([Buffer.from(text)]), 1e9);
  return documents.submit({
    tenant: 'acme',
    upload,
    settings: { model: TINY_NAME, render: SMALL_PAGES },
    filename: 'text.txt',
    mediaType: 'text/plain',
    origin: 'document',
    priority: 'normal',
    expiresInMs: null,
    ...more,
  });
}

export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 40_000,
  what = 'the condition',
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
