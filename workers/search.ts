/** The queue of a search: tries one configuration on one text. */

import { UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { BULL_PREFIX } from '../src/queue/compression-queue.js';
import {
  parseTrialJob,
  type TrialJob,
  trialErrorText,
  trialQueueName,
} from '../src/queue/trial-queue.js';

/** Maximum number of times that a trial of a crashed worker is given to another. */
const MAX_STALLED = 3;

/**
 * @param run names the search
 * @param doTrial on the model and the texts of this process
 * @returns how to end it; work that is under way is given back
 */
export async function startSearchWorker(
  run: string,
  redis: Redis,
  doTrial: (job: TrialJob) => Promise<unknown>,
): Promise<() => Promise<void>> {
  const worker = new Worker<TrialJob>(
    trialQueueName(run),
    async (job) => {
      try {
        return await doTrial(parseTrialJob(job));
      } catch (error) {
        // The search decides what is tried again; the error travels to it in the job's reason.
        throw new UnrecoverableError(trialErrorText(error));
      }
    },
    { connection: redis, prefix: BULL_PREFIX, concurrency: 1, maxStalledCount: MAX_STALLED },
  );
  // BullMQ connects again by itself; without a listener an error would end the process.
  worker.on('error', () => {});
  await worker.waitUntilReady();
  return () => worker.close(true);
}
