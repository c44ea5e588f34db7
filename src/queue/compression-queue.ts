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
import { Turns } from './turns.js';

/** Pages of a document, 0-based, the end not included; of one of its parts where it is read in parts. */
export interface PageRange {
  start: number;
  end: number;
  /** 0-based; absent for a document that is read as a whole. */
  part?: number;
}

/** Names a range among the others of its step. */
export function nameOfRange({ part, start, end }: PageRange): string {
  return `${part === undefined ? '' : `part${part}-`}${start}-${end}`;
}

/** All that a job says. */
export interface JobPayload extends DocumentRef {
  generation: number;
  /** Only these pages; a job of its own beside those of the document's other pages. */
  range?: PageRange;
  /** The step's pages went to such jobs: it waits for them, and then sees that all is there. */
  isSplit?: boolean;
  /** Among the jobs of its tenant. @defaultValue normal */
  priority?: Priority;
  /** How often its turn ended before it did. */
  turns?: number;
}

export const BULL_PREFIX = `${KEY_PREFIX}:bull`;

/** Tries of a step whose error may go away by itself. */
export const ATTEMPTS = 3;

/** Jobs that are done, of each queue: to be looked at, nothing reads them. */
const KEPT_JOBS = 50;

/** BullMQ tells of each job in a stream of each queue that nothing here reads. */
const KEPT_JOB_EVENTS = 100;

const JOB_OPTIONS: JobsOptions = {
  attempts: ATTEMPTS,
  backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 },
  removeOnComplete: { age: 3_600, count: KEPT_JOBS },
  removeOnFail: { age: 24 * 3_600, count: 1_000 },
  failParentOnFailure: true,
};

const MAX_LOOKED_AT = 2_000;

/** Jobs that one may be brought forward over. */
const MAX_PASSED = 1_000;

/** What became of a document's jobs. */
export type FlowState =
  | { kind: 'alive' }
  | { kind: 'failed'; reason: string; stage: Stage }
  /** All done, or no job is left: the queue will do nothing more for it. */
  | { kind: 'over' };

export class CompressionQueue {
  readonly #flows: FlowProducer;
  readonly #queues: ReadonlyMap<Stage, Queue<JobPayload>>;
  readonly #turns: Turns;
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#turns = new Turns(redis);
    const options = { connection: redis, prefix: BULL_PREFIX };
    const streams = { events: { maxLen: KEPT_JOB_EVENTS } };
    this.#flows = new FlowProducer(options);
    this.#queues = new Map(
      STAGES.map((stage) => [stage, new Queue<JobPayload>(stage, { ...options, streams })]),
    );
    // Said again by the call that fails; without a listener it would end the process.
    this.#flows.on('error', () => {});
    for (const queue of this.#queues.values()) queue.on('error', () => {});
  }

  /**
   * Puts a document's jobs into the queues; those that are there already stay as they are.
   *
   * @param priority among the documents of its tenant
   */
  async add(payload: JobPayload, priority: Priority): Promise<void> {
    const data: JobPayload = { ...payload, priority };
    // The jobs of later stages get their place when they are ready.
    const [place] = await this.#turns.next(STAGES[0], payload.tenant, priority);
    const node = (depth: number): Parameters<FlowProducer['add']>[0] => {
      const stage = STAGES[depth]!;
      return {
        name: stage,
        queueName: stage,
        data,
        opts: { ...JOB_OPTIONS, jobId: jobId(payload, stage), priority: place! },
        ...(depth > 0 && { children: [node(depth - 1)] }),
      };
    };
    await this.#flows.add(node(STAGES.length - 1));
  }

  /** Says that a job is started: those of others that come now stand behind it, not before. */
  async taken(stage: Stage, { priority }: Pick<Job, 'priority'>): Promise<void> {
    await this.#turns.taken(stage, priority);
  }

  /** Gives the document's job in the stage behind this one its place; to be called before this one ends. */
  async lineUpNext(stage: Stage, payload: JobPayload): Promise<void> {
    const next = STAGES[STAGES.indexOf(stage) + 1];
    if (next === undefined) return;
    const job = await this.#queues.get(next)!.getJob(jobId(payload, next));
    if (!job) return;
    await job.changePriority({ priority: await this.#place(next, payload) });
  }

  /** Gives a job that is under way a new place, for when it is given back before its end. */
  async lineUpAgain(job: Job<JobPayload>, stage: Stage, payload: JobPayload): Promise<void> {
    await job.updateData({ ...job.data, turns: (payload.turns ?? 0) + 1 });
    await job.changePriority({ priority: await this.#place(stage, payload) });
  }

  /** Whose job is taken next in a stage. */
  async nextTenant(stage: Stage): Promise<string | null> {
    const [id] = await this.#redis.zrange(`${BULL_PREFIX}:${stage}:prioritized`, 0, 0);
    return id === undefined ? null : tenantOfJob(id);
  }

  /**
   * Puts the first job of other tenants at the head of a stage. While a long document is under way, more of its
   * parts may be in line before a short one, as those who had their turns meanwhile stand behind them.
   *
   * @param running tenants whose jobs do not count
   * @returns false where nobody else waits
   */
  async bringForward(stage: Stage, running: ReadonlySet<string>): Promise<boolean> {
    const line = `${BULL_PREFIX}:${stage}:prioritized`;
    const isOther = (id: string) => !running.has(tenantOfJob(id));
    const [head, score] = await this.#redis.zrange(line, 0, 0, 'WITHSCORES');
    if (head === undefined) return false;
    if (isOther(head)) return true;
    const id = (await this.#redis.zrange(line, 1, MAX_PASSED)).find(isOther);
    if (id === undefined) return false;
    const job = await this.#queues.get(stage)!.getJob(id);
    // BullMQ keeps a job's priority in the high half of its score.
    await job?.changePriority({ priority: Math.floor(Number(score) / 2 ** 32), lifo: true });
    return job !== undefined;
  }

  async #place(stage: Stage, { tenant, priority = 'normal' }: JobPayload): Promise<number> {
    const [place] = await this.#turns.next(stage, tenant, priority);
    return place!;
  }

  /**
   * Gives pages of a step to jobs of their own, children of the step's job. Adding them twice, as after
   * a crash, adds them once.
   *
   * @param parent the step's job, being worked on
   */
  async split(parent: Job<JobPayload>, stage: Stage, ranges: readonly PageRange[]): Promise<void> {
    const { isSplit: _, turns: __, ...payload } = parent.data;
    const link = { id: parent.id!, queue: parent.queueQualifiedName };
    const { tenant, priority = 'normal' } = payload;
    const places = await this.#turns.next(stage, tenant, priority, ranges.length);
    await this.#queues.get(stage)!.addBulk(
      ranges.map((range, n) => ({
        name: stage,
        data: { ...payload, range },
        opts: {
          ...JOB_OPTIONS,
          jobId: `${parent.id}.${nameOfRange(range)}`,
          priority: places[n]!,
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
    await this.#turns.tidy();
  }

  async close(): Promise<void> {
    await Promise.all([this.#flows, ...this.#queues.values()].map((part) => part.close()));
  }
}

const tenantOfJob = (id: string) => id.split('.')[0]!;

/** BullMQ does not take colons in an id. */
function jobId({ tenant, id, generation }: JobPayload, stage: Stage): string {
  return `${tenant}.${id}.${generation}.${stage}`;
}

/** @throws {GlyphpressError} GP_JOB: somebody else wrote into our queue */
export function payloadOf(job: Pick<Job, 'id' | 'data'>): JobPayload {
  const { tenant, id, generation, range, isSplit, priority, turns } = (job.data ?? {}) as Record<
    string,
    unknown
  >;
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
      ...(isPriority(priority) && { priority }),
      ...(Number.isSafeInteger(turns) && { turns: turns as number }),
    };
  }
  throw new GlyphpressError('GP_JOB', {
    message: `Expected a job with tenant, id and generation; job ${job.id} has another format`,
    hint: 'Something else writes into this Redis under the same prefix.',
    details: { job: job.id },
  });
}

function isPriority(value: unknown): value is Priority {
  return (PRIORITIES as readonly unknown[]).includes(value);
}

function isRange(value: unknown): value is PageRange {
  const { start, end, part } = (value ?? {}) as Partial<Record<string, unknown>>;
  return (
    (part === undefined || (Number.isSafeInteger(part) && (part as number) >= 0)) &&
    Number.isSafeInteger(start) &&
    Number.isSafeInteger(end) &&
    (start as number) >= 0 &&
    (end as number) > (start as number)
  );
}
