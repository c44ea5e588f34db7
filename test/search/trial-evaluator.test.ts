/** Trials through a real Redis: two workers, and the log of one process. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { connectRedis } from '../../src/queue/connection.js';
import { TrialQueue } from '../../src/queue/trial-queue.js';
import type { Evaluator } from '../../src/search/evaluator.js';
import { EvolutionProposer } from '../../src/search/evolution-proposer.js';
import { Journal } from '../../src/search/journal.js';
import { runSearch, type SearchOutcome } from '../../src/search/search.js';
import { Space } from '../../src/search/space.js';
import { doTrial, TrialEvaluator } from '../../src/search/trial-evaluator.js';
import { startSearchWorker } from '../../workers/search.js';
import { temporaryFolder } from '../support/folders.js';
import { cleanUpAtEnd, type TestRedis, testRedis } from '../support/service.js';
import { SyntheticEvaluator, syntheticTasks } from './synthetic.js';

const cleanUp = cleanUpAtEnd();
const tasks = syntheticTasks();
let redis: TestRedis;
beforeAll(async () => {
  redis = await testRedis(cleanUp);
});

/** One typeface of the space cannot be drawn by anybody. */
const evaluator = () =>
  new SyntheticEvaluator(1, ({ config }) => {
    if (config['font-family'] === 'DejaVu Serif')
      throw new GlyphpressError('GP_FONT', { message: 'no serif', hint: 'Take another.' });
  });

async function search(log: string, by: Evaluator, signal?: AbortSignal): Promise<SearchOutcome> {
  const journal = new Journal(log);
  try {
    const setting = {
      space: new Space(),
      tasks,
      evaluator: by,
      proposer: new EvolutionProposer(12),
      references: [],
      defaultConfig: null,
      seed: 5,
      budget: 20,
      generation: 5,
      patience: 9,
      minRatio: 1,
    };
    return await runSearch(setting, journal, signal ? { signal } : {});
  } finally {
    journal.close();
  }
}

async function spread(run: string, workers: number) {
  const [ask, listen] = [
    await connectRedis(redis.url, 'worker'),
    await connectRedis(redis.url, 'worker'),
  ];
  const queue = new TrialQueue(run, { ask, listen });
  await queue.clear();
  const stops = await Promise.all(
    Array.from({ length: workers }, async () => {
      const connection = await connectRedis(redis.url, 'worker');
      const own = evaluator();
      const stop = await startSearchWorker(run, connection, (job) => doTrial(own, tasks, job));
      return () => stop().finally(() => connection.disconnect());
    }),
  );
  cleanUp.push(async () => {
    await Promise.all(stops.map((stop) => stop()));
    await queue.close();
    ask.disconnect();
    listen.disconnect();
  });
  return new TrialEvaluator(evaluator(), tasks, queue, Math.max(1, workers));
}

describe('a search over workers', () => {
  it('makes the same log, failures and all, and goes on without them', async () => {
    const folder = temporaryFolder();
    const [alone, many] = [path.join(folder, 'alone'), path.join(folder, 'many')];
    const here = await search(alone, evaluator());
    const there = await search(many, await spread('two', 2));
    expect(there).toEqual(here);
    expect(readFileSync(many, 'utf8')).toBe(readFileSync(alone, 'utf8'));
    expect(here.records.some(({ failure }) => failure?.code === 'GP_FONT')).toBe(true);
    expect(await search(many, evaluator())).toEqual(here);
  });

  it('that nobody works for can be stopped', async () => {
    const log = path.join(temporaryFolder(), 'trials.jsonl');
    const controller = new AbortController();
    const waiting = search(log, await spread('none', 0), controller.signal);
    setTimeout(() => controller.abort(), 300);
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });
});
