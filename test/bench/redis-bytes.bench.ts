/**
 * What of Redis does a finished document take, by the kind of key, and what is left of it when it is deleted?
 * Steps that do nothing but leave a report as long as a real one's: it is the book-keeping that is measured.
 *
 * REDIS_DOCUMENTS (200), REDIS_OUT (a JSON file).
 */

import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { DocumentRecord } from '../../src/queue/document-record.js';
import { idleSteps, serviceForFile, submitText } from '../support/service.js';
import { emit } from './measure.js';

const DOCUMENTS = Number(process.env.REDIS_DOCUMENTS ?? 200);
/** Before it counts: as many jobs and events as are kept. */
const WARM_UP = 100;
const AT_ONCE = 20;

const { redis, service, finished, withWorkers } = await serviceForFile(120_000);
const report = JSON.stringify({ layerTokens: Array(30).fill(1_000), rest: 'x'.repeat(900) });

let made = 0;
async function compress(count: number): Promise<DocumentRecord[]> {
  const records: DocumentRecord[] = [];
  while (records.length < count) {
    const some = Array.from({ length: AT_ONCE }, () =>
      submitText(service, `text ${++made}`, { filename: `${made}.txt` }),
    );
    records.push(...(await Promise.all((await Promise.all(some)).map(finished))));
  }
  return records;
}

const kindOf = (key: string) =>
  key.replace(/doc_[0-9a-f]{24}/, 'ID').replace(/[0-9a-f]{64}/, 'HASH');

async function bytesByKind(): Promise<Record<string, number>> {
  const kinds: Record<string, number> = {};
  const seen = new Set<string>();
  for await (const keys of redis.redis.scanStream({ count: 1_000 })) {
    for (const key of keys as string[]) {
      if (seen.has(key)) continue;
      seen.add(key);
      const bytes = Number(await redis.redis.memory('USAGE', key, 'SAMPLES', 0));
      kinds[kindOf(key)] = (kinds[kindOf(key)] ?? 0) + bytes;
    }
  }
  return kinds;
}

const total = (kinds: Record<string, number>) =>
  Object.values(kinds).reduce((sum, bytes) => sum + bytes, 0);

it('bytes of a finished document', { timeout: 1_200_000 }, async () => {
  const steps = { ...idleSteps, prefill: async () => ({ report }) };
  await withWorkers(
    async () => {
      await compress(WARM_UP);
      const before = await bytesByKind();
      const records = await compress(DOCUMENTS);
      const after = await bytesByKind();
      for (const record of records) await service.documents.remove(record);
      const left = await bytesByKind();
      const each = (bytes: number) => Math.round(bytes / records.length);
      const grown = Object.entries(after)
        .map(([kind, bytes]) => [kind, each(bytes - (before[kind] ?? 0))] as const)
        .filter(([, bytes]) => bytes !== 0)
        .sort((a, b) => b[1] - a[1]);
      const figures = {
        bench: 'redis-bytes',
        documents: records.length,
        bytesOfEach: each(total(after) - total(before)),
        byKind: Object.fromEntries(grown),
        leftOfEachWhenDeleted: each(total(left) - total(before)),
      };
      emit(figures);
      if (process.env.REDIS_OUT)
        writeFileSync(process.env.REDIS_OUT, `${JSON.stringify(figures)}\n`);
      expect(figures.bytesOfEach).toBeGreaterThan(0);
    },
    { steps },
  );
});
