/** What must hold when all has come to rest. Each check gives what is wrong, in sentences. */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Redis } from 'ioredis';
import type { Clients, Taken } from './clients.js';
import { filesOf } from './faults.js';
import type { SupervisedService } from './supervised-service.js';

const TERMINAL = ['completed', 'failed', 'cancelled'];

interface Shown {
  id: string;
  status: string;
  stage: string | null;
  error: { code: string } | null;
}

export async function untilAllEnded(
  clients: Clients,
  timeoutMs: number,
): Promise<{ states: Map<string, Shown>; problems: string[] }> {
  const states = new Map<string, Shown>();
  const end = Date.now() + timeoutMs;
  for (;;) {
    for (const { id, wanted } of clients.taken) {
      if (!wanted || TERMINAL.includes(states.get(id)?.status ?? '')) continue;
      const answer = await clients.insist(`/v1/documents/${id}`, {}, [200, 404]);
      if (answer.status === 200) states.set(id, (await answer.json()) as Shown);
    }
    const open = clients.taken.filter(
      ({ id, wanted }) => wanted && !TERMINAL.includes(states.get(id)?.status ?? ''),
    );
    if (open.length === 0) return { states, problems: [] };
    if (Date.now() > end) {
      const problems = open.map(({ id, document }) => {
        const { status = 'lost', stage = null } = states.get(id) ?? {};
        return `${document.name} was taken and is ${status} (${stage})`;
      });
      return { states, problems };
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** One terminal event each, the last one; it says what the record says, and what was to be expected. */
export async function oneTerminalState(
  clients: Clients,
  states: ReadonlyMap<string, Shown>,
): Promise<string[]> {
  const problems: string[] = [];
  for (const { id, document, wanted } of clients.taken) {
    const shown = states.get(id);
    if (!wanted || !shown) continue;
    const answer = await clients.insist(`/v1/documents/${id}/events`, {}, [200]);
    const types = [...(await answer.text()).matchAll(/^event: (\w+)$/gm)].map(([, type]) => type!);
    const ends = types.filter((type) => TERMINAL.includes(type));
    if (ends.length !== 1 || types.at(-1) !== shown.status)
      problems.push(`${document.name} is ${shown.status}, its events end ${types.slice(-3)}`);
    if (document.text === null && shown.status === 'completed')
      problems.push(`${document.name} cannot be read and is completed`);
  }
  return problems;
}

/** No word of a document changed on its way; damage is told instead. */
export async function textsAreRight(
  clients: Clients,
  states: ReadonlyMap<string, Shown>,
): Promise<string[]> {
  const problems: string[] = [];
  for (const { id, document, wanted } of clients.taken) {
    if (!wanted || states.get(id)?.status !== 'completed') continue;
    const answer = await fetch(`${clients.url}/v1/documents/${id}/text`);
    const text = await answer.text();
    if (answer.ok ? text.trim() !== document.text : !text.includes('GP_ARTIFACT_DAMAGED'))
      problems.push(`the text of ${document.name}: ${answer.status} ${text.slice(0, 200)}`);
  }
  return problems;
}

interface Checksums {
  files: Record<string, { bytes: number; sha256: string }>;
}

/** Folders whose files are not what their manifest says. Damage that was done to them shows here too. */
export function damagedArtifacts(store: string): string[] {
  const damaged: string[] = [];
  for (const file of filesOf(store).filter((name) => path.basename(name) === 'manifest.json')) {
    const folder = path.dirname(file);
    const [json = '', checksum] = readFileSync(file, 'utf8').split('\n');
    const isWhole =
      sha256(json) === checksum &&
      Object.entries((JSON.parse(json) as Checksums).files).every(([name, expected]) => {
        const bytes = readFileSync(path.join(folder, name));
        return bytes.length === expected.bytes && sha256(bytes) === expected.sha256;
      });
    if (!isWhole) damaged.push(folder);
  }
  return damaged;
}

/** The context of a document's content; null where there is none that is whole. */
export function contextHash(store: string, { hash }: Taken): string | null {
  const tenants = path.join(store, 'tenants');
  for (const tenant of existsSync(tenants) ? readdirSync(tenants) : []) {
    const folder = path.join(tenants, tenant, hash.slice(0, 2), hash);
    const file = filesOf(folder).find((name) => name.endsWith('/context.safetensors'));
    if (file && damagedArtifacts(folder).length === 0) return sha256(readFileSync(file));
  }
  return null;
}

/**
 * Half-written, replaced, given up or thrown away: nothing of it may stay. Visual tokens may, beside
 * the context that was made of them.
 */
export function temporaryFiles(store: string, scratch: string): string[] {
  const isTemporary = /\.(partial|tmp|old)(\/|$)|\.work\/|\/(uploads|trash)\//;
  const files = filesOf(store);
  const contentOf = (kind: string, name: string) =>
    new RegExp(`^(.*)/${kind}-[0-9a-f]{32}/`).exec(name)?.[1];
  const finished = new Set(files.map((name) => contentOf('context', name)));
  const inStore = files.filter((name) => {
    const content = contentOf('tokens', name);
    return isTemporary.test(name) || (content !== undefined && !finished.has(content));
  });
  const inScratch = readdirSync(scratch).map((name) => path.join(scratch, name));
  return [...inStore, ...inScratch];
}

/**
 * Keys that do not belong there when the last document is deleted. BullMQ's book-keeping of its queues
 * may, the turns of tenants, how the service introduced itself, and what ends by itself (idempotency
 * keys, locks).
 */
export async function foreignKeys(redis: Redis): Promise<string[]> {
  const foreign: string[] = [];
  for (const key of await redis.keys('*')) {
    const [, queue, name] = /^gp:bull:(\w+):([\w-]+)$/.exec(key) ?? [];
    const isBookKeeping =
      ['extract', 'render', 'encode', 'prefill', 'webhooks'].includes(queue ?? '') &&
      ['meta', 'id', 'events', 'marker', 'pc', 'stalled-check'].includes(name ?? '');
    const isOfTheService = /^gp:(turns:\w+|service)$/.test(key);
    if (!isBookKeeping && !isOfTheService && (await redis.pttl(key)) < 0) foreign.push(key);
  }
  return foreign.sort();
}

/** At rest there is the service, its workers and its Redis; no browser, no reader, nothing forgotten. */
export function idleProcesses(service: SupervisedService): string[] {
  return service.processes('browser', 'extractor').map(({ command }) => command.slice(0, 120));
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
