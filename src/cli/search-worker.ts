/** `glyphpress search worker`: tries configurations for a search that runs elsewhere. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { GlyphpressError } from '../errors.js';
import type { SearchTasks } from '../search/index.js';
import { interruptible } from './interrupt.js';
import { type SearchFlags, withBench } from './search-options.js';
import { runningRedis } from './service-options.js';

/** In the folder of the search: what its workers need to know. */
export const WORKER_FILE = 'worker.json';

export interface WorkerOrders {
  /** Names the queue. */
  run: string;
  tasks: SearchTasks;
  flags: SearchFlags;
  /** Shared by all. */
  cache: string;
}

export function registerSearchWorker(search: Command): void {
  search
    .command('worker')
    .description('try configurations for a search with --workers')
    .argument('<run>', 'folder of the search')
    .option('--json', 'print a line of JSON once it takes trials')
    .addHelpText(
      'after',
      `
A search with --workers N starts N of these itself. More may join from other machines that see the same
folder, model and Redis (REDIS_URL).

Examples:
  $ glyphpress search worker run
  $ REDIS_URL=redis://db:6379 glyphpress search worker /mnt/run`,
    )
    .action((run: string, { json }: { json?: boolean }) => work(run, json ?? false));
}

async function work(run: string, json: boolean): Promise<void> {
  const { connectRedis } = await import('../queue/connection.js');
  const { startSearchWorker } = await import('../../workers/search.js');
  const { doTrial } = await import('../search/trial-evaluator.js');
  const { run: name, tasks, flags, cache } = readOrders(run);
  const access = await runningRedis({});
  if (!access) {
    throw new GlyphpressError('GP_REDIS_NOT_FOUND', {
      message: 'No Redis of a search is known here',
      hint: 'Set REDIS_URL to the one that the search uses.',
    });
  }
  await withBench(flags, cache, ({ evaluator }) =>
    interruptible(async (signal) => {
      const redis = await connectRedis(access.url, 'worker');
      const stop = await startSearchWorker(name, redis, (job) => doTrial(evaluator, tasks, job));
      if (json) process.stdout.write(`${JSON.stringify({ pid: process.pid, run, queue: name })}\n`);
      await ended(signal);
      await stop();
      redis.disconnect();
    }),
  );
  // An open channel would keep this process alive.
  if (process.channel) process.disconnect();
}

/** Stopped by a signal, or the parent search has exited. */
function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (process.channel) process.once('disconnect', () => resolve());
  });
}

function readOrders(run: string): WorkerOrders {
  const file = path.join(run, WORKER_FILE);
  if (!existsSync(file)) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `${run} is no search with workers: ${WORKER_FILE} does not exist`,
      hint: 'Start the search first, with --workers.',
      details: { folder: run },
    });
  }
  return JSON.parse(readFileSync(file, 'utf8')) as WorkerOrders;
}
