/** What the queues of documents share: parse the job, run the step, say to BullMQ what became of it. */

import { type Job, UnrecoverableError, WaitingChildrenError, WaitingError } from 'bullmq';
import type { Redis } from 'ioredis';
import {
  ATTEMPTS,
  type CompressionQueue,
  type JobPayload,
  payloadOf,
} from '../src/queue/compression-queue.js';
import type { Stage } from '../src/queue/document-record.js';
import type { DocumentRecords } from '../src/queue/document-records.js';
import type { RightOfWay } from '../src/queue/right-of-way.js';
import {
  type StageJob,
  type StageOutcome,
  StageRunner,
  type Step,
} from '../src/queue/stage-runner.js';
import { StageWorker, type StageWorkerOptions } from '../src/queue/stage-worker.js';
import { removeLeftovers } from '../src/service/idle-content.js';
import type { StepTools } from '../src/service/step-tools.js';

export interface WorkerParts extends StageWorkerOptions, StepTools {
  redis: Redis;
  records: DocumentRecords;
  queue: CompressionQueue;
  /** To the model, shared by the stages that use it. */
  way: RightOfWay;
  /** Asked where something is not found: whether another worker may have it. */
  isUnfit?: (() => Promise<boolean>) | undefined;
  /** In place of the product's own; for tests. */
  steps?: Partial<Record<Stage, Step>> | undefined;
}

const USES_MODEL: readonly Stage[] = ['encode', 'prefill'];

export function documentStage(stage: Stage, ownStep: Step, parts: WorkerParts): StageWorker {
  const { redis, records, queue, way, steps, isUnfit, onError = () => {} } = parts;
  const runner = new StageRunner(stage, steps?.[stage] ?? ownStep, records, onError, isUnfit);
  const process = async (job: Job<JobPayload>, token: string) => {
    const payload = parse(job, onError);
    if (payload.isSplit) await waitForParts(job, token);
    const turn = new AbortController();
    const leave = worker.enter(payload.tenant, payload.turns ?? 0, () => turn.abort());
    const own = USES_MODEL.includes(stage) ? way.enter(payload.tenant) : null;
    try {
      await queue.taken(stage, job);
      const { makeWay = async () => {} } = own ?? {};
      const run = { payload, turn: turn.signal, makeWay };
      const outcome = await runner.run({ ...run, ...jobCalls(job, queue, stage) });
      if (outcome.kind === 'done' && !payload.range) await queue.lineUpNext(stage, payload);
      // What this leaves, the sweeper finds.
      if (outcome.kind === 'failed') await forgetFailed(payload, parts).catch(() => {});
      if (outcome.kind === 'turn over') await queue.lineUpAgain(job, stage, payload);
      return await settle(outcome, job, token);
    } finally {
      own?.leave();
      leave();
    }
  };
  const worker = new StageWorker(runner, process, { redis, queue }, parts);
  return worker;
}

async function forgetFailed(payload: JobPayload, parts: WorkerParts): Promise<void> {
  const record = await parts.records.get(payload);
  if (record) await removeLeftovers(parts, record);
}

/** @throws {UnrecoverableError} for a job that is not one of ours: no other try makes it one */
function parse(job: Job<JobPayload>, onError: (error: unknown, ref: null) => void): JobPayload {
  try {
    return payloadOf(job);
  } catch (error) {
    onError(error, null);
    throw new UnrecoverableError((error as Error).message);
  }
}

/** What a run asks of BullMQ. */
function jobCalls(
  job: Job<JobPayload>,
  queue: CompressionQueue,
  stage: Stage,
): Pick<StageJob, 'isLastAttempt' | 'split' | 'msOfParts'> {
  return {
    isLastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? ATTEMPTS),
    split: (ranges) => queue.split(job, stage, ranges),
    async msOfParts() {
      const values = Object.values(await job.getChildrenValues<{ ms?: number } | null>());
      return values.reduce((sum, value) => sum + (value?.ms ?? 0), 0);
    },
  };
}

/** Errors by which BullMQ learns what to do with an unfinished job. */
async function settle(
  outcome: StageOutcome,
  job: Job<JobPayload>,
  token: string,
): Promise<{ ms: number } | null> {
  switch (outcome.kind) {
    case 'done':
      return outcome.ms === null ? null : { ms: outcome.ms };
    case 'split':
      await waitForParts(job, token);
      // They are all done by now: the step is asked again at once.
      return backToQueue(job, token);
    case 'given back':
    case 'turn over':
      return backToQueue(job, token);
    case 'unwanted':
      throw new UnrecoverableError('not wanted any more');
    case 'failed':
      throw new UnrecoverableError(outcome.reason);
    case 'interrupted':
      throw outcome.error;
  }
}

/** @throws {WaitingChildrenError} where the jobs of its pages are under way */
async function waitForParts(job: Job<JobPayload>, token: string): Promise<void> {
  if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
}

async function backToQueue(job: Job<JobPayload>, token: string): Promise<never> {
  await job.moveToWait(token);
  throw new WaitingError();
}
