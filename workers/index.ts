/** All that a worker process holds: the queues that it takes, and how they end. */

import type { Redis } from 'ioredis';
import type { GlyphpressError } from '../src/errors.js';
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
import type { ContentStore } from '../src/service/content-store.js';
import { problemOfWorker } from '../src/service/introduction.js';
import { openCheckedStore, type StoreOptions } from '../src/service/open-store.js';
import type { StepTools } from '../src/service/step-tools.js';
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
  /** @defaultValue documents lie in the data folder */
  storeOptions?: StoreOptions | undefined;
  stages: readonly Stage[];
  /** What a tenant may store; absent for no limit. */
  quotaBytes?: number | undefined;
  /** Of this worker, as it tells a service. @defaultValue that of this package */
  version?: string | undefined;
  /** How often it looks whether it still fits the service. @defaultValue 10,000 */
  fitEveryMs?: number | undefined;
}

export interface RunningWorkers {
  /** Lets what is under way finish for so long, then gives it back to the queue. */
  close(graceMs: number): Promise<void>;
  /** Resolves, with the reason, when no more jobs are taken because this worker fits the service no longer. */
  unfit: Promise<GlyphpressError>;
}

const FIT_EVERY_MS = 10_000;

/** @throws {GlyphpressError} GP_REDIS_UNAVAILABLE; GP_WORKER for one that does not fit the service */
export async function startWorkers(options: WorkerProcessOptions): Promise<RunningWorkers> {
  const { redisUrl, dataFolder, storeOptions, stages, quotaBytes, version, fitEveryMs, ...given } =
    options;
  const connections: Redis[] = [];
  const connect = async () => {
    const redis = await connectRedis(redisUrl, 'worker');
    connections.push(redis);
    return redis;
  };
  const workers: StageWorker[] = [];
  let queue: CompressionQueue | null = null;
  let timer: NodeJS.Timeout | undefined;
  let store: ContentStore | null = null;
  const close = async (graceMs: number) => {
    clearInterval(timer);
    await Promise.all(workers.map((worker) => worker.close(graceMs)));
    store?.close();
    await queue?.close();
    for (const redis of connections) redis.disconnect();
    await given.models.close();
  };
  try {
    const redis = await connect();
    const subscriber = await connect();
    queue = new CompressionQueue(redis);
    store = await openCheckedStore(dataFolder, storeOptions, (warning) =>
      process.stderr.write(`warning: ${warning}\n`),
    );
    const records = new DocumentRecords(redis);
    const quota = quotaBytes === undefined ? undefined : quotaOf(quotaBytes, records);
    const introduced = { redis, store, models: given.models, ...(version && { version }) };
    const problem = await problemOfWorker(introduced);
    if (problem) throw problem;
    let tell: (problem: GlyphpressError) => void;
    const unfit = new Promise<GlyphpressError>((resolve) => {
      tell = resolve;
    });
    const isUnfit = async () => {
      const now = await problemOfWorker(introduced);
      if (!now) return false;
      for (const worker of workers) worker.stopTaking();
      tell(now);
      return true;
    };
    timer = setInterval(() => {
      isUnfit().catch(() => {}); // a Redis or a store that is away tells nothing
    }, fitEveryMs ?? FIT_EVERY_MS);
    timer.unref();
    const parts = { quota, isUnfit, ...given, redis, queue, store, records, way: new RightOfWay() };
    for (const stage of stages) workers.push(ENTRIES[stage](parts));
    await listenForCancels(subscriber, workers);
    await Promise.all(workers.map((worker) => worker.ready()));
    return { close, unfit };
  } catch (error) {
    await close(0);
    throw error;
  }
}

function quotaOf(bytes: number, records: DocumentRecords): StepTools['quota'] {
  const usedBytes = async (tenant: string) => (await records.usage(tenant)).storedBytes;
  return { bytes, usedBytes };
}
