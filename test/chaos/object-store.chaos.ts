/**
 * Is a document lost where documents lie in an object store that fails and pauses, and processes die
 * meanwhile? `serve` and a worker have data folders of their own, and share a bucket and Redis.
 *
 * CHAOS_SEED, CHAOS_DOCUMENTS (30), CHAOS_FAULTS (4), CHAOS_STORE_FAILS (share of requests, 0.1),
 * CHAOS_STORE_PAUSES (3), CHAOS_STORE_PAUSE_SECONDS (5), CHAOS_SETTLE_SECONDS, CHAOS_OUT (a JSON file).
 */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { privateRedisSocket } from '../../src/environment/private-redis.js';
import { connectRedis } from '../../src/queue/connection.js';
import { parseManifest } from '../../src/store/manifest.js';
import { bytesOf, S3Store } from '../../src/store/objects/s3-store.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { noS3Server, type TestS3, testS3 } from '../support/s3-server.js';
import { until } from '../support/service.js';
import { Clients } from './clients.js';
import { filesOf, strike } from './faults.js';
import { foreignKeys, oneTerminalState, textsAreRight, untilAllEnded } from './invariants.js';
import { chaosOptions, type FaultKind, plannedDocuments, plannedFaults, random } from './plan.js';
import { freePort, SupervisedService } from './supervised-service.js';

const env = { CHAOS_DOCUMENTS: '30', CHAOS_FAULTS: '4', ...process.env };
const KINDS: readonly FaultKind[] = ['kill-worker', 'kill-api', 'pause-worker'];
const options = { ...chaosOptions(env), kinds: KINDS };
const fails = Number(process.env.CHAOS_STORE_FAILS ?? 0.1);
const pauses = Number(process.env.CHAOS_STORE_PAUSES ?? 3);
const pauseMs = Number(process.env.CHAOS_STORE_PAUSE_SECONDS ?? 5) * 1_000;
const PREFIX = 'chaos';

const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-chaos-'));
const [data, workerData] = [path.join(base, 'serve'), path.join(base, 'worker')];
const cleanUp: (() => Promise<unknown>)[] = [];
const result: Record<string, unknown> = {
  chaos: 'object-store',
  ...options,
  ...{ fails, pauses, pauseMs, out: undefined },
};

describe.skipIf(noS3Server)(`the service over an object store, seed ${options.seed}`, () => {
  let s3: TestS3;
  let proxy: FaultProxy;
  let service: SupervisedService;
  let clients: Clients;
  let objects: S3Store;
  let states: Awaited<ReturnType<typeof untilAllEnded>>['states'] = new Map();
  let failed = false;

  beforeAll(async () => {
    s3 = await testS3(cleanUp);
    proxy = await FaultProxy.open(s3.endpoint, cleanUp, `chaos ${options.seed}`);
    objects = await S3Store.open({ bucket: s3.bucket, prefix: PREFIX, endpoint: s3.endpoint });
    service = new SupervisedService({
      ...{ base, data, workerData, port: await freePort(), workers: options.workers },
      args: ['--store', `s3://${s3.bucket}/${PREFIX}`, '--store-endpoint', proxy.endpoint],
    });
    clients = new Clients(service.url);
    await service.start();
  });

  afterAll(async () => {
    service.killAll();
    await until(() => service.processes().length === 0, 10_000, 'the end of all processes');
    for (const step of cleanUp.toReversed()) await step();
    if (failed) console.log(`kept for looking into it: ${base}`);
    else rmSync(base, { recursive: true, force: true });
    const json = JSON.stringify(result);
    console.log(json);
    if (options.out) writeFileSync(options.out, `${json}\n`);
  });

  const invariant = (name: string, check: () => Promise<string[]> | string[]) =>
    it(name, async () => {
      const problems = await check();
      result[name] = problems.length === 0 ? 'held' : problems.slice(0, 20);
      failed ||= problems.length > 0;
      expect(problems).toEqual([]);
    });

  invariant('every accepted document ends', async () => {
    const begin = Date.now();
    proxy.fail(fails);
    const documents = plannedDocuments(options, random(options.seed));
    const handingIn = Promise.all(
      documents.map((document, n) => clients.submit(document, `objects-${options.seed}-${n}`)),
    );
    handingIn.catch(() => {}); // awaited below
    const pausing = (async () => {
      for (let n = 0; n < pauses; n++) {
        await new Promise((resolve) => setTimeout(resolve, 4_000));
        await proxy.pause(pauseMs);
      }
    })();
    const dice = random(options.seed + 1);
    for (const fault of plannedFaults(options, random(options.seed + 2))) {
      await new Promise((resolve) => setTimeout(resolve, fault.pauseMs));
      const hit = await strike(fault, { service, disk: null, store: data, dice });
      console.log(`${fault.kind}  ${hit ?? 'nothing to hit'}`);
    }
    await pausing;
    await handingIn;
    const ended = await untilAllEnded(clients, options.settleMs);
    states = ended.states;
    const codes: Record<string, number> = {};
    for (const { status, error } of states.values()) {
      const what = error?.code ?? status;
      codes[what] = (codes[what] ?? 0) + 1;
    }
    Object.assign(result, {
      accepted: clients.taken.length,
      deleted: clients.taken.filter(({ wanted }) => !wanted).length,
      ended: codes,
      requests: proxy.requests.length,
      requestsThatFailed: Object.fromEntries(proxy.faults),
      ends: service.ends,
      answers: clients.answers,
      seconds: Math.round((Date.now() - begin) / 1000),
    });
    return ended.problems;
  });

  invariant('in exactly one terminal state', () => oneTerminalState(clients, states));

  invariant('clients meet no answer but those that are documented', () => clients.problems);

  invariant('texts are right', () => textsAreRight(clients, states));

  invariant('fails only what cannot be read, or was started too often', () =>
    clients.taken.flatMap(({ id, document }) => {
      const shown = states.get(id);
      if (shown?.status !== 'failed' || document.text === null) return [];
      const code = shown.error?.code ?? 'no code';
      return code === 'GP_DOCUMENT_POISON' ? [] : [`${document.name}: ${code} (${shown.stage})`];
    }),
  );

  invariant('every artifact in the store is whole', async () => {
    const problems: string[] = [];
    const sums = new Map<string, string>();
    let artifacts = 0;
    for await (const { key } of objects.list('')) {
      const sum = /\/blobs\/([0-9a-f]{64})$/.exec(key)?.[1];
      if (sum === undefined) continue;
      const bytes = (await objects.get(key, bytesOf))!;
      if (createHash('sha256').update(bytes).digest('hex') !== sum)
        problems.push(`${key} is wrong`);
      sums.set(key, sum);
    }
    for await (const { key } of objects.list('')) {
      if (!key.endsWith('/manifest.json')) continue;
      artifacts++;
      const manifest = parseManifest((await objects.get(key, bytesOf))!.toString('utf8'));
      const content = key.split('/').slice(0, 3).join('/');
      for (const { sha256 } of Object.values(manifest?.files ?? { nothing: { sha256: 'none' } }))
        if (!sums.has(`${content}/blobs/${sha256}`)) problems.push(`${key} lacks ${sha256}`);
    }
    result.artifacts = artifacts;
    return artifacts > 0 ? problems : ['there are none'];
  });

  invariant('deleting all leaves nothing in the bucket, in Redis or in the folders', async () => {
    proxy.fail(0);
    for (const taken of clients.taken) if (taken.wanted) await clients.delete(taken);
    const list = await (await fetch(`${service.url}/v1/documents?limit=100`)).json();
    // A document whose 202 was lost on its way: taken, and handed in again under another id.
    for (const { id } of (list as { data: { id: string }[] }).data)
      await fetch(`${service.url}/v1/documents/${id}`, { method: 'DELETE' });
    service.killAll();
    await until(() => service.processes().length === 0, 10_000);
    await service.start();
    const redis = await connectRedis(privateRedisSocket(data), 'worker');
    const keysLeft = async () => {
      const left: string[] = [];
      for await (const { key } of objects.list('tenants/')) left.push(key);
      return left;
    };
    const unfinished = () =>
      [data, workerData]
        .flatMap((folder) => filesOf(path.join(folder, 'objects')))
        .filter((name) => /\/(uploads|scratch)\/|\.partial$/.test(name));
    try {
      // The sweeper looks at its first round.
      const isClean = async () =>
        (await keysLeft()).length + unfinished().length + (await foreignKeys(redis)).length === 0;
      await until(isClean, 60_000).catch(() => {});
      return [...(await keysLeft()), ...unfinished(), ...(await foreignKeys(redis))];
    } finally {
      redis.disconnect();
    }
  });
});
