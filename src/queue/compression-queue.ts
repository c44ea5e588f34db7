/**
 * A document's way through the queues: one job a step, each the child of the next, so that a step
 * starts when the one before is done. Jobs carry ids only; text never leaves the store.
 */

import { FlowProducer, type Job, type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import {
  type DocumentRef,
  isDocumentId,
  isTenant,
  PRIORITIES,
  type Priority,
  STAGES,
  type Stage,
} from './document-record.js';
import { KEY_PREFIX } from './key-prefix.js';

/** Pages of a document, 0-based, the end not included. */
export interface PageRange {
  start: number;
  end: number;
}

/** All that a job says. */
export interface JobPayload extends DocumentRef {
  generation: number;
  /** Only these pages; a job of its own beside those of the document's other pages. */
  range?: PageRange;
  /** The step's pages went to such jobs: it waits for them, and then sees that all is there. */
  isSplit?: boolean;
}

export const BULL_PREFIX = `${KEY_PREFIX}:bull`;

/** Tries of a step whose error may go away by itself. */
export const ATTEMPTS = 3;

/** BullMQ takes priorities up to 2²¹; each class has this many places. */
const PLACES = 600_000;

const JOB_OPTIONS: JobsOptions = {
  attempts: ATTEMPTS,
  backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 },
  removeOnComplete: { age: 3_600, count: 1_000 },
  removeOnFail: { age: 24 * 3_600, count: 1_000 },
  failParentOnFailure: true,
};

const MAX_LOOKED_AT = 2_000;

/** What became of a document's jobs. */
export type FlowState =
  | { kind: 'alive' }
  | { kind: 'failed'; reason: string; stage: Stage }
  /** All done, or no job is left: the queue will do nothing more for it. */
  | { kind: 'over' };

export class CompressionQueue {
  readonly #flows: FlowProducer;
  readonly #queues: ReadonlyMap<Stage, Queue<JobPayload>>;

  constructor(redis: Redis) {
    const options = { connection: redis, prefix: BULL_PREFIX };
    this.#flows = new FlowProducer(options);
    this.#queues = new Map(
      STAGES.map((stage) => [stage, new Queue<JobPayload>(stage, { ...options })]),
    );
    // Said again by the call that fails; without a listener it would end the process.
    this.#flows.on('error', () => {});
    for (const queue of this.#queues.values()) queue.on('error', () => {});
  }

  /**
   * Puts a document's jobs into the queues; those that are there already stay as they are.
   *
   * @param ahead unfinished documents of the same tenant. The more it has, the further back the next
   *   one stands, so that one tenant's thousand documents do not delay another tenant.
   */
  async add(payload: JobPayload, priority: Priority, ahead: number): Promise<void> {
    const place = PRIORITIES[priority] * PLACES + Math.min(ahead + 1, PLACES - 1);
    const node = (depth: number): Parameters<FlowProducer['add']>[0] => {
      const stage = STAGES[depth]!;
      return {
        name: stage,
        queueName: stage,
        data: payload,
        opts: { ...JOB_OPTIONS, jobId: jobId(payload, stage), priority: place },
        ...(depth > 0 && { children: [node(depth - 1)] }),
      };
    };
    await this.#flows.add(node(STAGES.length - 1));
  }

  /**
   * Gives pages of a step to jobs of their own, children of the step's job. Adding them twice, as after
   * a crash, adds them once.
   *
   * @param parent the step's job, being worked on
   */
  async split(parent: Job<JobPayload>, stage: Stage, ranges: readonly PageRange[]): Promise<void> {
    const { isSplit: _, ...payload } = parent.data;
    const link = { id: parent.id!, queue: parent.queueQualifiedName };
    await this.#queues.get(stage)!.addBulk(
      ranges.map((range) => ({
        name: stage,
        data: { ...payload, range },
        opts: {
          ...JOB_OPTIONS,
          jobId: `${parent.id}.${range.start}-${range.end}`,
          priority: parent.opts.priority ?? 0,
          parent: link,
        },
      })),
    );
    await parent.updateData({ ...parent.data, isSplit: true });
  }

  async state(payload: JobPayload): Promise<FlowState> {
    let alive = false;
    for (const stage of STAGES) {
      const job = await this.#queues.get(stage)!.getJob(jobId(payload, stage));
      const state = (await job?.getState()) ?? 'unknown';
      if (state === 'failed') return { kind: 'failed', reason: job!.failedReason ?? '', stage };
      if (!['completed', 'unknown'].includes(state)) alive = true;
    }
    return { kind: alive ? 'alive' : 'over' };
  }

  /** Takes a document's jobs out, also those that newer ones replaced, except jobs that are running. */
  async remove(payload: JobPayload): Promise<void> {
    for (let generation = payload.generation; generation >= 1; generation--) {
      for (const stage of STAGES.toReversed()) {
        // One that is being worked on is locked; its worker finds the document unwanted.
        await this.#queues
          .get(stage)!
          .remove(jobId({ ...payload, generation }, stage))
          .catch(() => {});
      }
    }
  }

  /** Documents of jobs that ended and are still kept, each once. */
  async ended(): Promise<JobPayload[]> {
    const found = new Map<string, JobPayload>();
    for (const queue of this.#queues.values()) {
      for (const job of await queue.getJobs(['completed', 'failed'], 0, MAX_LOOKED_AT)) {
        const { tenant, id, generation } = payloadOf(job);
        const known = found.get(id)?.generation ?? 0;
        if (generation > known) found.set(id, { tenant, id, generation });
      }
    }
    return [...found.values()];
  }

  /** For those who look into them. */
  get all(): readonly Queue[] {
    return [...this.#queues.values()];
  }

  /** Jobs by queue and state, for metrics. */
  async counts(): Promise<Record<Stage, Record<string, number>>> {
    const entries = await Promise.all(
      [...this.#queues].map(async ([stage, queue]) => [stage, await queue.getJobCounts()] as const),
    );
    return Object.fromEntries(entries) as Record<Stage, Record<string, number>>;
  }

  /** Throws away what ended long ago; BullMQ does it only when another job ends. */
  async clean(): Promise<void> {
    for (const queue of this.#queues.values()) {
      await queue.clean(3_600_000, 1_000, 'completed');
      await queue.clean(24 * 3_600_000, 1_000, 'failed');
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#flows, ...this.#queues.values()].map((part) => part.close()));
  }
}

/** BullMQ does not take colons in an id. */
function jobId({ tenant, id, generation }: JobPayload, stage: Stage): string {
  return `${tenant}.${id}.${generation}.${stage}`;
}

/** @throws {GlyphpressError} GP_JOB: somebody else wrote into our queue */
export function payloadOf(job: Pick<Job, 'id' | 'data'>): JobPayload {
  const { tenant, id, generation, range, isSplit } = (job.data ?? {}) as Record<string, unknown>;
  const valid =
    typeof tenant === 'string' &&
    isTenant(tenant) &&
    typeof id === 'string' &&
    isDocumentId(id) &&
    Number.isSafeInteger(generation) &&
    (range === undefined || isRange(range));
  if (valid) {
    return {
      tenant,
      id,
      generation: generation as number,
      ...(range !== undefined && { range }),
      ...(isSplit === true && { isSplit }),
    };
  }
  throw new GlyphpressError('GP_JOB', {
    message: `Expected a job with tenant, id and generation; job ${job.id} has another format`,
    hint: 'Something else writes into this Redis under the same prefix.',
    details: { job: job.id },
  });
}

function isRange(value: unknown): value is PageRange {
  const { start, end } = (value ?? {}) as Partial<Record<string, unknown>>;
  return (
    Number.isSafeInteger(start) &&
    Number.isSafeInteger(end) &&
    (start as number) >= 0 &&
    (end as number) > (start as number)
  );
}
