/**
 * What do two workers give that share nothing but Redis and an object store, what would 4, 16 and 64 give,
 * and what limits them? API and workers are processes with data folders of their own.
 *
 * SCALE_LONG_PAGES (32), SCALE_SMALL (12), SCALE_MODEL (a model folder; default: one with random weights),
 * SCALE_OUT (a JSON file). The simulation is of 2,000 pages and 200 small documents.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { startPrivateRedis } from '../../src/environment/private-redis.js';
import { type RunningCli, startGlyphpress } from '../support/cli.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { TINY_MODEL } from '../support/models.js';
import { noS3Server, S3_CREDENTIALS, testS3 } from '../support/s3-server.js';
import { until } from '../support/service.js';
import { generatedProse } from './bench-text.js';
import { emit } from './measure.js';
import { type StageTimes, simulate } from './scale-out.js';

const LONG_PAGES = Number(process.env.SCALE_LONG_PAGES ?? 32);
const SMALL = Number(process.env.SCALE_SMALL ?? 12);
const MODEL = process.env.SCALE_MODEL ?? TINY_MODEL;
const PAGE = { 'page-size': '224,392' };
const CHARACTERS_A_PAGE = 1_500;
const FULL = { pages: 2_000, small: 200 };

const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-scale-'));
const cleanUp: (() => Promise<unknown>)[] = [];
const figures: Record<string, unknown> = { bench: 'scale-out' };

interface Done extends StageTimes {
  id: string;
}

describe.skipIf(noS3Server)('scale-out over an object store', () => {
  let url: string;
  let proxy: FaultProxy;
  let start: (args: string[], data: string) => Promise<{ cli: RunningCli; line: string }>;
  const measured: Record<number, { seconds: number; done: Done[] }> = {};

  beforeAll(async () => {
    const redis = await startPrivateRedis(path.join(base, 'redis'));
    cleanUp.push(() => redis.stop());
    const s3 = await testS3(cleanUp);
    // It counts requests.
    proxy = await FaultProxy.open(s3.endpoint, cleanUp);
    const store = ['--store', `s3://${s3.bucket}/scale`, '--store-endpoint', proxy.endpoint];
    start = async (args, data) => {
      const cli = startGlyphpress([...args, ...store, '--model', MODEL, '--json'], {
        env: {
          ...S3_CREDENTIALS,
          GLYPHPRESS_DATA: path.join(base, data),
          TMPDIR: base,
          REDIS_URL: redis.url,
        },
      });
      let out = '';
      cli.child.stdout!.on('data', (text: string) => {
        out += text;
      });
      await until(() => out.includes('\n'), 120_000, args[0]);
      return { cli, line: out };
    };
    const api = await start(
      ['serve', '--port', '0', '--workers', '0', '--log-level', 'error'],
      'api',
    );
    cleanUp.push(() => end(api.cli));
    url = (JSON.parse(api.line) as { url: string }).url;
  }, 300_000);

  afterAll(async () => {
    for (const step of cleanUp.toReversed()) await step();
    rmSync(base, { recursive: true, force: true });
    emit(figures);
    if (process.env.SCALE_OUT) writeFileSync(process.env.SCALE_OUT, `${JSON.stringify(figures)}\n`);
  }, 120_000);

  const end = async (cli: RunningCli) => {
    cli.child.kill('SIGTERM');
    await cli.result;
  };
  const submit = async (text: string) => {
    const query = new URLSearchParams({ render: JSON.stringify(PAGE) });
    const answer = await fetch(`${url}/v1/documents?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: text,
    });
    return ((await answer.json()) as { id: string }).id;
  };
  const finished = async (id: string) => {
    const document = (await (await fetch(`${url}/v1/documents/${id}`)).json()) as {
      status: string;
      error: unknown;
    };
    if (document.status === 'failed') throw new Error(JSON.stringify(document.error));
    return document.status === 'completed';
  };
  const report = async (id: string): Promise<Done> => {
    const { pages, timings } = (await (await fetch(`${url}/v1/documents/${id}/report`)).json()) as {
      pages: number;
      timings: Record<string, number>;
    };
    const { extractMs = 0, renderMs = 0, encodeMs = 0, pruneMs = 0, prefillMs = 0 } = timings;
    return { id, pages, extractMs, renderMs, encodeMs, prefillMs: pruneMs + prefillMs };
  };

  const run = async (workers: number, n: number) => {
    const others = Array.from({ length: workers }, (_, i) => `worker-${n}-${i}`);
    const running = await Promise.all(
      others.map((data) => start(['worker', '--threads', '1', '--browsers', '1'], data)),
    );
    const before = proxy.requests.length;
    const begin = performance.now();
    const prose = (characters: number, name: string) =>
      `${n} ${name} ${generatedProse(characters)}`;
    const ids = [await submit(prose(LONG_PAGES * CHARACTERS_A_PAGE, 'long'))];
    for (let i = 0; i < SMALL; i++) ids.push(await submit(prose(CHARACTERS_A_PAGE, `small ${i}`)));
    for (const id of ids) await until(() => finished(id), 900_000, id);
    const seconds = (performance.now() - begin) / 1000;
    const done = await Promise.all(ids.map(report));
    await Promise.all(running.map(({ cli }) => end(cli)));
    measured[workers] = { seconds, done };
    const pages = done.reduce((sum, document) => sum + document.pages, 0);
    const requests = proxy.requests.length - before;
    figures[`workers${workers}`] = {
      seconds: Math.round(seconds * 10) / 10,
      documentsPerMinute: Math.round((ids.length / seconds) * 600) / 10,
      pagesPerSecond: Math.round((pages / seconds) * 100) / 100,
      pages,
      storeRequests: requests,
      requestsAPage: Math.round((requests / pages) * 10) / 10,
      long: done[0],
    };
  };

  it('is measured with one worker and with two', async () => {
    await run(1, 1);
    await run(2, 2);
  }, 2_400_000);

  it('is simulated from these times', () => {
    const { done } = measured[1]!;
    const [long, ...small] = done as [Done, ...Done[]];
    const scale = FULL.pages / long.pages;
    const full: StageTimes[] = [
      {
        pages: FULL.pages,
        extractMs: long.extractMs * scale,
        renderMs: long.renderMs * scale,
        encodeMs: long.encodeMs * scale,
        prefillMs: long.prefillMs * scale,
      },
      ...Array.from({ length: FULL.small }, (_, i) => small[i % small.length]!),
    ];
    const seconds = (ms: number) => Math.round(ms / 100) / 10;
    // One machine of two cores runs both of the measured workers: each has one of them.
    figures.simulatedAsMeasured = Object.fromEntries(
      [1, 2].map((workers) => [
        workers,
        seconds(simulate(done, workers, { cores: 2 / workers }).makespanMs),
      ]),
    );
    figures.simulated = Object.fromEntries(
      [1, 2, 4, 16, 64].map((workers) => {
        const { makespanMs, medianMs } = simulate(full, workers);
        const smallOnly = simulate(full.slice(1), workers).makespanMs;
        return [
          workers,
          { all: seconds(makespanMs), half: seconds(medianMs), smallOnly: seconds(smallOnly) },
        ];
      }),
    );
    const alone = full[0]!;
    figures.serialPartOfLong = seconds(alone.extractMs + alone.renderMs + alone.prefillMs);
  });
});
