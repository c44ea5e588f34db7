/**
 * Does a service keep its memory over many documents and questions, and what do documents take on the disk?
 * Target: in the last half no process grows by more than 1 MB for 100 documents.
 *
 * SOAK_DOCUMENTS (1,000), SOAK_QUESTIONS_EACH (2), SOAK_CHARACTERS (2,000) of a document,
 * SOAK_SLOPE_MB (1) that fails the run, SOAK_OUT (a JSON file).
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { processesOf, rssOf } from '../chaos/processes.js';
import { type RunningCli, startGlyphpress } from '../support/cli.js';
import { until } from '../support/service.js';
import { generatedProse } from './bench-text.js';
import { emit, median } from './measure.js';

const setting = (name: string, otherwise: number) =>
  Number(process.env[`SOAK_${name}`] ?? otherwise);
const DOCUMENTS = setting('DOCUMENTS', 1_000);
const QUESTIONS_EACH = setting('QUESTIONS_EACH', 2);
const CHARACTERS = setting('CHARACTERS', 2_000);
const SLOPE_MB = setting('SLOPE_MB', 1);

const LONGEST_MS = 4 * 3_600_000;

/** Documents under way at once, each followed to its last answer. */
const AT_ONCE = 4;
const MB = 1024 ** 2;

const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-soak-'));
const figures: Record<string, unknown> = { bench: 'soak', documents: DOCUMENTS };
let running: RunningCli;
let worker: RunningCli | undefined;
let url: string;
let model: string;

beforeAll(async () => {
  // Contexts that are kept in memory fill it early, so that growth behind them shows.
  const args = ['serve', '--port', '0', '--json', '--log-level', 'error', '--context-mb', '64'];
  const env = { GLYPHPRESS_DATA: path.join(base, 'data'), TMPDIR: base, REDIS_URL: undefined };
  running = startGlyphpress([...args, '--rate', '0', '--workers', '0'], { env });
  let out = '';
  running.child.stdout!.on('data', (text: string) => {
    out += text;
  });
  await until(() => out.includes('\n'), 300_000, 'the service');
  url = (JSON.parse(out) as { url: string }).url;
  // At the priority of everything else, so that a busy machine does not starve it.
  worker = startGlyphpress(['worker'], { env });
  const models = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  model = models.data[0]!.id;
}, 330_000);

afterAll(async () => {
  emit(figures);
  if (process.env.SOAK_OUT) writeFileSync(process.env.SOAK_OUT, `${JSON.stringify(figures)}\n`);
  for (const started of [worker, running]) {
    started?.child.kill('SIGTERM');
    await started?.result;
  }
  rmSync(base, { recursive: true, force: true });
}, 60_000);

interface Seen {
  id: string;
  status: string;
  error: { message: string } | null;
  storage: { bytes: number; amplification: number; peak_amplification: number } | null;
}

/** Comes again where the service asks for it. */
async function post(route: string, body: object): Promise<unknown> {
  for (;;) {
    const answer = await fetch(`${url}${route}`, {
      method: 'POST',
      // A connection that was idle may be closed in the moment that it is used again.
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify(body),
    });
    const reply = await answer.text();
    if (answer.ok) return JSON.parse(reply);
    if (![429, 503].includes(answer.status)) throw new Error(`${answer.status} ${reply}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function document(n: number): Promise<Seen> {
  const text = `Document ${n}. ${generatedProse(CHARACTERS + (n % 7) * 100)}`;
  const { id } = (await post('/v1/documents', { text, filename: `${n}.txt` })) as Seen;
  for (let q = 0; q < QUESTIONS_EACH; q++) {
    await post('/v1/chat/completions', {
      model,
      max_tokens: 4,
      messages: [{ role: 'user', content: `Which document is it, asked ${q}?` }],
      glyphpress: { document_ids: [id] },
    });
  }
  return (await (await fetch(`${url}/v1/documents/${id}`)).json()) as Seen;
}

interface Sample {
  documents: number;
  megabytes: Record<string, number>;
}

function sample(documents: number): Sample {
  const megabytes: Record<string, number> = {};
  for (const { pid, role } of processesOf(base)) {
    if (['api', 'worker', 'redis'].includes(role))
      megabytes[role] = (megabytes[role] ?? 0) + rssOf(pid) / MB;
  }
  return { documents, megabytes };
}

/** Least squares, in MB for 100 documents. */
function slope(samples: readonly Sample[], role: string): number {
  const points = samples.map(({ documents, megabytes }) => [documents, megabytes[role]!] as const);
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const over = points.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0);
  const under = points.reduce((sum, [a]) => sum + (a - x) ** 2, 0);
  return (100 * over) / under;
}

it('keeps its memory', { timeout: LONGEST_MS }, async () => {
  const samples: Sample[] = [];
  const seen: Seen[] = [];
  let next = 0;
  const start = performance.now();
  const follow = async () => {
    while (next < DOCUMENTS) {
      seen.push(await document(next++));
      if (seen.length % 5 === 0) samples.push(sample(seen.length));
      // A run that is cut off leaves what it saw.
      if (seen.length % 100 === 0) emit({ bench: 'soak', ...samples.at(-1) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, follow));
  const lastHalf = samples.filter(({ documents }) => documents > DOCUMENTS / 2);
  const round = (value: number) => Math.round(value * 100) / 100;
  const roles = ['api', 'worker', 'redis'];
  const slopes = Object.fromEntries(roles.map((role) => [role, round(slope(lastHalf, role))]));
  const stored = seen.map(({ storage }) => storage!);
  Object.assign(figures, {
    questions: DOCUMENTS * QUESTIONS_EACH,
    seconds: Math.round((performance.now() - start) / 1000),
    failed: seen.filter(({ status }) => status !== 'completed').length,
    slopesMbPer100Documents: slopes,
    megabytes: [0, 0.5, 1].map((share) => {
      const { documents, megabytes } = samples[Math.floor(share * (samples.length - 1))]!;
      const rounded = Object.entries(megabytes).map(([role, mb]) => [role, Math.round(mb)]);
      return { documents, ...Object.fromEntries(rounded) };
    }),
    amplification: median(stored.map(({ amplification }) => amplification)),
    peakAmplification: median(stored.map(({ peak_amplification: peak }) => peak)),
  });
  expect(figures.failed).toBe(0);
  for (const role of roles) expect(slopes[role]).toBeLessThanOrEqual(SLOPE_MB);
});
