import os from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import { type DocumentRef, STAGES, type Stage } from '../queue/document-record.js';
import { aborted } from '../service/changes.js';
import { interruptible } from './interrupt.js';
import { wholeNumber } from './options.js';
import {
  type DataFlags,
  dataFolderOf,
  modelsOf,
  runningRedis,
  type ServiceModelFlags,
  withDataOption,
  withServiceModelOptions,
} from './service-options.js';
import { type StoreFlags, storeOptionsOf, withStoreOptions } from './store-options.js';
import { quotaBytes, reserveBytes, type WorkFlags, withWorkOptions } from './work-options.js';

interface Flags extends DataFlags, ServiceModelFlags, StoreFlags, WorkFlags {
  queues: Stage[];
  background?: boolean;
  lockSeconds: number;
  json?: boolean;
}

/** What is under way may take this long to finish before it goes back to the queue. */
const GRACE_MS = 5_000;

/** A worker asks no questions: it keeps the context that it is making, and no other. */
const CONTEXT_BYTES = 1;

/** A worker whose service is gone is gone after so long at the latest. */
const ALONE_MS = 8_000;

/** Nobody waits for an answer: work that is begun is worth more. */
const STORE_PATIENCE_MS = 600_000;

export function registerWorker(program: Command): void {
  const command = withServiceModelOptions(
    withDataOption(
      program
        .command('worker')
        .description('compress documents that a service has taken in')
        .option('--queues <list>', `steps to take, of ${STAGES.join(',')}`, stages, [...STAGES])
        .addOption(
          new Option(
            '--lock-seconds <n>',
            'work of a worker that is not heard of for so long goes to another',
          )
            .argParser(wholeNumber(1, 3_600))
            .default(30)
            .env('GLYPHPRESS_LOCK_SECONDS'),
        )
        .option('--background', 'let everything else on this machine go first')
        .option('--json', 'print a line of JSON once it works; the log on stderr is JSON anyway'),
    ),
  );
  withStoreOptions(withWorkOptions(command))
    .addHelpText(
      'after',
      `
Redis: REDIS_URL, else the private one of a glyphpress serve on the same data folder. The data folder,
or the object store (--store), and the models must be the same as those of the service.

Examples:
  $ glyphpress worker
  $ REDIS_URL=redis://db:6379 glyphpress worker --data /mnt/glyphpress --queues extract,render
  $ REDIS_URL=redis://db:6379 glyphpress worker --data /mnt/glyphpress --queues encode,prefill
  $ REDIS_URL=redis://db:6379 glyphpress worker --store s3://documents/glyphpress`,
    )
    .action(async (flags: Flags) => {
      await interruptible((signal) => work(flags, signal));
    });
}

async function work(flags: Flags, signal: AbortSignal): Promise<void> {
  // Questions are answered beside it. Before any thread is started: they take after this one.
  if (flags.background) os.setPriority(os.constants.priority.PRIORITY_BELOW_NORMAL);
  const { startWorkers } = await import('../../workers/index.js');
  const models = await modelsOf(flags, CONTEXT_BYTES);
  const redis = await runningRedis(flags);
  if (!redis) {
    throw new GlyphpressError('GP_REDIS_NOT_FOUND', {
      message: `No service runs on ${dataFolderOf(flags)}, and REDIS_URL is not set`,
      hint: 'Start glyphpress serve first, or set REDIS_URL to the Redis of the service.',
    });
  }
  const workers = await startWorkers({
    redisUrl: redis.url,
    dataFolder: dataFolderOf(flags),
    storeOptions: {
      ...storeOptionsOf(flags, STORE_PATIENCE_MS),
      reserveBytes: reserveBytes(flags),
    },
    models,
    stages: flags.queues,
    concurrency: flags.concurrency,
    lockMs: flags.lockSeconds * 1000,
    pagesPerJob: flags.pagesPerJob,
    maxParts: flags.maxParts,
    browsers: flags.browsers,
    quotaBytes: quotaBytes(flags),
    onError: logError,
  });
  const { queues, concurrency } = flags;
  if (flags.json)
    process.stdout.write(`${JSON.stringify({ pid: process.pid, queues, concurrency })}\n`);
  log('info', { queues, concurrency }, 'worker started');
  const why = await Promise.race([
    aborted(signal).then(() => 'asked' as const),
    parentGone().then(() => 'alone' as const),
    workers.unfit,
  ]);
  if (why instanceof GlyphpressError) logError(why, null);
  // Its Redis may be gone with the service: what is under way stops at its next page, and nothing is waited for.
  if (why === 'alone') setTimeout(() => process.exit(1), ALONE_MS).unref();
  await workers.close(why === 'alone' ? 0 : GRACE_MS);
  if (why instanceof GlyphpressError) throw why;
  log('info', {}, 'worker stopped');
  // An open channel would keep this process alive.
  if (process.channel) process.disconnect();
}

/** A worker of `serve` must not outlive it, however it ends. */
function parentGone(): Promise<void> {
  return new Promise((resolve) => {
    if (process.channel) process.once('disconnect', () => resolve());
  });
}

function logError(error: unknown, ref: DocumentRef | null): void {
  const { name, message, stack, code } = error as NodeJS.ErrnoException;
  const known = error instanceof GlyphpressError;
  const cause = known && error.cause instanceof Error ? error.cause.message : undefined;
  const shown = known ? { code, message, cause } : { name, code, stack };
  log('error', { ...ref, error: shown }, message);
}

/** Lines as the service writes them. Errors name files and figures, never text of a document. */
function log(level: 'info' | 'error', fields: Record<string, unknown>, msg: string): void {
  const line = { level: level === 'info' ? 30 : 50, time: Date.now(), pid: process.pid, ...fields };
  process.stderr.write(`${JSON.stringify({ ...line, msg })}\n`);
}

function stages(text: string): Stage[] {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter((name): name is Stage => (STAGES as readonly string[]).includes(name));
  if (known.length === names.length) return [...new Set(known)];
  throw new InvalidArgumentError(`Expected a list of ${STAGES.join(',')}.`);
}
