import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectRedis } from '../../src/queue/connection.js';
import { type NewDocument, STAGES, TERMINAL_STATES } from '../../src/queue/document-record.js';
import { DocumentRecords } from '../../src/queue/document-records.js';
import { cleanUpAtEnd, type TestRedis, testRedis } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const NO_LIMITS = { perTenant: 1e6, total: 1e6 };
let redis: TestRedis;
/** As many processes would have them. */
let several: DocumentRecords[];
beforeAll(async () => {
  redis = await testRedis(cleanUp);
  const connections = await Promise.all([1, 2, 3].map(() => connectRedis(redis.url, 'worker')));
  cleanUp.push(async () => {
    for (const connection of connections) connection.disconnect();
  });
  several = connections.map((connection) => new DocumentRecords(connection));
});

let count = 0;
const newDocument = (tenant = 'acme'): NewDocument => ({
  tenant,
  id: `doc_${(++count).toString(16).padStart(24, '0')}`,
  origin: 'document',
  purpose: null,
  filename: 'a.txt',
  mediaType: 'text/plain',
  bytes: 1,
  contentHash: 'a'.repeat(64),
  settings: '{"model":"m"}',
  settingsKey: 'b'.repeat(32),
  priority: 'normal',
  expiresAt: null,
});

describe('a record', () => {
  it('comes to one terminal state, whatever several processes do to it at once', async () => {
    const failure = { code: 'X', message: 'm', hint: 'h', stage: null, details: {} };
    const action = fc.oneof(
      fc.constantFrom(...STAGES).map((stage) => ['begin', stage] as const),
      fc.constantFrom(...TERMINAL_STATES).map((state) => ['finish', state] as const),
      fc.constant(['note', 'progress'] as const),
      fc.constant(['requeue', ''] as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 14 }), async (actions) => {
        const document = newDocument();
        await several[0]!.create(document, NO_LIMITS);
        await Promise.all(
          actions.map(([kind, what], n) => {
            const records = several[n % several.length]!;
            if (kind === 'begin') return records.begin(document, what, 1, 5);
            if (kind === 'finish') return records.finish(document, what, { failure });
            if (kind === 'note') return records.note(document, 'progress', {}, { share: 0.5 });
            return records.requeue(document, 1);
          }),
        );
        const record = (await several[1]!.get(document))!;
        const events = (await several[2]!.events(document, null)).map(({ type }) => type);
        const ends = events.filter((type) => (TERMINAL_STATES as readonly string[]).includes(type));
        const finished = actions.some(([kind]) => kind === 'finish');
        expect(ends).toEqual(finished ? [record.state] : []);
        // Nothing happens after the end, and the record stands in no list of the living.
        if (finished) expect(events.at(-1)).toBe(record.state);
        const living = await several[0]!.quietSince(Date.now() + 1_000, 1_000);
        expect(living.some(({ id }) => id === document.id)).toBe(!finished);
        await several[0]!.remove(document);
      }),
      { numRuns: 60 },
    );
    expect(await several[0]!.unfinishedCount()).toBe(0);
  });

  it('is started for the generation that it is in, and only while it is wanted', async () => {
    const [records] = several as [DocumentRecords];
    const document = newDocument();
    await records.create(document, NO_LIMITS);
    expect(await records.requeue(document, 1)).toBe(2);
    expect(await records.requeue(document, 1)).toBeNull();
    expect((await records.begin(document, 'render', 1, 5)).verdict).toBe('unwanted');
    expect((await records.begin(document, 'render', 2, 5)).verdict).toBe('go');
    await records.finish(document, 'cancelled');
    expect((await records.begin(document, 'encode', 2, 5)).verdict).toBe('unwanted');
    expect(await records.note(document, 'progress', {})).toBe(false);
    await records.remove(document);
    expect((await records.begin(document, 'encode', 2, 5)).verdict).toBe('unwanted');
    expect(await redis.redis.keys('gp:doc:*')).toEqual([]);
  });

  it('takes no more than a tenant may have, and counts what is finished no longer', async () => {
    const [records] = several as [DocumentRecords];
    const limits = { perTenant: 2, total: 3 };
    const [a, b, c] = [newDocument('t1'), newDocument('t1'), newDocument('t1')];
    expect(await records.create(a, limits)).toEqual({ ahead: 0 });
    expect(await records.create(b, limits)).toEqual({ ahead: 1 });
    await expect(records.create(c, limits)).rejects.toMatchObject({
      code: 'GP_QUEUE_FULL',
      details: { scope: 'tenant' },
    });
    expect(await records.create(newDocument('t2'), limits)).toEqual({ ahead: 0 });
    await expect(records.create(newDocument('t3'), limits)).rejects.toMatchObject({
      details: { scope: 'total' },
    });
    await records.finish(a, 'cancelled');
    expect(await records.create(c, limits)).toEqual({ ahead: 1 });
  });
});

describe('a lock', () => {
  it('lets one in at a time, and the next one also when the first fails', async () => {
    let inside = 0;
    let most = 0;
    const results = await Promise.allSettled(
      Array.from({ length: 9 }, (_, n) =>
        several[n % 3]!.exclusively('x', async () => {
          most = Math.max(most, ++inside);
          await new Promise((resolve) => setTimeout(resolve, 5));
          inside--;
          if (n === 2) throw new Error('no');
        }),
      ),
    );
    expect(most).toBe(1);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });
});
