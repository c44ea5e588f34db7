import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { workFolderOf } from '../../src/pipeline/drawn-pages.js';
import { pageFileName } from '../../src/pipeline/page-folder.js';
import type { DocumentRecord } from '../../src/queue/document-record.js';
import { MAX_STARTS } from '../../src/queue/stage-worker.js';
import { openWork } from '../../src/service/steps.js';
import { Sweeper } from '../../src/service/sweeper.js';
import { words } from '../support/rendering.js';
import {
  cleanUpAtEnd,
  idleSteps,
  startTestWorkers,
  submitText,
  type TestRedis,
  type TestService,
  testRedis,
  testService,
  until,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();
let redis: TestRedis;
let service: TestService;
beforeAll(async () => {
  redis = await testRedis(cleanUp);
  service = await testService(redis, cleanUp);
});

const finished = (record: DocumentRecord) =>
  service.documents.untilFinished(record, 60_000, new AbortController().signal);
const now = async (record: DocumentRecord) => (await service.records.get(record))!;

/** Workers for the time of some work. */
async function withWorkers<T>(
  work: () => Promise<T>,
  options: Parameters<typeof startTestWorkers>[1] = {},
): Promise<T> {
  const workers = await startTestWorkers(redis, options);
  try {
    return await work();
  } finally {
    await workers.close(0);
  }
}

const eventTypes = async (record: DocumentRecord) =>
  (await service.records.events(record, null))
    .map(({ type, data }) => (type === 'stage' ? `stage ${data.stage}` : type))
    .filter((type) => type !== 'progress');

describe('a document', () => {
  it('comes to a context step by step, and its tokens are kept', async () => {
    const text = words(260);
    const record = await submitText(service, text);
    expect(record).toMatchObject({ state: 'queued', generation: 1, pagesDone: 0 });
    const done = await withWorkers(() => finished(record));
    expect(done).toMatchObject({ state: 'completed', stage: null, failure: null });
    expect(await eventTypes(record)).toEqual([
      'queued',
      'stage extract',
      'stage render',
      'stage encode',
      'stage prefill',
      'completed',
    ]);
    const report = JSON.parse(done.report!);
    expect(report).toMatchObject({
      documentId: record.id,
      pages: done.pages,
      characters: text.length,
    });
    expect(done.pages).toBeGreaterThan(3);
    for (const ms of Object.values(report.timings)) expect(ms).toBeGreaterThanOrEqual(0);
    const { place, resolved } = openWork(done, service);
    // Kept for questions over several documents.
    expect(existsSync(place.tokens(resolved.tokensKey))).toBe(true);
    expect(existsSync(place.context(resolved.contextKey))).toBe(true);
  });

  it('is drawn on from the page where the last try stopped', async () => {
    const text = words(700, 5);
    const record = await submitText(service, text);
    const { place, resolved } = openWork(record, service);
    const pages = place.pages(resolved.pagesKey);
    const page = (index: number) => path.join(workFolderOf(pages), pageFileName(index));
    // The worker leaves when three pages are there: what it did goes back to the queue.
    await withWorkers(() => until(() => existsSync(page(2))));
    expect(await now(record)).toMatchObject({ state: 'in_progress' });
    const kept = existsSync(page(2)) ? readFileSync(page(2)) : null;
    const madeAt = kept && statSync(page(2)).mtimeMs;
    const done = await withWorkers(() => finished(record));
    expect(done.state).toBe('completed');
    const context = place.context(resolved.contextKey);
    const final = path.join(context, pageFileName(2));
    if (kept) {
      expect(readFileSync(final).equals(kept)).toBe(true);
      // The very file of the first try, linked through both folders.
      expect(statSync(final).mtimeMs).toBe(madeAt);
    }
    expect(existsSync(workFolderOf(pages))).toBe(false);
  });

  it('that is there already costs no browser', async () => {
    const text = words(120, 9);
    await withWorkers(async () => finished(await submitText(service, text)));
    const chromium = () => {
      throw new Error('no browser is needed here');
    };
    const again = await submitText(service, text);
    const done = await withWorkers(() => finished(again), { chromium });
    expect(done).toMatchObject({ state: 'completed', failure: null });
  });

  it('makes pages and text anew that were damaged on the way', async () => {
    const record = await submitText(service, words(150, 11));
    const { place, resolved } = openWork(record, service);
    await withWorkers(() => until(() => existsSync(place.pages(resolved.pagesKey))), {
      stages: ['extract', 'render'],
    });
    writeFileSync(path.join(place.pages(resolved.pagesKey), pageFileName(0)), 'not a page');
    rmSync(place.text(resolved.textKey), { recursive: true });
    const done = await withWorkers(() => finished(record), { stages: ['encode', 'prefill'] });
    expect(done).toMatchObject({ state: 'completed' });
  });

  it('without a text fails once, with the reason', async () => {
    const record = await submitText(service, ' \n ');
    const done = await withWorkers(() => finished(record));
    expect(done).toMatchObject({
      state: 'failed',
      failure: { code: 'GP_INPUT_EMPTY', stage: 'render' },
    });
    expect((await eventTypes(record)).filter((type) => type === 'retry')).toEqual([]);
  });
});

describe('a step that fails', () => {
  const failing = (times: number, error: () => Error) => {
    let calls = 0;
    return {
      calls: () => calls,
      steps: {
        ...idleSteps,
        render: async () => {
          calls++;
          if (calls <= times) throw error();
          return {};
        },
      },
    };
  };
  const outage = () =>
    new GlyphpressError('GP_BACKEND_UNAVAILABLE', { message: 'away', hint: 'wait' });

  it('is tried again where that may help', async () => {
    const { steps, calls } = failing(2, outage);
    const record = await submitText(service, 'retry me');
    const done = await withWorkers(() => finished(record), { steps });
    expect({ state: done.state, calls: calls() }).toEqual({ state: 'completed', calls: 3 });
    expect((await eventTypes(record)).filter((type) => type === 'retry')).toHaveLength(2);
  });

  it('is given up after three tries, and tells clients nothing of the machine', async () => {
    const { steps, calls } = failing(9, () => new Error('secret /home/path'));
    const record = await submitText(service, 'boom');
    const errors: unknown[] = [];
    const done = await withWorkers(() => finished(record), {
      steps,
      onError: (error) => errors.push(error),
    });
    expect(calls()).toBe(3);
    expect(done).toMatchObject({ state: 'failed', failure: { code: 'GP_INTERNAL' } });
    expect(JSON.stringify(await service.records.events(record, null))).not.toContain('secret');
    expect(String(errors[0])).toContain('secret');
  });

  it('is stopped for good when it ends its workers again and again', async () => {
    const record = await submitText(service, 'poison');
    for (let start = 0; start < MAX_STARTS; start++) {
      // What a worker does that is killed before it can say anything.
      expect((await service.records.begin(record, 'extract', 1, MAX_STARTS)).verdict).toBe('go');
    }
    const done = await withWorkers(() => finished(record), { steps: idleSteps });
    expect(done).toMatchObject({ state: 'failed', failure: { code: 'GP_DOCUMENT_POISON' } });
  });
});

describe('a worker', () => {
  /** A step that runs until it is told to stop. */
  function endless() {
    let reason: unknown;
    let started = false;
    return {
      started: () => started,
      reason: () => reason,
      steps: {
        ...idleSteps,
        render: ({ signal }: { signal: AbortSignal }) =>
          new Promise<never>((_, reject) => {
            started = true;
            signal.addEventListener('abort', () => {
              reason = signal.reason;
              reject(signal.reason);
            });
          }),
      },
    };
  }

  it('stops when the document is cancelled from another process', async () => {
    const step = endless();
    const record = await submitText(service, 'cancel me');
    await withWorkers(
      async () => {
        await until(step.started);
        await service.documents.cancel(record);
        await until(() => step.reason() !== undefined);
      },
      { steps: step.steps },
    );
    expect(await now(record)).toMatchObject({ state: 'cancelled', stage: null });
    await expect(service.documents.cancel(record)).resolves.toMatchObject({ state: 'cancelled' });
    expect((await eventTypes(record)).at(-1)).toBe('cancelled');
  });

  it('gives back what it has when it must go, and that does not count against the document', async () => {
    const record = await submitText(service, 'give back');
    for (let round = 0; round <= MAX_STARTS; round++) {
      const step = endless();
      await withWorkers(() => until(step.started), { steps: step.steps });
    }
    const done = await withWorkers(() => finished(record), { steps: idleSteps });
    expect(done.state).toBe('completed');
  });

  it('takes the next document of whoever has fewest waiting', async () => {
    const order: string[] = [];
    const steps = {
      ...idleSteps,
      extract: async ({ record }: { record: DocumentRecord }) => {
        order.push(record.tenant);
        return {};
      },
    };
    const many = await Promise.all(
      Array.from({ length: 8 }, (_, n) => submitText(service, `bulk ${n}`, { tenant: 'bulk' })),
    );
    const few = await submitText(service, 'single', { tenant: 'single' });
    const urgent = await submitText(service, 'urgent', { tenant: 'bulk', priority: 'high' });
    await withWorkers(() => Promise.all([...many, few, urgent].map(finished)), { steps });
    expect(order[0]).toBe('bulk');
    expect(order.indexOf('single')).toBeLessThanOrEqual(2);
    expect(order).toHaveLength(10);
  });
});

describe('the sweeper', () => {
  const sweep = async (quietMs = 0) => {
    const sweeper = new Sweeper(service, { quietMs, everyMs: 1e9 });
    await sweeper.sweep();
    await sweeper.close();
  };

  it('puts a document back whose jobs are lost', async () => {
    const record = await submitText(service, 'lost jobs');
    await service.queue.remove({ ...record, generation: 1 });
    await sweep(-1_000);
    expect((await now(record)).generation).toBe(2);
    const done = await withWorkers(() => finished(record), { steps: idleSteps });
    expect(done.state).toBe('completed');
  });

  it('leaves alone what is waiting, and what is young', async () => {
    const waiting = await submitText(service, 'waiting');
    await sweep(-1_000);
    expect((await now(waiting)).generation).toBe(1);
    const young = await submitText(service, 'young');
    await service.queue.remove({ ...young, generation: 1 });
    await sweep(60_000);
    expect((await now(young)).generation).toBe(1);
    await service.documents.remove(waiting);
    await service.documents.remove(young);
  });

  it('removes what has expired, with its files', async () => {
    const record = await submitText(service, 'short life', { expiresInMs: 1 });
    const { folder } = service.store.place(record.tenant, record.contentHash);
    expect(existsSync(folder)).toBe(true);
    await until(() => Date.now() > record.expiresAt!);
    await sweep();
    expect(await service.records.get(record)).toBeNull();
    expect(existsSync(folder)).toBe(false);
  });
});

describe('deleting', () => {
  it('keeps what another document of the tenant shares, and nothing else', async () => {
    const [a, b] = [await submitText(service, 'shared'), await submitText(service, 'shared')];
    const other = await submitText(service, 'shared', { tenant: 'other' });
    const { folder } = service.store.place(a.tenant, a.contentHash);
    const elsewhere = service.store.place(other.tenant, other.contentHash).folder;
    expect(elsewhere).not.toBe(folder);
    await service.documents.remove(a);
    expect(existsSync(folder)).toBe(true);
    await service.documents.remove(b);
    expect([existsSync(folder), existsSync(elsewhere)]).toEqual([false, true]);
    await service.documents.remove(other);
    await expect(service.documents.remove(other)).rejects.toMatchObject({
      code: 'GP_DOCUMENT_UNKNOWN',
    });
  });

  it('leaves no key behind', async () => {
    const before = (await redis.redis.keys('gp:*')).filter((key) => !key.includes(':bull:'));
    const record = await submitText(service, 'no trace', { tenant: 'traceless' });
    await withWorkers(() => finished(record), { steps: idleSteps });
    await service.documents.remove(record);
    const after = (await redis.redis.keys('gp:*')).filter((key) => !key.includes(':bull:'));
    expect(after.sort()).toEqual(before.sort());
    const jobs = (await redis.redis.keys('gp:bull:*')).filter((key) => key.includes(record.id));
    expect(jobs).toEqual([]);
  });
});
