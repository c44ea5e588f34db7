/** What the routes share. */

import type { Redis } from 'ioredis';
import type { CompressionQueue } from '../queue/compression-queue.js';
import type { DocumentRecords } from '../queue/document-records.js';
import type { ContentStore } from '../service/content-store.js';
import type { DocumentService } from '../service/documents.js';
import type { ModelRegistry } from '../service/models.js';
import type { PassagesEngine } from '../service/passages-engine.js';
import type { QuestionEngine } from '../service/question-engine.js';
import type { ResponseRecords } from '../service/response-records.js';
import type { Webhooks } from '../service/webhooks.js';
import type { ApiKeys } from './api-keys.js';
import type { ServiceLimits } from './limits.js';
import type { Metrics } from './metrics.js';
import type { RateLimiter } from './rate-limit.js';

export interface ServerParts {
  redis: Redis;
  records: DocumentRecords;
  queue: CompressionQueue;
  store: ContentStore;
  models: ModelRegistry;
  documents: DocumentService;
  engine: QuestionEngine;
  passages: PassagesEngine;
  responses: ResponseRecords;
  webhooks: Webhooks;
  keys: ApiKeys;
  rates: RateLimiter;
  metrics: Metrics;
  limits: ServiceLimits;
  /** Aborted when the server begins to close: event streams end, and are taken up elsewhere. */
  closing: AbortSignal;
  /** Aborted when its grace is over: answers end. */
  stopping: AbortSignal;
  version: string;
}
