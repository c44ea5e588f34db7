/** All that a worker process holds: the stages that it takes, and how they end. */

import type { Redis } from 'ioredis';
import { CompressionQueue } from '../queue/compression-queue.js';
import { connectRedis } from '../queue/connection.js';
import type { DocumentRef, Stage } from '../queue/document-record.js';
import { DocumentRecords } from '../queue/document-records.js';
import { listenForCancels, StageWorker, type Step } from '../queue/stage-worker.js';
import { ContentStore } from './content-store.js';
import type { ModelRegistry } from './models.js';
import { compressionSteps, type StepTools } from './steps.js';

export interface WorkerProcessOptions {
  redisUrl: string;
  dataFolder: string;
  models: ModelRegistry;
  stages: readonly Stage[];
  concurrency?: number;
  browsers?: number | undefined;
  lockMs?: number;
  pagesPerJob?: number;
  chromium?: StepTools['chromium'];
  /** Replaces single steps; for tests. */
  steps?: Partial<Record<Stage, Step>>;
  onError?: (error: unknown, ref: DocumentRef | null) => void;
}

export interface RunningWorkers {
  /** Lets what is under way finish for so long, then gives it back to the queue. */
  close(graceMs: number): Promise<void>;
}

export async function startWorkers(options: WorkerProcessOptions): Promise<RunningWorkers> {
  const { models, concurrency, lockMs, onError, chromium, browsers, pagesPerJob } = options;
  const connections: Redis[] = [];
  const connect = async () => {
    const redis = await connectRedis(options.redisUrl, 'worker');
    connections.push(redis);
    return redis;
  };
  const workers: StageWorker[] = [];
  let queue: CompressionQueue | null = null;
  const close = async (graceMs: number) => {
    await Promise.all(workers.map((worker) => worker.close(graceMs)));
    await queue?.close();
    for (const redis of connections) redis.disconnect();
    await models.close();
  };
  try {
    const redis = await connect();
    const subscriber = await connect();
    const records = new DocumentRecords(redis);
    queue = new CompressionQueue(redis);
    const steps = {
      ...compressionSteps({
        store: new ContentStore(options.dataFolder),
        models,
        ...(chromium && { chromium }),
        ...(browsers !== undefined && { browsers }),
        ...(pagesPerJob !== undefined && { pagesPerJob }),
      }),
      ...options.steps,
    };
    for (const stage of options.stages) {
      const settings = {
        ...(concurrency !== undefined && { concurrency }),
        ...(lockMs !== undefined && { lockMs }),
        ...(onError && { onError }),
      };
      workers.push(new StageWorker(stage, steps[stage], { redis, records, queue }, settings));
    }
    await listenForCancels(subscriber, workers);
    await Promise.all(workers.map((worker) => worker.ready()));
    return { close };
  } catch (error) {
    await close(0);
    throw error;
  }
}
