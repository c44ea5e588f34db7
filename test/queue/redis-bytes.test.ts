/** What finished documents take of Redis, by what it says of each key. */

import { beforeEach, describe, expect, it } from 'vitest';
import type { DocumentRecord } from '../../src/queue/document-record.js';
import type { StepContext } from '../../src/queue/stage-runner.js';
import { idleSteps, serviceForFile, submitText } from '../support/service.js';

const { redis, service, finished, withWorkers } = await serviceForFile(60_000);

/** As long as those of real documents are. */
const REPORT = JSON.stringify({
  documentId: `doc_${'0'.repeat(24)}`,
  renderConfigId: '0'.repeat(64),
  layerTokens: Array.from({ length: 30 }, () => 1_000),
  timings: Array.from({ length: 6 }, () => Math.PI * 100),
  rest: 'x'.repeat(600),
});

/** With events of progress on the way. */
const steps = {
  ...idleSteps,
  encode: async ({ record, progress }: StepContext) => {
    progress({ pagesDone: 1, share: 0.5 });
    await service.records.note(record, 'progress', { stage: 'encode', share: 0.75 });
    return { pages: 1 };
  },
  prefill: async () => ({ report: REPORT }),
};

let made = 0;
/** Some at a time, each with another text. */
async function compress(count: number): Promise<DocumentRecord[]> {
  const records: DocumentRecord[] = [];
  for (let n = 0; n < count; n += 20) {
    const some = Array.from({ length: Math.min(20, count - n) }, () =>
      submitText(service, `text ${++made}`, { filename: `${made}.txt` }),
    );
    records.push(...(await Promise.all((await Promise.all(some)).map(finished))));
  }
  return records;
}

async function bytesOfKeys(): Promise<number> {
  let bytes = 0;
  for await (const keys of redis.redis.scanStream({ count: 1_000 })) {
    for (const key of keys as string[])
      bytes += Number(await redis.redis.memory('USAGE', key, 'SAMPLES', 0));
  }
  return bytes;
}

describe('a finished document', () => {
  beforeEach(async () => {
    await redis.redis.config('SET', 'hash-max-ziplist-value', '4096');
  });

  // Another Redis than our own has hashes with long values take more.
  it.each([
    ['our own Redis', '4096', 4_500],
    ['a Redis with its own settings', '64', 6_000],
  ])('takes a few kB of %s', async (_, listpackValue, limit) => {
    await redis.redis.config('SET', 'hash-max-ziplist-value', listpackValue);
    await withWorkers(
      async () => {
        await compress(80); // as many finished jobs as are kept
        const before = await bytesOfKeys();
        await compress(100);
        expect((await bytesOfKeys()) - before).toBeLessThan(100 * limit);
      },
      { steps },
    );
  });

  it('leaves nothing of itself when it goes', async () => {
    await withWorkers(
      async () => {
        await compress(80);
        const before = await bytesOfKeys();
        const records = await compress(40);
        for (const record of records) await service.documents.remove(record);
        for (const { id, contentHash } of records) {
          const keys = await redis.redis.keys('*');
          expect(keys.filter((key) => key.includes(id) || key.includes(contentHash))).toEqual([]);
        }
        // Those whose jobs took the place of kept ones took those away too.
        expect(await bytesOfKeys()).toBeLessThanOrEqual(before + 2_000);
      },
      { steps },
    );
  });

  it('tells who comes late how it went, without its progress', async () => {
    await withWorkers(
      async () => {
        const [record] = (await compress(1)) as [DocumentRecord];
        const all = await service.records.events(record, null);
        const told = all.map(({ type, data }) => `${type} ${data.stage ?? ''}`.trim());
        const stages = ['extract', 'render', 'encode', 'prefill'].map((stage) => `stage ${stage}`);
        expect(told).toEqual(['queued', ...stages, 'completed']);
        // An event of progress that was heard when it happened stands between the ids of two others.
        const [ms] = all[3]!.id.split('-') as [string];
        for (const heard of [all[3]!.id, `${ms}-99`]) {
          const rest = await service.records.events(record, heard);
          expect(rest.at(-1)).toMatchObject({ type: 'completed', data: { state: 'completed' } });
          expect(rest.length).toBeLessThanOrEqual(2);
        }
        expect(await service.records.events(record, all.at(-1)!.id)).toEqual([]);
        const left = await redis.redis.pttl(`gp:events:${record.tenant}:${record.id}`);
        expect(left).toBeGreaterThan(23 * 3_600_000);
      },
      { steps },
    );
  });

  it('keeps its last jobs for who looks into the queues, and no others', async () => {
    await withWorkers(
      async () => {
        await compress(80);
        const counts = await service.queue.counts();
        for (const stage of Object.values(counts)) {
          expect(stage.completed).toBeGreaterThan(0);
          expect(stage.completed).toBeLessThanOrEqual(60);
        }
      },
      { steps },
    );
  });
});
