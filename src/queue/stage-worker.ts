/** The BullMQ worker of one stage: takes jobs, rests while Redis refuses, and stops in good order. */

import { type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { BULL_PREFIX, type JobPayload } from './compression-queue.js';
import { redisRefusal } from './connection.js';
import type { DocumentRef } from './document-record.js';
import { CANCEL_CHANNEL } from './document-records.js';
import { MAX_STARTS, type StageRunner } from './stage-runner.js';

export interface StageWorkerOptions {
  /** Documents at the same time. @defaultValue 1 */
  concurrency?: number | undefined;
  /** A job whose worker does not renew its lock for so long is given to another. @defaultValue 30,000 */
  lockMs?: number | undefined;
  /** Called with what went wrong, whatever becomes of it. */
  onError?: ((error: unknown, ref: DocumentRef | null) => void) | undefined;
}

export type StageProcessor = (job: Job<JobPayload>, token: string) => Promise<unknown>;

/** Before Redis is asked again that is away or takes no writes. */
const REST_MS = 1_000;

export class StageWorker {
  readonly #worker: Worker<JobPayload>;
  readonly #runner: StageRunner;
  #resting = false;
  #closing = false;

  /** @param process of each job, on the runner */
  constructor(
    runner: StageRunner,
    process: StageProcessor,
    redis: Redis,
    { concurrency = 1, lockMs = 30_000, onError = () => {} }: StageWorkerOptions = {},
  ) {
    this.#runner = runner;
    this.#worker = new Worker<JobPayload>(runner.stage, (job, token) => process(job, token!), {
      connection: redis,
      prefix: BULL_PREFIX,
      concurrency,
      lockDuration: lockMs,
      stalledInterval: lockMs / 2,
      // Starts are counted in the record, where a lost job is also told to whoever waits for it.
      maxStalledCount: MAX_STARTS,
      runRetryDelay: REST_MS,
    });
    this.#worker.on('error', (error) => {
      if (this.#resting) return; // said already
      onError(error, null);
      if (redisRefusal(error)) this.#rest();
    });
    this.#worker.on('lockRenewalFailed', (jobs: string[]) => {
      for (const id of jobs) {
        const [tenant, document] = id.split('.');
        runner.stop(`${tenant} ${document}`, 'lost');
      }
    });
  }

  /** Stops work on a document that was deleted or cancelled. */
  cancel(member: string): void {
    this.#runner.stop(member, 'unwanted');
  }

  ready(): Promise<unknown> {
    return this.#worker.waitUntilReady();
  }

  /** Lets what is under way finish for `graceMs`, then gives it back to the queue. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const timer = setTimeout(() => this.#runner.stopAll('shutdown'), graceMs);
    try {
      await this.#worker.close();
    } finally {
      clearTimeout(timer);
    }
  }

  /** A Redis that takes no writes would be asked for the next job thousands of times a second. */
  #rest(): void {
    this.#resting = true;
    void this.#worker.pause(true);
    setTimeout(() => {
      this.#resting = false;
      if (!this.#closing) void this.#worker.resume();
    }, REST_MS).unref();
  }
}

/** Passes on what other processes say must stop. */
export async function listenForCancels(
  redis: Redis,
  workers: readonly StageWorker[],
): Promise<void> {
  redis.on('message', (channel, member) => {
    if (channel !== CANCEL_CHANNEL) return;
    for (const worker of workers) worker.cancel(member);
  });
  await redis.subscribe(CANCEL_CHANNEL);
}
