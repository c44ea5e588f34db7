/**
 * How long does a document of 60 bytes take while another tenant's large one is under way, against the
 * time that it takes alone? The large ones: 60 MB, which no model here holds; one that just fits; a page of
 * 200,000 nested tags.
 *
 * FAIR_MB (60), FAIR_FIT_KB (400), FAIR_OUT (a JSON file).
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { glyphpress, type RunningCli, startGlyphpress } from '../support/cli.js';
import { until } from '../support/service.js';
import { emit, median } from './measure.js';

const setting = (name: string, otherwise: number) =>
  Number(process.env[`FAIR_${name}`] ?? otherwise);
const LARGE_MB = setting('MB', 60);
const FIT_KB = setting('FIT_KB', 400);

const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-fair-'));
const data = path.join(base, 'data');
const env = { GLYPHPRESS_DATA: data, TMPDIR: base, REDIS_URL: undefined };
const figures: Record<string, unknown> = { bench: 'fairness' };
const keys: Record<string, string> = {};
let running: RunningCli;
let url: string;

beforeAll(async () => {
  for (const tenant of ['large', 'small']) {
    const made = await glyphpress(['keys', 'create', '--tenant', tenant, '--json'], { env });
    keys[tenant] = (JSON.parse(made.stdout) as { key: string }).key;
  }
  const args = [
    'serve',
    '--port',
    '0',
    '--json',
    '--log-level',
    'error',
    '--require-key',
    '--rate',
    '0',
  ];
  running = startGlyphpress(args, { env });
  let out = '';
  running.child.stdout!.on('data', (text: string) => {
    out += text;
  });
  await until(() => out.includes('\n'), 60_000, 'the service');
  url = (JSON.parse(out) as { url: string }).url;
}, 120_000);

afterAll(async () => {
  emit(figures);
  if (process.env.FAIR_OUT) writeFileSync(process.env.FAIR_OUT, `${JSON.stringify(figures)}\n`);
  running.child.kill('SIGTERM');
  await running.result;
  rmSync(base, { recursive: true, force: true });
}, 60_000);

interface Seen {
  id: string;
  status: string;
  stage: string | null;
  error: { code: string; message: string } | null;
  created_at: number;
}

const headers = (tenant: string) => ({ authorization: `Bearer ${keys[tenant]}` });

async function submit(tenant: string, body: string, type = 'text/plain'): Promise<Seen> {
  const answer = await fetch(`${url}/v1/documents?contexts=at-once`, {
    method: 'POST',
    headers: { ...headers(tenant), 'content-type': type },
    body,
  });
  // Just started, it is behind.
  if (answer.status === 503) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return submit(tenant, body, type);
  }
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Seen;
}

async function look(tenant: string, id: string): Promise<Seen> {
  return (await (
    await fetch(`${url}/v1/documents/${id}`, { headers: headers(tenant) })
  ).json()) as Seen;
}

const isOver = ({ status }: Seen) => ['completed', 'failed', 'cancelled'].includes(status);

async function ended(tenant: string, id: string): Promise<Seen> {
  for (;;) {
    const seen = await look(tenant, id);
    if (isOver(seen)) return seen;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

interface Short {
  ms: number;
  /** From the begin of each of its stages to the begin of the next. */
  stages: Record<string, number>;
}

let made = 0;
/** From handing it in to its end; another text each time, so that nothing of it is there. */
async function shortDocument(): Promise<Short> {
  const text = `The code of gate ${String(++made).padStart(4, '0')} is 4711 for today, said the guard.`;
  const start = performance.now();
  const { id } = await submit('small', text.padEnd(60, '.').slice(0, 60));
  const seen = await ended('small', id);
  if (seen.status !== 'completed') throw new Error(JSON.stringify(seen.error));
  return { ms: Math.round(performance.now() - start), stages: await stagesOf(id) };
}

async function stagesOf(id: string): Promise<Record<string, number>> {
  const answer = await fetch(`${url}/v1/documents/${id}/events`, { headers: headers('small') });
  if (answer.status === 503) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return stagesOf(id);
  }
  const stages: Record<string, number> = {};
  let before: { name: string; ms: number } | null = null;
  const events = (await answer.text()).matchAll(/^id: (\d+)-\d+\nevent: (\w+)\ndata: (.*)$/gm);
  for (const [, ms, type, data] of events) {
    if (type === 'progress') continue;
    if (before) stages[before.name] = Number(ms) - before.ms;
    before = { name: (JSON.parse(data!) as { stage?: string }).stage ?? type!, ms: Number(ms) };
  }
  return stages;
}

/** Short documents, one after the other, until the large one is over: how long they took, by its stage. */
async function beside(id: string) {
  const byStage: Record<string, Short[]> = {};
  const start = performance.now();
  for (;;) {
    const seen = await look('large', id);
    if (isOver(seen))
      return { byStage, largeMs: Math.round(performance.now() - start), large: seen };
    const stage = seen.stage ?? 'queued';
    byStage[stage] = [...(byStage[stage] ?? []), await shortDocument()];
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function summary({ byStage, largeMs, large }: Awaited<ReturnType<typeof beside>>) {
  const all = Object.values(byStage).flat();
  return {
    largeMs,
    large: large.status,
    error: large.error?.message ?? null,
    shortDocuments: all.length,
    medianMs: median(all.map(({ ms }) => ms)),
    maxMs: Math.max(...all.map(({ ms }) => ms)),
    slowestByStage: Object.fromEntries(
      Object.entries(byStage).map(([stage, docs]) => [
        stage,
        docs.reduce((slowest, one) => (one.ms > slowest.ms ? one : slowest)),
      ]),
    ),
  };
}

/** Lines of a log: no two are equal. */
function log(bytes: number): string {
  const lines: string[] = [];
  for (let size = 0, n = 0; size < bytes; n++) {
    const line = `2026-11-27T12:${n % 60}:00 host${n % 7} svc[${(n * 7919) % 100_000}]: request ${n} took ${n % 997} ms, status ${200 + (n % 5)}`;
    lines.push(line);
    size += line.length + 1;
  }
  return lines.join('\n').slice(0, bytes);
}

it('alone', async () => {
  await shortDocument(); // the model is opened, the browser found
  const times = [];
  for (let n = 0; n < 5; n++) times.push(await shortDocument());
  times.sort((a, b) => a.ms - b.ms);
  figures.alone = times[2];
});

it('beside a document that no model here holds', async () => {
  const { id } = await submit('large', log(LARGE_MB * 1e6));
  const times = await beside(id);
  figures.tooLarge = { megabytes: LARGE_MB, ...summary(times) };
  expect(times.large.error?.code).toBe('GP_CONTEXT_LENGTH');
});

it('beside a document that just fits', async () => {
  const { id } = await submit('large', log(FIT_KB * 1e3));
  const times = await beside(id);
  figures.fits = { kilobytes: FIT_KB, ...summary(times) };
  expect(times.large.status).toBe('completed');
});

it('beside 200,000 nested tags', async () => {
  const { id } = await submit('large', `<html>${'<div>'.repeat(200_000)}x`, 'text/html');
  figures.nestedTags = summary(await beside(id));
});
