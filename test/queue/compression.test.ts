import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { CONTEXT_FILE } from '../../src/pipeline/artifacts/context-file.js';
import { ensureEncodedPage } from '../../src/pipeline/artifacts/encoded-pages.js';
import { pageFileName } from '../../src/pipeline/artifacts/page-folder.js';
import type { PageRange } from '../../src/queue/compression-queue.js';
import { connectRedis } from '../../src/queue/connection.js';
import type { DocumentRecord, Stage } from '../../src/queue/document-record.js';
import { MAX_STARTS, type Step } from '../../src/queue/stage-runner.js';
import { DocumentService } from '../../src/service/documents.js';
import { rangesOf } from '../../src/service/model-steps.js';
import { Sweeper } from '../../src/service/sweeper.js';
import { openWork } from '../../src/service/work.js';
import { workFolderOf } from '../../src/store/artifact-folder.js';
import { PROCESS_TAG } from '../../src/store/process-tag.js';
import type { VisionLanguageModel } from '../../src/vlm/index.js';
import { words } from '../support/rendering.js';
import {
  idleSteps,
  SMALL_PAGES,
  serviceForFile,
  startTestWorkers,
  submitText,
  TINY_NAME,
  until,
} from '../support/service.js';

const { redis, service, finished, withWorkers } = await serviceForFile(60_000);

const now = async (record: DocumentRecord) => (await service.records.get(record))!;

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
    const { place, reading } = openWork(done, service);
    // Kept for questions over several documents.
    expect(existsSync(place.tokens(reading.tokensKey))).toBe(true);
    expect(existsSync(place.context(reading.contextKey))).toBe(true);
  });

  it('is drawn on from the page where the last try stopped', async () => {
    const text = words(700, 5);
    const record = await submitText(service, text);
    const { place, reading } = openWork(record, service);
    const pages = place.pages(reading.pagesKey);
    const page = (index: number) => path.join(workFolderOf(pages), pageFileName(index));
    // The worker leaves when three pages are there: what it did goes back to the queue.
    await withWorkers(() => until(() => existsSync(page(2))));
    expect(await now(record)).toMatchObject({ state: 'in_progress' });
    const kept = existsSync(page(2)) ? readFileSync(page(2)) : null;
    const madeAt = kept && statSync(page(2)).mtimeMs;
    const done = await withWorkers(() => finished(record));
    expect(done.state).toBe('completed');
    const context = place.context(reading.contextKey);
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
    const { place, reading } = openWork(record, service);
    await withWorkers(() => until(() => existsSync(place.pages(reading.pagesKey))), {
      stages: ['extract', 'render'],
    });
    writeFileSync(path.join(place.pages(reading.pagesKey), pageFileName(0)), 'not a page');
    rmSync(place.text(reading.textKey), { recursive: true });
    const done = await withWorkers(() => finished(record), { stages: ['encode', 'prefill'] });
    expect(done).toMatchObject({ state: 'completed' });
  });

  it('is not read when it was damaged after it came in, and nobody is told a path', async () => {
    const record = await submitText(service, words(30, 77));
    const { upload } = service.store.place(record.tenant, record.contentHash);
    writeFileSync(upload, words(30, 78));
    const done = await withWorkers(() => finished(record));
    expect(done).toMatchObject({ state: 'failed', failure: { code: 'GP_ARTIFACT_DAMAGED' } });
    expect(JSON.stringify(done.failure)).not.toContain(redis.dataFolder);
  });

  it('is mended where its context was damaged by handing it in again', async () => {
    const text = words(40, 79);
    const first = await withWorkers(async () => finished(await submitText(service, text)));
    const { place, reading } = openWork(first, service);
    const page = path.join(place.context(reading.contextKey), pageFileName(0));
    const whole = readFileSync(page);
    writeFileSync(page, Buffer.from(whole).fill(0, 40, 60));
    const again = await withWorkers(async () => finished(await submitText(service, text)));
    expect(again.state).toBe('completed');
    expect(readFileSync(page).equals(whole)).toBe(true);
  });

  it('without a text fails once, with the reason', async () => {
    const record = await submitText(service, ' \n ');
    const done = await withWorkers(() => finished(record));
    expect(done).toMatchObject({
      state: 'failed',
      failure: { code: 'GP_INPUT_EMPTY', stage: 'extract' },
    });
    expect((await eventTypes(record)).filter((type) => type === 'retry')).toEqual([]);
  });
});

describe('those who follow a document', () => {
  it('hear of its end also when it comes between two looks', async () => {
    const record = await submitText(service, 'ends between two looks');
    const { records } = service;
    // The record is looked at when no event is new; it ends right there.
    const racing = new Proxy(records, {
      get(target, name) {
        if (name === 'get') {
          return async (ref: DocumentRecord) => {
            await records.finish(ref, 'cancelled');
            return records.get(ref);
          };
        }
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const subscriber = await connectRedis(redis.url, 'worker');
    const limits = { perTenant: 1, total: 1 };
    const documents = await DocumentService.open({
      ...service,
      records: racing,
      subscriber,
      limits,
    });
    const heard: string[] = [];
    for await (const { type } of documents.follow(record, null, new AbortController().signal))
      heard.push(type);
    subscriber.disconnect();
    expect(heard).toEqual(['queued', 'cancelled']);
    await service.documents.remove(record);
  });
});

describe('a long document', () => {
  /** Encodes for the time that it takes to be seen at work. */
  const slowly = (seen: PageRange[], failing?: number): Partial<Record<Stage, Step>> => ({
    ...idleSteps,
    encode: async ({ maySplit, range }) => {
      if (maySplit) return { pages: 10, ranges: rangesOf(10, 4) };
      if (range) seen.push(range);
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (range && range.start === failing)
        throw new GlyphpressError('GP_RENDER', { message: 'no', hint: 'no' });
      return { pages: 10 };
    },
  });

  it('is encoded by several workers, each some of its pages, and joined again', async () => {
    const text = words(700, 31);
    const record = await submitText(service, text);
    const options = { pagesPerJob: 2 };
    const other = await startTestWorkers(redis, { ...options, stages: ['encode'] });
    const done = await withWorkers(() => finished(record), options);
    await other.close(0);
    expect(done.state).toBe('completed');
    expect(done.pages).toBeGreaterThan(4);
    expect(done.stageMs.encode).toBeGreaterThan(0);
    // The same bytes as by one job.
    const { place, reading } = openWork(done, service);
    const context = path.join(place.context(reading.contextKey), CONTEXT_FILE);
    const split = readFileSync(context);
    await service.documents.remove(done);
    const whole = await withWorkers(async () => finished(await submitText(service, text)));
    expect(whole.state).toBe('completed');
    expect(readFileSync(context).equals(split)).toBe(true);
  });

  it('tells one stage of it, counts starts by part, and takes up parts that a crash left', async () => {
    const seen: PageRange[] = [];
    const record = await submitText(service, 'in parts');
    const steps = slowly(seen);
    // The worker leaves while its parts wait: the step is not split again.
    await withWorkers(() => until(() => seen.length > 0), { steps });
    const done = await withWorkers(() => finished(record), { steps });
    expect(done.state).toBe('completed');
    expect(new Set(seen.map(({ start }) => start))).toEqual(new Set([0, 4, 8]));
    expect(seen.length).toBeLessThanOrEqual(4);
    expect((await eventTypes(record)).filter((type) => type === 'failed')).toEqual([]);
  });

  it('fails with the part that fails, once', async () => {
    const seen: PageRange[] = [];
    const record = await submitText(service, 'in parts that fail');
    const done = await withWorkers(() => finished(record), { steps: slowly(seen, 4) });
    expect(done).toMatchObject({
      state: 'failed',
      failure: { code: 'GP_RENDER', stage: 'encode' },
    });
    await service.documents.remove(done);
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
  it('rests while Redis takes no writes, and goes on', async () => {
    const errors: unknown[] = [];
    await withWorkers(
      async () => {
        await redis.redis.config('SET', 'maxmemory', '1');
        // A full Redis refuses as one with a full disk does.
        await expect(submitText(service, 'refused')).rejects.toThrow(/OOM/);
        await new Promise((resolve) => setTimeout(resolve, 500));
        await redis.redis.config('SET', 'maxmemory', '0');
        const record = await submitText(service, 'taken');
        expect((await finished(record)).state).toBe('completed');
      },
      { steps: idleSteps, onError: (error) => errors.push(error) },
    );
    expect(errors.length).toBeLessThan(20);
  });

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

  it('clears away what dead processes and given-up work left, and nothing that is needed', async () => {
    const idle = await submitText(service, 'given up');
    await service.documents.cancel(idle);
    const busy = await submitText(service, 'still waiting');
    const unfinished = (record: DocumentRecord) => {
      const { place, reading } = openWork(record, service);
      const folder = workFolderOf(place.pages(reading.pagesKey));
      mkdirSync(folder, { recursive: true });
      return folder;
    };
    const [given, needed] = [unfinished(idle), unfinished(busy)];
    const uploads = path.join(service.store.root, 'uploads');
    const upload = (tag: string) => {
      const file = path.join(uploads, `${tag}.0123456789ab.partial`);
      writeFileSync(file, 'half');
      return file;
    };
    const { pid } = spawnSync('true');
    const [dead, alive] = [upload(`${PROCESS_TAG.split('-')[0]}-${pid}`), upload(PROCESS_TAG)];
    const trash = path.join(service.store.root, 'trash', 'half-deleted');
    mkdirSync(trash, { recursive: true });
    await sweep(60_000);
    expect([given, needed, dead, alive, trash].map((file) => existsSync(file))).toEqual([
      false,
      true,
      false,
      true,
      false,
    ]);
    rmSync(alive);
    await service.documents.remove(idle);
    await service.documents.remove(busy);
  });

  it('keeps the tokens of completed documents, and no others', async () => {
    const text = words(40, 11);
    const done = await submitText(service, text);
    await withWorkers(() => finished(done));
    const { place, reading } = openWork(done, service);
    const tokens = place.tokens(reading.tokensKey);
    const kept = readdirSync(tokens);
    const { pid } = spawnSync('true');
    const half = (tag: string) => `page-1-0.safetensors.${tag}.01234567.tmp`;
    const alive = half(PROCESS_TAG);
    for (const name of [half(`${PROCESS_TAG.split('-')[0]}-${pid}`), alive])
      writeFileSync(path.join(tokens, name), 'half');
    const render = { ...SMALL_PAGES, 'margin-x': 6 };
    const given = await submitText(service, text, { settings: { model: TINY_NAME, render } });
    const others = place.tokens(openWork(given, service).reading.tokensKey);
    expect(others).not.toBe(tokens);
    mkdirSync(others);
    await sweep(60_000);
    expect(existsSync(others)).toBe(true);
    await service.documents.cancel(given);
    await sweep(60_000);
    expect(existsSync(others)).toBe(false);
    expect(readdirSync(tokens).sort()).toEqual([...kept, alive].sort());
    await service.documents.remove(given);
    await service.documents.remove(done);
    expect(existsSync(place.folder)).toBe(false);
  });

  it('removes what work wrote after the last document of its content was deleted', async () => {
    const record = await submitText(service, 'written too late');
    const { place, reading } = openWork(record, service);
    await service.documents.remove(record);
    mkdirSync(place.tokens(reading.tokensKey), { recursive: true });
    await sweep(60_000);
    expect(existsSync(place.folder)).toBe(false);
  });

  it('forgets the jobs of documents that were deleted while they were worked on', async () => {
    const record = await submitText(service, 'deleted under work');
    const steps = {
      ...idleSteps,
      // The job of a step is locked, and stays when the document goes.
      extract: async () => {
        await service.documents.remove(record);
        return {};
      },
    };
    const jobs = async () =>
      (await redis.redis.keys('gp:bull:*')).filter((key) => key.includes(record.id));
    await withWorkers(async () => until(async () => (await jobs()).length > 0), { steps });
    await sweep(60_000);
    expect(await jobs()).toEqual([]);
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
  it('is not undone by a page that is being encoded', async () => {
    const record = await submitText(service, 'deleted while it is encoded');
    const { place, reading } = openWork(record, service);
    const image = {
      gridThw: [1, 2, 2],
      tokenGrid: { rows: 1, cols: 1 },
      tokens: new Float32Array(4),
    };
    const model = {
      encodeImage: async () => {
        await service.documents.remove(record);
        return image;
      },
    } as unknown as VisionLanguageModel;
    const create = { width: 28, height: 28, channels: 3 as const, background: 'white' };
    const page = { index: 0, png: await sharp({ create }).png().toBuffer() };
    const encoded = await ensureEncodedPage(model, place.tokens(reading.tokensKey), page);
    expect(encoded).toEqual({ image, encoded: true });
    expect(existsSync(place.folder)).toBe(false);
  });

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
