/** All that a worker process holds: the queues that it takes, and how they end. */

import type { Redis } from 'ioredis';
import { CompressionQueue } from '../src/queue/compression-queue.js';
import { connectRedis } from '../src/queue/connection.js';
import type { Stage } from '../src/queue/document-record.js';
import { DocumentRecords } from '../src/queue/document-records.js';
import { RightOfWay } from '../src/queue/right-of-way.js';
import {
  listenForCancels,
  type StageWorker,
  type StageWorkerOptions,
} from '../src/queue/stage-worker.js';
import { FolderStore } from '../src/service/folder-store.js';
import type { StepTools } from '../src/service/steps.js';
import type { WorkerParts } from './document-stage.js';
import { encode } from './encode.js';
import { extract } from './extract.js';
import { prefill } from './prefill.js';
import { render } from './render.js';

const ENTRIES: Record<Stage, (parts: WorkerParts) => StageWorker> = {
  extract,
  render,
  encode,
  prefill,
};

export interface WorkerProcessOptions
  extends StageWorkerOptions,
    Omit<StepTools, 'store'>,
    Pick<WorkerParts, 'steps'> {
  redisUrl: string;
  dataFolder: string;
  stages: readonly Stage[];
  /** What a tenant may store; absent for no limit. */
  quotaBytes?: number | undefined;
}

export interface RunningWorkers {
  /** Lets what is under way finish for so long, then gives it back to the queue. */
  close(graceMs: number): Promise<void>;
}

/** @throws {GlyphpressError} GP_REDIS_UNAVAILABLE */
export async function startWorkers(options: WorkerProcessOptions): Promise<RunningWorkers> {
  const { redisUrl, dataFolder, stages, quotaBytes, ...given } = options;
  const connections: Redis[] = [];
  const connect = async () => {
    const redis = await connectRedis(redisUrl, 'worker');
    connections.push(redis);
    return redis;
  };
  const workers: StageWorker[] = [];
  let queue: CompressionQueue | null = null;
  const close = async (graceMs: number) => {
    await Promise.all(workers.map((worker) => worker.close(graceMs)));
    await queue?.close();
    for (const redis of connections) redis.disconnect();
    await given.models.close();
  };
  try {
    const redis = await connect();
    const subscriber = await connect();
    queue = new CompressionQueue(redis);
    const store = new FolderStore(dataFolder);
    const records = new DocumentRecords(redis);
    const quota = quotaBytes === undefined ? undefined : quotaOf(quotaBytes, records);
    const parts = { quota, ...given, redis, queue, store, records, way: new RightOfWay() };
    for (const stage of stages) workers.push(ENTRIES[stage](parts));
    await listenForCancels(subscriber, workers);
    await Promise.all(workers.map((worker) => worker.ready()));
    return { close };
  } catch (error) {
    await close(0);
    throw error;
  }
}

function quotaOf(bytes: number, records: DocumentRecords): StepTools['quota'] {
  const usedBytes = async (tenant: string) => (await records.usage(tenant)).storedBytes;
  return { bytes, usedBytes };
}
