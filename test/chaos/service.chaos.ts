/**
 * Does the service keep its promises when its processes die, its Redis stops, its disk is full and
 * its files are damaged, with all documents in flight?
 *
 * CHAOS_SEED, CHAOS_DOCUMENTS, CHAOS_FAULTS, CHAOS_FAULTS_OF (kinds), CHAOS_WORKERS,
 * CHAOS_SETTLE_SECONDS, CHAOS_OUT (a JSON file).
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { privateRedisSocket } from '../../src/environment/private-redis.js';
import { connectRedis } from '../../src/queue/connection.js';
import { until } from '../support/service.js';
import { Clients } from './clients.js';
import { type FaultOutcome, filesOf, strike } from './faults.js';
import {
  contextHash,
  damagedArtifacts,
  foreignKeys,
  idleProcesses,
  oneTerminalState,
  temporaryFiles,
  textsAreRight,
  untilAllEnded,
} from './invariants.js';
import { LimitedDisk } from './limited-disk.js';
import { chaosOptions, plannedDocuments, plannedFaults, random } from './plan.js';
import { freePort, SupervisedService } from './supervised-service.js';

const options = chaosOptions();
const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-chaos-'));
const data = path.join(base, 'data');
const store = path.join(data, 'store');
/** Room for all documents of a run, and for little more. */
const DISK_MB = 256 + options.documents * 2;

const result: Record<string, unknown> = { chaos: 'service', ...options, out: undefined };
const disk = new LimitedDisk(data, DISK_MB);
let service: SupervisedService;
let clients: Clients;
let failed = false;

beforeAll(async () => {
  if (disk.problem) console.log(`full-disk is skipped: ${disk.problem}`);
  const { workers } = options;
  service = new SupervisedService({ base, data, port: await freePort(), workers });
  clients = new Clients(service.url);
  await service.start();
});

afterAll(async () => {
  service.killAll();
  await until(() => service.processes().length === 0, 10_000, 'the end of all processes');
  disk.close();
  if (failed) console.log(`kept for looking into it: ${base}`);
  else rmSync(base, { recursive: true, force: true });
  console.log(table(result));
  const json = JSON.stringify(result);
  console.log(json);
  if (options.out) writeFileSync(options.out, `${json}\n`);
});

/** Each invariant is a test of its own; they build on each other in this order. */
function invariant(name: string, check: () => Promise<string[]> | string[]): void {
  it(name, async () => {
    const problems = await check();
    result[name] = problems.length === 0 ? 'held' : problems.slice(0, 20);
    failed ||= problems.length > 0;
    expect(problems).toEqual([]);
  });
}

describe(`the service, seed ${options.seed}`, () => {
  let states: Awaited<ReturnType<typeof untilAllEnded>>['states'] = new Map();

  invariant('every accepted document ends', async () => {
    const begin = Date.now();
    const documents = plannedDocuments(options, random(options.seed));
    const dice = random(options.seed + 1);
    const resting = new AbortController();
    const handingIn = Promise.all(
      documents.map((document, n) => clients.submit(document, `chaos-${options.seed}-${n}`)),
    );
    handingIn.catch(() => {}); // awaited below
    const asking = [3, 5].map((n) => clients.askOnAndOn(random(options.seed + n), resting.signal));
    const faults: FaultOutcome[] = [];
    for (const fault of plannedFaults(options, random(options.seed + 2))) {
      await new Promise((resolve) => setTimeout(resolve, fault.pauseMs));
      const atS = Math.round((Date.now() - begin) / 100) / 10;
      const hit = await strike(fault, { service, disk, store, dice });
      faults.push({ kind: fault.kind, atS, hit });
      console.log(`${atS.toFixed(1).padStart(6)} s  ${fault.kind}  ${hit ?? 'nothing to hit'}`);
    }
    const lastFault = Date.now();
    await handingIn;
    const ended = await untilAllEnded(clients, options.settleMs);
    states = ended.states;
    resting.abort();
    await Promise.all(asking);
    const count = (status: string) =>
      [...states.values()].filter((shown) => shown.status === status).length;
    const codes: Record<string, number> = {};
    for (const { error } of states.values())
      if (error) codes[error.code] = (codes[error.code] ?? 0) + 1;
    Object.assign(result, {
      accepted: clients.taken.length,
      completed: count('completed'),
      failed: count('failed'),
      failedBecause: codes,
      cancelled: count('cancelled'),
      deleted: clients.taken.filter(({ wanted }) => !wanted).length,
      struck: faults.filter(({ hit }) => hit !== null).length,
      faultsByKind: Object.fromEntries(
        options.kinds.map((kind) => [
          kind,
          faults.filter((fault) => fault.kind === kind && fault.hit !== null).length,
        ]),
      ),
      ends: service.ends,
      answers: clients.answers,
      seconds: Math.round((Date.now() - begin) / 1000),
      secondsAfterLastFault: Math.round((Date.now() - lastFault) / 1000),
    });
    return ended.problems;
  });

  invariant('in exactly one terminal state', () => oneTerminalState(clients, states));

  invariant('clients meet no answer but those that are documented', () => clients.problems);

  invariant('texts are right or said to be damaged', () => textsAreRight(clients, states));

  invariant('fails only what cannot be read, or was damaged or started too often', () =>
    clients.taken.flatMap(({ id, document }) => {
      const shown = states.get(id);
      if (shown?.status !== 'failed' || document.text === null) return [];
      const excused = ['GP_ARTIFACT_DAMAGED', 'GP_DOCUMENT_POISON', 'GP_STORAGE'];
      const code = shown.error?.code ?? 'no code';
      return excused.includes(code) ? [] : [`${document.name}: ${code} (${shown.stage})`];
    }),
  );

  invariant('no artifact is damaged but those that were', () => {
    const damaged = damagedArtifacts(store);
    const struck = (result.faultsByKind as Record<string, number> | undefined)?.['damage-artifact'];
    // One file may be linked into two artifacts.
    return damaged.length <= 2 * (struck ?? 0) ? [] : damaged;
  });

  invariant('contexts are those of a quiet run', async () => {
    const problems: string[] = [];
    const done = clients.taken.filter(
      ({ id, wanted, hash }) =>
        wanted &&
        states.get(id)?.status === 'completed' &&
        clients.taken.filter((other) => other.wanted && other.hash === hash).length === 1,
    );
    let compared = 0;
    for (const taken of done.slice(0, 12)) {
      const suffered = contextHash(store, taken);
      if (suffered === null) continue;
      await clients.delete(taken);
      const document = { ...taken.document, fate: null };
      const again = await clients.submit(document, `quiet-${taken.id}`);
      states.set(again.id, (await untilAllEnded(clients, 60_000)).states.get(again.id)!);
      if (contextHash(store, again) !== suffered)
        problems.push(`${document.name} came out otherwise`);
      compared++;
    }
    result.contextsCompared = compared;
    return problems;
  });

  invariant('no browser and no reader is left', () => idleProcesses(service));

  invariant('all processes end when they are asked', async () => {
    const left = await service.stop(30_000);
    return left.map(({ role, command }) => `${role}: ${command.slice(0, 120)}`);
  });

  invariant('no temporary file is left after the next start', async () => {
    service.killAll();
    await until(() => service.processes().length === 0, 10_000);
    await service.start();
    // The sweeper looks at its first round.
    await until(() => temporaryFiles(store, service.scratch).length === 0, 40_000).catch(() => {});
    return temporaryFiles(store, service.scratch);
  });

  invariant('deleting all brings Redis and the store back to where they began', async () => {
    for (const taken of clients.taken) if (taken.wanted) await clients.delete(taken);
    const redis = await connectRedis(privateRedisSocket(data), 'worker');
    try {
      const list = await (await fetch(`${service.url}/v1/documents?limit=100`)).json();
      const { data: more } = list as { data: { id: string }[] };
      // A document whose 202 was lost on its way: taken, and handed in again under another id.
      result.unknownDocuments = more.length;
      for (const { id } of more)
        await fetch(`${service.url}/v1/documents/${id}`, { method: 'DELETE' });
      // What was being worked on when it was deleted goes with the sweeper's first round.
      await until(async () => (await foreignKeys(redis)).length === 0, 30_000).catch(() => {});
      const keys = await foreignKeys(redis);
      const files = filesOf(path.join(store, 'tenants'));
      result.redisKeys = await redis.dbsize();
      return [...keys, ...files];
    } finally {
      redis.disconnect();
    }
  });
});

function table(figures: Record<string, unknown>): string {
  const text = (value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value)
          .map(([name, one]) => `${name} ${one}`)
          .join(', ')
      : Array.isArray(value)
        ? value.join('; ')
        : String(value);
  return Object.entries(figures)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name.padEnd(66)} ${text(value)}`)
    .join('\n');
}
