/** Worker processes of a search on this machine, and the queue between them. */

import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { packageFile } from '../package-file.js';
import {
  type Evaluator,
  openSearchFolder,
  type SearchSetting,
  searchKey,
} from '../search/index.js';
import { sha256Hex } from '../sha256.js';
import { cacheOf, type SearchFlags } from './search-options.js';
import { WORKER_FILE, type WorkerOrders } from './search-worker.js';
import { ownRedis, runningRedis } from './service-options.js';

const BIN = packageFile('bin/glyphpress.js');

/** Runs the work with an evaluator that gives every trial to one of `--workers` processes. */
export async function withWorkers<T>(
  flags: SearchFlags & { workers: number },
  setting: SearchSetting,
  folder: string,
  work: (evaluator: Evaluator) => Promise<T>,
): Promise<T> {
  const { connectRedis } = await import('../queue/connection.js');
  const { TrialQueue } = await import('../queue/trial-queue.js');
  const { TrialEvaluator } = await import('../search/trial-evaluator.js');
  const key = searchKey(setting);
  openSearchFolder(folder, key);
  const run = sha256Hex(`${JSON.stringify(key)} ${path.resolve(folder)}`).slice(0, 16);
  const threads = flags.threads ?? Math.max(1, Math.floor(availableParallelism() / flags.workers));
  const { tasks } = setting;
  const orders: WorkerOrders = {
    run,
    tasks,
    flags: { ...flags, threads },
    cache: cacheOf(flags, folder),
  };
  writeFileSync(path.join(folder, WORKER_FILE), JSON.stringify(orders));

  const access = (await runningRedis({})) ?? (await ownRedis({}));
  const children: ChildProcess[] = [];
  try {
    const ask = await connectRedis(access.url, 'worker');
    const listen = await connectRedis(access.url, 'worker');
    const queue = new TrialQueue(run, { ask, listen });
    try {
      await queue.clear();
      for (let i = 0; i < flags.workers; i++) children.push(startWorker(folder, access.url));
      const evaluator = new TrialEvaluator(setting.evaluator, tasks, queue, flags.workers);
      return await Promise.race([work(evaluator), allGone(children), access.lost]);
    } finally {
      await queue.close();
      ask.disconnect();
      listen.disconnect();
    }
  } finally {
    await Promise.all(children.map(stopped));
    await access.stop();
  }
}

function startWorker(folder: string, redisUrl: string): ChildProcess {
  return fork(BIN, ['search', 'worker', path.resolve(folder)], {
    env: { ...process.env, REDIS_URL: redisUrl },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** A worker that exits leaves its trial to the others; rejects when the last one has exited. */
async function allGone(children: readonly ChildProcess[]): Promise<never> {
  await Promise.all(
    children.map((child) => new Promise<void>((resolve) => child.once('exit', () => resolve()))),
  );
  throw new GlyphpressError('GP_JOB', {
    message: 'All workers of the search have ended',
    hint: 'Their messages stand above. The same command goes on where the search was.',
  });
}

const PATIENCE_MS = 5_000;

function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    if (child.connected) child.disconnect();
    else child.kill('SIGTERM');
  });
}
