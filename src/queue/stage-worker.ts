/** The BullMQ worker of one stage: takes jobs, rests while Redis refuses, and stops in good order. */

import { type Job, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { BULL_PREFIX, type CompressionQueue, type JobPayload } from './compression-queue.js';
import { redisRefusal } from './connection.js';
import type { DocumentRef, Stage } from './document-record.js';
import { CANCEL_CHANNEL } from './document-scripts.js';
import { type LaneOptions, Lanes } from './lanes.js';
import { MAX_STARTS, type StageRunner } from './stage-runner.js';

export interface StageWorkerOptions {
  /** Jobs of each stage at the same time, while nobody has to wait for another's. @defaultValue 1 */
  concurrency?: number | Partial<Record<Stage, number>> | undefined;
  /** See {@link LaneOptions}. */
  lanes?: Pick<LaneOptions, 'passing' | 'passAfterMs'> & { turnMs?: number };
  /** A job whose worker does not renew its lock for so long is given to another. @defaultValue 30,000 */
  lockMs?: number | undefined;
  /** Called with what went wrong, whatever becomes of it. */
  onError?: ((error: unknown, ref: DocumentRef | null) => void) | undefined;
}

export type StageProcessor = (job: Job<JobPayload>, token: string) => Promise<unknown>;

/** Before Redis is asked again that is away or takes no writes. */
const REST_MS = 1_000;

/** How often a busy stage looks whether somebody waits. */
const LOOK_EVERY_MS = 100;

const DEFAULT_TURN_MS = 10_000;

/** What these did so far is kept page by page; the others would begin anew. */
const RESUMABLE: readonly Stage[] = ['render', 'encode'];

export class StageWorker {
  readonly #worker: Worker<JobPayload>;
  readonly #runner: StageRunner;
  readonly #process: StageProcessor;
  readonly #lanes: Lanes;
  readonly #concurrency: number;
  readonly #timer: NodeJS.Timeout;
  #looking = false;
  #resting = false;
  #closing = false;
  #stopped = false;

  /** @param process of each job, on the runner */
  constructor(
    runner: StageRunner,
    process: StageProcessor,
    { redis, queue }: { redis: Redis; queue: Pick<CompressionQueue, 'bringForward'> },
    { concurrency: asked = 1, lanes, lockMs = 30_000, onError = () => {} }: StageWorkerOptions = {},
  ) {
    this.#runner = runner;
    this.#process = async (job, token) => {
      if (!this.#stopped) return process(job, token);
      // It was waiting for a job when it was told to take no more.
      await job.moveToWait(token);
      throw new WaitingError();
    };
    const { stage } = runner;
    const { turnMs = DEFAULT_TURN_MS, ...passing } = lanes ?? {};
    const concurrency = typeof asked === 'number' ? asked : (asked[stage] ?? 1);
    this.#concurrency = concurrency;
    this.#lanes = new Lanes({
      ...passing,
      concurrency,
      turnMs: RESUMABLE.includes(stage) ? turnMs : null,
      bringForward: (running) => queue.bringForward(stage, running),
      letPass: () => this.#letPass(),
    });
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
    this.#worker = new Worker<JobPayload>(stage, (job, token) => this.#process(job, token!), {
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

  /** As {@link Lanes.enter}. */
  enter(tenant: string, turns: number, endTurn: () => void): () => void {
    // One that passed has its place now.
    this.#worker.concurrency = this.#concurrency;
    return this.#lanes.enter(tenant, turns, endTurn);
  }

  /** Stops work on a document that was deleted or cancelled. */
  cancel(member: string): void {
    this.#runner.stop(member, 'unwanted');
  }

  /** Takes no more jobs; what is under way goes on. */
  stopTaking(): void {
    this.#stopped = true;
    void this.#worker.pause(true);
  }

  ready(): Promise<unknown> {
    return this.#worker.waitUntilReady();
  }

  /** Lets what is under way finish for `graceMs`, then gives it back to the queue. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    const timer = setTimeout(() => this.#runner.stopAll('shutdown'), graceMs);
    try {
      await this.#worker.close();
    } finally {
      clearTimeout(timer);
    }
  }

  #look(): void {
    if (this.#looking || this.#resting || this.#lanes.size === 0) return;
    this.#looking = true;
    this.#lanes
      .look()
      .catch(() => {}) // the jobs themselves meet a Redis that is away
      .finally(() => {
        this.#looking = false;
      });
  }

  #letPass(): void {
    if (this.#closing || this.#resting || this.#stopped) return;
    this.#worker.concurrency = this.#lanes.size + 1;
    // A worker whose places were all taken looks for a job when one of them ends, or when it is woken so.
    void this.#worker.pause(true);
    void this.#worker.resume();
  }

  /** A Redis that takes no writes would be asked for the next job thousands of times a second. */
  #rest(): void {
    this.#resting = true;
    void this.#worker.pause(true);
    setTimeout(() => {
      this.#resting = false;
      if (!this.#closing && !this.#stopped) void this.#worker.resume();
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
