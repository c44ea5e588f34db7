/** Trials of a search for workers in other processes: one job a text, its result the job's value. */

import { type Job, Queue, QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { ERROR_CATALOGUE, type ErrorCode, GlyphpressError } from '../errors.js';
import { BULL_PREFIX } from './compression-queue.js';

/** What a job says. Texts stay in the folder of the search: a job names the part and the place. */
export interface TrialJob {
  /** `glance`: check the rendering. The word is that of jobs which workers of older releases take. */
  call: 'glance' | 'score';
  settings: unknown;
  split: string;
  index: number;
  minRenderRatio: number;
}

/** Kept until they are waited for, and no longer than that takes. */
const RESULT_AGE_S = 600;

export const trialQueueName = (run: string) => `search-${run}`;

export class TrialQueue {
  readonly #queue: Queue<TrialJob>;
  readonly #events: QueueEvents;

  /**
   * @param run names the search: its jobs are not mixed with those of another
   * @param connections one to ask, one to listen
   */
  constructor(run: string, connections: { ask: Redis; listen: Redis }) {
    const name = trialQueueName(run);
    this.#queue = new Queue(name, { connection: connections.ask, prefix: BULL_PREFIX });
    this.#events = new QueueEvents(name, { connection: connections.listen, prefix: BULL_PREFIX });
    // Said again by the call that fails; without a listener it would end the process.
    this.#queue.on('error', () => {});
    this.#events.on('error', () => {});
  }

  /** Forgets what an earlier run of the same search left. */
  async clear(): Promise<void> {
    await this.#events.waitUntilReady();
    await this.#queue.obliterate({ force: true });
  }

  /** @throws {GlyphpressError} that the worker met, or GP_JOB */
  async run(job: TrialJob, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    const added = await this.#queue.add(job.call, job, {
      removeOnComplete: { age: RESULT_AGE_S },
      removeOnFail: { age: RESULT_AGE_S },
    });
    try {
      return await untilAborted(added.waitUntilFinished(this.#events), signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw errorOf((error as Error).message);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#queue.close(), this.#events.close()]);
  }
}

/** An error as the reason of a failed job, so that the search meets the same one. */
export function trialErrorText(error: unknown): string {
  return JSON.stringify(
    error instanceof GlyphpressError
      ? error
      : { code: null, message: String(error), hint: '', details: {} },
  );
}

/** @throws {GlyphpressError} GP_JOB: somebody else wrote into the queue */
export function parseTrialJob({ id, data }: Pick<Job, 'id' | 'data'>): TrialJob {
  const { call, settings, split, index, minRenderRatio } = (data ?? {}) as Partial<TrialJob>;
  const isValid =
    (call === 'glance' || call === 'score') &&
    typeof settings === 'object' &&
    typeof split === 'string' &&
    Number.isSafeInteger(index) &&
    Number.isFinite(minRenderRatio);
  if (isValid) return data as TrialJob;
  throw new GlyphpressError('GP_JOB', {
    message: `Expected a job with call, settings, split and index; job ${id} has another format`,
    hint: 'Something else writes into this Redis under the same prefix.',
    details: { job: id },
  });
}

function errorOf(text: string): Error {
  try {
    const { code, message, hint, details } = JSON.parse(text);
    if (code in ERROR_CATALOGUE)
      return new GlyphpressError(code as ErrorCode, { message, hint, details });
    return new Error(message);
  } catch {
    return new GlyphpressError('GP_JOB', {
      message: `A trial ended without a result: ${text}`,
      hint: 'Its workers died; look at their memory, and at what else writes into this Redis.',
    });
  }
}

function untilAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
