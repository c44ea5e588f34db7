/** Takes the jobs of one step and runs them; decides what an error means for the document. */

import { type Job, UnrecoverableError, WaitingChildrenError, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import { storageFailure } from '../store/storage-failure.js';
import { inClientWords } from './client-words.js';
import {
  ATTEMPTS,
  BULL_PREFIX,
  type CompressionQueue,
  type JobPayload,
  type PageRange,
  payloadOf,
} from './compression-queue.js';
import { redisRefusal } from './connection.js';
import type { DocumentRecord, DocumentRef, Failure, Stage } from './document-record.js';
import { CANCEL_CHANNEL, type DocumentRecords } from './document-records.js';
import { Pace } from './pace.js';

/** What a step gets. */
export interface StepContext {
  record: DocumentRecord;
  /** Aborted when the document is cancelled or deleted, its lock is lost, or the worker shuts down. */
  signal: AbortSignal;
  progress(state: StepProgress): void;
  /** Only these pages; absent for all. */
  range?: PageRange;
  /** Whether the step may give its pages to jobs of their own. */
  maySplit: boolean;
}

export interface StepProgress {
  pagesDone?: number;
  /** 0 to 1. */
  share: number;
}

/** What a step leaves in the record. */
export interface StepResult {
  pages?: number;
  characters?: number;
  /** The last step's: it completes the document. */
  report?: string;
  /** Instead of having done them: pages for jobs of their own. The step is asked again after them. */
  ranges?: readonly PageRange[];
}

export type Step = (context: StepContext) => Promise<StepResult>;

export interface StageWorkerOptions {
  /** Documents at the same time. @defaultValue 1 */
  concurrency?: number;
  /** A job whose worker does not renew its lock for so long is given to another. @defaultValue 30,000 */
  lockMs?: number;
  /** Called with what went wrong, whatever becomes of it. */
  onError?: (error: unknown, ref: DocumentRef | null) => void;
}

/** Retries and two crashes; a document that has more ends its workers. */
export const MAX_STARTS = ATTEMPTS + 2;

const PROGRESS_EVERY_MS = 250;

/** Before Redis is asked again that is away or takes no writes. */
const REST_MS = 1_000;

/** Why work on a job stops early. */
class Interruption extends Error {
  override readonly name = 'AbortError';
  constructor(readonly why: 'unwanted' | 'shutdown' | 'lost') {
    super(`interrupted: ${why}`);
  }
}

export class StageWorker {
  readonly #worker: Worker<JobPayload>;
  readonly #records: DocumentRecords;
  readonly #queue: CompressionQueue;
  readonly #stage: Stage;
  readonly #step: Step;
  readonly #onError: (error: unknown, ref: DocumentRef | null) => void;
  /** What is under way, by `tenant id`. */
  readonly #running = new Map<string, Set<AbortController>>();
  #resting = false;
  #closing = false;

  constructor(
    stage: Stage,
    step: Step,
    { redis, records, queue }: { redis: Redis; records: DocumentRecords; queue: CompressionQueue },
    options: StageWorkerOptions = {},
  ) {
    this.#stage = stage;
    this.#step = step;
    this.#records = records;
    this.#queue = queue;
    this.#onError = options.onError ?? (() => {});
    const lockDuration = options.lockMs ?? 30_000;
    this.#worker = new Worker<JobPayload>(stage, (job, token) => this.#run(job, token!), {
      connection: redis,
      prefix: BULL_PREFIX,
      concurrency: options.concurrency ?? 1,
      lockDuration,
      stalledInterval: lockDuration / 2,
      // Starts are counted in the record, where a lost job is also told to whoever waits for it.
      maxStalledCount: MAX_STARTS,
      runRetryDelay: REST_MS,
    });
    this.#worker.on('error', (error) => {
      if (this.#resting) return; // said already
      this.#onError(error, null);
      if (redisRefusal(error)) this.#rest();
    });
    this.#worker.on('lockRenewalFailed', (jobs: string[]) => {
      for (const id of jobs) {
        const [tenant, document] = id.split('.');
        this.#abort(`${tenant} ${document}`, 'lost');
      }
    });
  }

  /** Stops work on a document that nobody wants any more. */
  cancel(member: string): void {
    this.#abort(member, 'unwanted');
  }

  ready(): Promise<unknown> {
    return this.#worker.waitUntilReady();
  }

  /** Lets what is under way finish for `graceMs`, then gives it back to the queue. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const timer = setTimeout(() => {
      for (const member of this.#running.keys()) this.#abort(member, 'shutdown');
    }, graceMs);
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

  #abort(member: string, why: Interruption['why']): void {
    for (const controller of this.#running.get(member) ?? [])
      controller.abort(new Interruption(why));
  }

  async #run(job: Job<JobPayload>, token: string): Promise<unknown> {
    const payload = this.#payload(job);
    const ref = { tenant: payload.tenant, id: payload.id };
    const { range, isSplit = false } = payload;
    if (isSplit && (await job.moveToWaitingChildren(token))) throw new WaitingChildrenError();
    const start = await this.#records.begin(
      ref,
      this.#stage,
      payload.generation,
      MAX_STARTS,
      range,
    );
    if (start.verdict === 'unwanted') throw new UnrecoverableError('not wanted any more');
    if (start.verdict === 'poison') return this.#fail(ref, poison(start.starts));

    const member = `${ref.tenant} ${ref.id}`;
    const controller = new AbortController();
    const running = this.#running.get(member) ?? new Set();
    this.#running.set(member, running.add(controller));
    const reporter = new ProgressReporter(this.#records, ref, this.#stage, () =>
      controller.abort(new Interruption('unwanted')),
    );
    const from = performance.now();
    try {
      const { signal } = controller;
      const context: StepContext = {
        record: start.record,
        signal,
        progress: (state) => reporter.report(state),
        maySplit: !range && !isSplit,
        ...(range && { range }),
      };
      const { report, ranges, ...known } = await this.#step(context);
      await reporter.settle();
      const ms = Math.round(performance.now() - from);
      // The document's step is done when all of its parts are.
      if (range) return { ms };
      if (ranges) {
        await this.#queue.split(job, this.#stage, ranges);
        await this.#records.takeBackStart(ref, this.#stage);
        // False when they are all done by now: then the step is asked again at once.
        if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
        await job.moveToWait(token);
        throw new WaitingError();
      }
      const stageMs = { [`ms:${this.#stage}`]: ms + (isSplit ? await msOfParts(job) : 0) };
      const data = { stage: this.#stage, share: 1, ...known };
      await this.#records.note(ref, 'progress', data, { ...known, ...stageMs, share: 1 });
      if (report !== undefined) await this.#records.finish(ref, 'completed', { report });
      return null;
    } catch (error) {
      if (error instanceof WaitingChildrenError || error instanceof WaitingError) throw error;
      await reporter.settle();
      if (controller.signal.aborted)
        return await this.#interrupted(ref, controller.signal.reason, job, token);
      this.#onError(error, ref);
      return await this.#failOrRetry(ref, error, job);
    } finally {
      running.delete(controller);
      if (running.size === 0) this.#running.delete(member);
    }
  }

  #payload(job: Job<JobPayload>): JobPayload {
    try {
      return payloadOf(job);
    } catch (error) {
      this.#onError(error, null);
      throw new UnrecoverableError((error as Error).message);
    }
  }

  async #interrupted(
    ref: DocumentRef,
    reason: unknown,
    job: Job<JobPayload>,
    token: string,
  ): Promise<never> {
    const why = reason instanceof Interruption ? reason.why : 'unwanted';
    if (why === 'shutdown') {
      await this.#records.takeBackStart(ref, this.#stage, job.data.range);
      await job.moveToWait(token);
      throw new WaitingError();
    }
    // Lost: whoever took the job over goes on with it. Thrown, because nothing was completed here.
    if (why === 'lost') throw reason;
    throw new UnrecoverableError('not wanted any more');
  }

  async #failOrRetry(ref: DocumentRef, error: unknown, job: Job<JobPayload>): Promise<never> {
    const known = asKnownError(error);
    const last = job.attemptsMade + 1 >= (job.opts.attempts ?? ATTEMPTS);
    // What nobody foresaw may be a passing fault of the machine; it is tried again like one.
    if (last || (known && !isPassing(known))) return this.#fail(ref, known ?? error);
    const { code, message } = describeFailure(known ?? error, this.#stage);
    await this.#records.note(ref, 'retry', { stage: this.#stage, code, message });
    throw error;
  }

  async #fail(ref: DocumentRef, error: unknown): Promise<never> {
    const failure = describeFailure(error, this.#stage);
    await this.#records.finish(ref, 'failed', { failure });
    throw new UnrecoverableError(`${failure.code}: ${failure.message}`);
  }
}

/** What the jobs of its pages took, all together. */
async function msOfParts(job: Job<JobPayload>): Promise<number> {
  const values = Object.values(await job.getChildrenValues<{ ms?: number } | null>());
  return values.reduce((sum, value) => sum + (value?.ms ?? 0), 0);
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

/** Progress a few times a second at most, one write at a time; also how a worker hears of a cancel it missed. */
class ProgressReporter {
  #last = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  readonly #pace = new Pace();

  constructor(
    private readonly records: DocumentRecords,
    private readonly ref: DocumentRef,
    private readonly stage: Stage,
    private readonly unwanted: () => void,
  ) {}

  report({ pagesDone, share }: StepProgress): void {
    const now = performance.now();
    const remaining = this.#pace.remainingSeconds(share, now);
    if (this.#busy || now - this.#last < PROGRESS_EVERY_MS) return;
    this.#last = now;
    this.#busy = true;
    const rounded = Math.round(share * 1_000) / 1_000;
    const data = {
      stage: this.stage,
      pages_done: pagesDone,
      share: rounded,
      ...(remaining !== null && { remaining_seconds: remaining }),
    };
    this.#writing = this.records
      .note(this.ref, 'progress', data, {
        share: rounded,
        ...(pagesDone !== undefined && { pagesDone }),
      })
      .then((wanted) => {
        if (!wanted) this.unwanted();
      })
      .catch(() => {}) // the work itself meets a Redis that is away
      .finally(() => {
        this.#busy = false;
      });
  }

  settle(): Promise<void> {
    return this.#writing;
  }
}

/** @returns null for what nobody threw on purpose */
function asKnownError(error: unknown): GlyphpressError | null {
  if (error instanceof GlyphpressError) return error;
  return storageFailure(error) ?? redisRefusal(error);
}

/** A damaged artifact is made again from its source by the next try, a dead model opened again. */
function isPassing({ code, retryable }: GlyphpressError): boolean {
  return retryable || code === 'GP_ARTIFACT_DAMAGED' || code === 'GP_MODEL_RUNTIME';
}

function describeFailure(error: unknown, stage: Stage | null): Failure {
  if (error instanceof GlyphpressError) {
    const { code, message, hint, details } = inClientWords(error);
    return { code, message, hint, stage, details };
  }
  // What it says may name paths of the machine; the log has it.
  return {
    code: 'GP_INTERNAL',
    message: 'The document met a fault of glyphpress',
    hint: 'The log of the worker says more; try again, and report it if it stays.',
    stage,
    details: {},
  };
}

function poison(starts: number): GlyphpressError {
  return new GlyphpressError('GP_DOCUMENT_POISON', {
    message: `Work on this document was started ${starts} times and never came to an end`,
    hint: 'It ends its worker, for example by the memory it takes: split it, or render it less densely.',
    details: { starts },
  });
}
