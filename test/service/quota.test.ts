import { existsSync, statfsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { connectRedis } from '../../src/queue/connection.js';
import type { RecordLimits } from '../../src/queue/document-records.js';
import { assertRoomForNew, assertRoomForWork, hasRoomForNew } from '../../src/service/disk-room.js';
import { DocumentService } from '../../src/service/documents.js';
import { FolderStore } from '../../src/service/folder-store.js';
import { openWork } from '../../src/service/work.js';
import { words } from '../support/rendering.js';
import { idleSteps, serviceForFile, submitText, type TestService } from '../support/service.js';

const { cleanUp, redis, service, finished, withWorkers } = await serviceForFile();

/** The same service with other limits. */
async function limited(limits: Partial<RecordLimits>): Promise<TestService> {
  const subscriber = await connectRedis(redis.url, 'worker');
  cleanUp.push(async () => subscriber.disconnect());
  const all = { perTenant: 100, total: 1_000, ...limits };
  return {
    ...service,
    documents: await DocumentService.open({ ...service, subscriber, limits: all }),
  };
}

describe('the quota of a tenant', () => {
  it('of documents is kept, and lifted by deleting', async () => {
    const small = await limited({ documentsPerTenant: 2 });
    const tenant = 'few';
    const first = await submitText(small, 'one', { tenant });
    await submitText(small, 'two', { tenant });
    await expect(submitText(small, 'three', { tenant })).rejects.toMatchObject({
      code: 'GP_QUOTA',
      details: { quota: 'documents', used: 2, limit: 2 },
    });
    await submitText(small, 'three', { tenant: 'others' });
    await small.documents.remove(first);
    await expect(submitText(small, 'three', { tenant })).resolves.toBeDefined();
  });

  it('of bytes in flight is kept until they are done, however large a single document', async () => {
    const small = await limited({ inFlightBytesPerTenant: 100 });
    const tenant = 'flights';
    const large = await submitText(small, 'x'.repeat(150), { tenant });
    await expect(submitText(small, 'y', { tenant })).rejects.toMatchObject({
      code: 'GP_QUEUE_FULL',
      details: { scope: 'tenant', inFlightBytes: 150, bytes: 1, limit: 100 },
    });
    await small.documents.cancel(large);
    const done = await submitText(small, 'y'.repeat(60), { tenant });
    await withWorkers(() => finished(done), { steps: idleSteps });
    const deleted = await submitText(small, 'z'.repeat(60), { tenant });
    await small.documents.remove(deleted);
    expect(await service.records.usage(tenant)).toMatchObject({ documents: 2, inFlightBytes: 0 });
  });

  it('of bytes stored counts what was made of a document, and what equal ones share once', async () => {
    const tenant = 'stores';
    const text = words(60, 21);
    const first = await submitText(service, text, { tenant });
    const done = await withWorkers(() => finished(first));
    expect(done.state).toBe('completed');
    const { tenant: owner, contentHash } = done;
    const bytes = await service.store.bytesOf(owner, contentHash);
    expect(bytes).toBeGreaterThan(2 * text.length);
    expect(done).toMatchObject({ storedBytes: bytes, textBytes: text.length });
    expect(done.peakBytes).toBeGreaterThanOrEqual(bytes);
    expect((await service.records.usage(tenant)).storedBytes).toBe(bytes);
    const again = await submitText(service, text, { tenant });
    await withWorkers(() => finished(again));
    const { storedBytes } = await service.records.usage(tenant);
    expect(storedBytes).toBe(await service.store.bytesOf(owner, contentHash));
    const small = await limited({ storedBytesPerTenant: storedBytes + 10 });
    await expect(submitText(small, 'x'.repeat(11), { tenant })).rejects.toMatchObject({
      code: 'GP_QUOTA',
      details: { quota: 'stored', used: storedBytes, bytes: 11, limit: storedBytes + 10 },
    });
    await service.documents.remove(done);
    expect((await service.records.usage(tenant)).storedBytes).toBe(storedBytes);
    await service.documents.remove(again);
    expect(await service.records.usage(tenant)).toEqual({
      documents: 0,
      storedBytes: 0,
      inFlightBytes: 0,
    });
  });

  it('is looked at before pages are drawn, with what the document will need', async () => {
    // More characters than tokens fit, so that it is laid out.
    const record = await submitText(service, words(400, 22), { tenant: 'planned' });
    const quota = { bytes: 20_000, usedBytes: async () => 15_000 };
    const done = await withWorkers(() => finished(record), {
      quota,
      stages: ['extract', 'render'],
    });
    expect(done).toMatchObject({
      state: 'failed',
      pagesDone: 0,
      failure: { code: 'GP_QUOTA', stage: 'render', details: { used: 15_000, limit: 20_000 } },
    });
    const { needBytes } = done.failure!.details as { needBytes: number };
    expect(needBytes).toBeGreaterThan(5_000);
  });
});

describe('a document that came to nothing', () => {
  it('leaves no visual tokens behind, at once', async () => {
    const record = await submitText(service, words(60, 23), { tenant: 'failing' });
    const { place, reading } = openWork(record, service);
    const tokens = place.tokens(reading.tokensKey) as string;
    let seen = false;
    const prefill = async () => {
      seen = existsSync(tokens);
      throw new Error('no');
    };
    const backoff = { steps: { prefill } };
    const done = await withWorkers(() => finished(record), backoff);
    expect(done.state).toBe('failed');
    expect(seen).toBe(true);
    expect(existsSync(tokens)).toBe(false);
    const { storedBytes } = await service.records.usage('failing');
    expect(storedBytes).toBe(await service.store.bytesOf(record.tenant, record.contentHash));
  });
});

describe('the room on the disk', () => {
  const free = () => {
    const { bavail, bsize } = statfsSync(redis.dataFolder);
    return bavail * bsize;
  };

  it('is kept from new documents first, then from work under way', () => {
    const folder = redis.dataFolder;
    const reserve = Math.round(free() * 0.75);
    expect(hasRoomForNew(folder, reserve)).toBe(false);
    expect(() => assertRoomForNew(folder, reserve)).toThrow(/bytes left/);
    expect(() => assertRoomForWork(folder, 0, reserve)).not.toThrow();
    expect(() => assertRoomForWork(folder, free() / 2, reserve)).toThrow(
      expect.objectContaining({ code: 'GP_STORAGE' }),
    );
    expect(() => assertRoomForWork(folder, 0, free() * 2)).toThrow(
      expect.objectContaining({ code: 'GP_STORAGE' }),
    );
    expect(hasRoomForNew(folder, 1)).toBe(true);
  });

  it('is asked for by the store that takes documents in', async () => {
    const full = new FolderStore(redis.dataFolder, free() * 2);
    await expect(submitText({ ...service, store: full }, 'x')).rejects.toMatchObject({
      code: 'GP_STORAGE',
    });
  });
});
