/** What the routes share. */

import type { Redis } from 'ioredis';
import type { CompressionQueue } from '../queue/compression-queue.js';
import type { DocumentRecords } from '../queue/document-records.js';
import type { Webhooks } from '../service/webhooks.js';
import type { ApiKeys } from './api-keys.js';
import type { RateLimiter } from './rate-limit.js';
import type { ResponseRunner, RunnerParts } from './response-runner.js';

export interface ServerParts extends RunnerParts {
  redis: Redis;
  records: DocumentRecords;
  queue: CompressionQueue;
  keys: ApiKeys;
  rates: RateLimiter;
  /** Aborted when the server begins to close: event streams end, and are taken up elsewhere. */
  closing: AbortSignal;
  /** Aborted when its grace is over: answers end. */
  stopping: AbortSignal;
  version: string;
}

/** What the routes need beside what an answer needs. */
export interface AppParts extends ServerParts {
  runner: ResponseRunner;
  webhooks: Webhooks;
}
