/**
 * What do 50 askers and 20 submitters at once get from a service on this machine, what does the queue
 * add to the work on a document, and how much sooner does a stored context answer than a fresh one?
 *
 * LOAD_SECONDS (60), LOAD_ASKERS (50), LOAD_SUBMITTERS (20), LOAD_SUBMISSIONS_PER_SECOND (10),
 * LOAD_PAGES (100), LOAD_OUT (a JSON file).
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import autocannon from 'autocannon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processesOf, rssOf } from '../chaos/processes.js';
import { type RunningCli, startGlyphpress } from '../support/cli.js';
import { until } from '../support/service.js';
import { generatedProse } from './bench-text.js';
import { emit, median } from './measure.js';

const setting = (name: string, otherwise: number) =>
  Number(process.env[`LOAD_${name}`] ?? otherwise);
const SECONDS = setting('SECONDS', 60);
const ASKERS = setting('ASKERS', 50);
const SUBMITTERS = setting('SUBMITTERS', 20);
const SUBMISSIONS_PER_SECOND = setting('SUBMISSIONS_PER_SECOND', 10);
const PAGES = setting('PAGES', 100);

/** Documents that the askers ask, and how much of an answer they wait for. */
const STORED = 8;
const ANSWER_TOKENS = 8;
const QUESTION = 'What is the code of the north gate?';

/** Small, so that compressing 100 of them does not take all of the run. */
const PAGE = { 'page-size': '224,392' };

const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-load-'));
const figures: Record<string, unknown> = { bench: 'service-load' };
let running: RunningCli;
let url: string;

beforeAll(async () => {
  running = startGlyphpress(['serve', '--port', '0', '--json', '--log-level', 'error'], {
    env: { GLYPHPRESS_DATA: path.join(base, 'data'), TMPDIR: base, REDIS_URL: undefined },
  });
  let out = '';
  running.child.stdout!.on('data', (text: string) => {
    out += text;
  });
  await until(() => out.includes('\n'), 60_000, 'the service');
  url = (JSON.parse(out) as { url: string }).url;
}, 90_000);

afterAll(async () => {
  emit(figures);
  if (process.env.LOAD_OUT) writeFileSync(process.env.LOAD_OUT, `${JSON.stringify(figures)}\n`);
  running.child.kill('SIGTERM');
  await running.result;
  rmSync(base, { recursive: true, force: true });
}, 60_000);

async function submit(text: string, render: object = {}): Promise<string> {
  const answer = await fetch(`${url}/v1/documents`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text, render }),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { id: string }).id;
}

interface Happened {
  ms: number;
  type: string;
  data: { stage?: string; share?: number };
}

/** All that happened to a document until its end, by the clock of Redis. */
async function history(id: string): Promise<Happened[]> {
  const text = await (await fetch(`${url}/v1/documents/${id}/events`)).text();
  const events = [...text.matchAll(/^id: (\d+)-\d+\nevent: (\w+)\ndata: (.*)$/gm)].map(
    ([, ms, type, data]) => ({ ms: Number(ms), type: type!, data: JSON.parse(data!) }),
  );
  if (events.at(-1)?.type !== 'completed') throw new Error(`${id}: ${events.at(-1)?.type}`);
  return events;
}

const wallOf = (events: readonly Happened[]) => events.at(-1)!.ms - events[0]!.ms;

/** The time in which no step was under way: in line, handed over, told. */
function overheadOf(events: readonly Happened[]): number {
  let worked = 0;
  for (const [at, { ms: began, type, data }] of events.entries()) {
    if (type !== 'stage') continue;
    const later = events.slice(at + 1);
    const until = later.findIndex((event) => event.type === 'stage' || event.type === 'completed');
    // The last word of a step comes when it is done.
    const last = later.slice(0, until).findLast((event) => event.data.stage === data.stage);
    worked += (last?.ms ?? began) - began;
  }
  return wallOf(events) - worked;
}

const documentOf = async (id: string) =>
  (await (await fetch(`${url}/v1/documents/${id}`)).json()) as { progress: { pages: number } };

/** A streamed answer: until its first characters came, and to its end. */
async function ask(id: string): Promise<{ firstMs: number; totalMs: number }> {
  const start = performance.now();
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: question(id, true),
  });
  let firstMs: number | null = null;
  let text = '';
  for await (const piece of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    // The first chunk names the role and holds no text yet.
    if (/"delta":\{"content":"[^"]/.test(text)) firstMs ??= performance.now() - start;
  }
  if (answer.status !== 200 || firstMs === null) throw new Error(`${answer.status} ${text}`);
  return { firstMs, totalMs: performance.now() - start };
}

const question = (id: string, stream: boolean) =>
  JSON.stringify({
    model: 'reader',
    stream,
    max_tokens: ANSWER_TOKENS,
    messages: [{ role: 'user', content: QUESTION }],
    glyphpress: { document_ids: [id] },
  });

function percentiles(values: readonly number[]) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  return { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max: at(1) };
}

interface Answers {
  byStatus: Record<string, number>;
  /** Refusals that do not say when to come again. */
  withoutRetryAfter: number;
  latencies: number[];
}

/** One crowd for the time of the load. */
async function crowd(
  options: Pick<autocannon.Options, 'connections' | 'overallRate'>,
  route: string,
  body: (n: number) => string,
) {
  const answers: Answers = { byStatus: {}, withoutRetryAfter: 0, latencies: [] };
  let sent = 0;
  const { errors, timeouts } = await new Promise<autocannon.Result>((resolve, reject) => {
    const load = autocannon(
      {
        url,
        ...options,
        duration: SECONDS,
        timeout: 120,
        requests: [
          {
            method: 'POST',
            path: route,
            headers: { 'content-type': 'application/json' },
            setupRequest: (request) => ({ ...request, body: body(sent++) }),
            onResponse: (status, _, __, headers) => {
              answers.byStatus[status] = (answers.byStatus[status] ?? 0) + 1;
              const names = Object.keys(headers ?? {}).map((name) => name.toLowerCase());
              if ([429, 503].includes(status) && !names.includes('retry-after'))
                answers.withoutRetryAfter++;
            },
          },
        ],
      },
      (error, result) => (error ? reject(error) : resolve(result)),
    );
    load.on('response', (_, status, __, ms) => {
      if (status < 300) answers.latencies.push(ms);
    });
  });
  return { ...answers, errors, timeouts };
}

describe('the service under load', () => {
  it('adds little to the work on a document', async () => {
    await history(await submit(generatedProse(500))); // the worker opens its model
    const shares: number[] = [];
    const overheads: number[] = [];
    for (let n = 0; n < 6; n++) {
      const events = await history(await submit(`${n} ${generatedProse(20_000)}`));
      overheads.push(overheadOf(events));
      shares.push(overheadOf(events) / wallOf(events));
    }
    figures.queueOverhead = {
      documents: shares.length,
      medianMs: median(overheads),
      medianShare: Math.round(median(shares) * 1e4) / 1e4,
    };
    expect(median(shares)).toBeLessThan(0.05);
  });

  it('answers from a stored context much sooner than from a document', async () => {
    const sample = 6_000;
    const probe = await submit(`probe ${generatedProse(sample)}`, PAGE);
    await history(probe);
    const perPage = sample / (await documentOf(probe)).progress.pages;
    const id = await submit(`long ${generatedProse(Math.ceil((PAGES + 8) * perPage))}`, PAGE);
    const compressMs = wallOf(await history(id));
    const { pages } = (await documentOf(id)).progress;
    const first = await ask(id);
    const again: number[] = [];
    for (let n = 0; n < 5; n++) again.push((await ask(id)).firstMs);
    const storedMs = median(again);
    figures.storedContext = {
      pages,
      compressMs,
      firstQuestionFirstTokenMs: Math.round(first.firstMs),
      storedFirstTokenMs: Math.round(storedMs),
      timesSooner: Math.round((compressMs + first.firstMs) / storedMs),
      timesSoonerFromDisk: Math.round((compressMs + first.firstMs) / first.firstMs),
    };
    expect((compressMs + first.firstMs) / storedMs).toBeGreaterThan(20);
  });

  it('fails nobody, sheds with Retry-After, and stays in its memory', async () => {
    const stored: string[] = [];
    for (let n = 0; n < STORED; n++) stored.push(await submit(`${n} ${generatedProse(3_000)}`));
    for (const id of stored) await history(id);
    for (const id of stored) await ask(id);
    const samples: { s: number; role: string; bytes: number }[] = [];
    const begin = Date.now();
    const sampling = setInterval(() => {
      const s = (Date.now() - begin) / 1000;
      for (const { pid, role } of processesOf(base))
        if (['api', 'worker', 'redis'].includes(role)) samples.push({ s, role, bytes: rssOf(pid) });
    }, 1_000);
    const [asking, submitting] = await Promise.all([
      crowd({ connections: ASKERS }, '/v1/chat/completions', (n) =>
        question(stored[n % STORED]!, false),
      ),
      crowd(
        { connections: SUBMITTERS, overallRate: SUBMISSIONS_PER_SECOND },
        '/v1/documents',
        (n) => JSON.stringify({ text: `load ${n} ${generatedProse(1_000)}` }),
      ),
    ]);
    clearInterval(sampling);
    const rss = Object.fromEntries(
      ['api', 'worker', 'redis'].map((role) => {
        const third = (from: number) =>
          median(
            samples
              .filter((one) => one.role === role && one.s >= from && one.s < from + SECONDS / 3)
              .map(({ bytes }) => bytes / 1024 ** 2),
          );
        const [middle, last] = [third(SECONDS / 3), third((2 * SECONDS) / 3)];
        return [role, { middleMb: Math.round(middle), lastMb: Math.round(last) }];
      }),
    );
    const shown = ({ latencies, ...answers }: Awaited<ReturnType<typeof crowd>>) => ({
      ...answers,
      perSecond: Math.round((latencies.length / SECONDS) * 10) / 10,
      latencyMs: percentiles(latencies),
    });
    Object.assign(figures, {
      seconds: SECONDS,
      askers: { crowd: ASKERS, ...shown(asking) },
      submitters: { crowd: SUBMITTERS, ...shown(submitting) },
      rssMb: rss,
    });
    for (const { byStatus, errors, timeouts, withoutRetryAfter } of [asking, submitting]) {
      const bad = Object.keys(byStatus).filter(
        (status) => !['200', '202', '429', '503'].includes(status),
      );
      expect({ bad, errors, timeouts, withoutRetryAfter }).toEqual({
        bad: [],
        errors: 0,
        timeouts: 0,
        withoutRetryAfter: 0,
      });
    }
    expect(rss.api!.lastMb).toBeLessThan(1.15 * rss.api!.middleMb + 32);
  });
});
