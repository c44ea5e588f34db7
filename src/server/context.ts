/** What the routes share. */

import os from 'node:os';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Redis } from 'ioredis';
import type { CompressionQueue } from '../queue/compression-queue.js';
import type { DocumentRecords, RecordLimits } from '../queue/document-records.js';
import type { ContentStore } from '../service/content-store.js';
import type { DocumentService } from '../service/documents.js';
import type { ModelRegistry } from '../service/models.js';
import type { QuestionEngine } from '../service/question-engine.js';
import type { ResponseLimits, ResponseRecords } from '../service/response-records.js';
import type { Webhooks } from '../service/webhooks.js';
import type { ApiKeys } from './api-keys.js';
import type { Metrics } from './metrics.js';
import type { PressureLimits } from './pressure.js';
import type { RateLimiter } from './rate-limit.js';
import type { ResponseRunner } from './response-runner.js';

export interface ServiceLimits extends RecordLimits, ResponseLimits, PressureLimits {
  /** Bytes of one document. */
  documentBytes: number;
  /** Bytes of a JSON body; larger documents come as a stream or a form. */
  jsonBytes: number;
  /** Longest answer. */
  answerTokens: number;
  /** Characters of a question with all that goes before it. */
  questionCharacters: number;
  /** Documents that one question may be about. */
  questionDocuments: number;
  /** How long a question waits for its document. */
  waitMs: number;
  /** Requests a minute of an API key that says nothing of its own; null for any number. */
  requestsPerMinute: number | null;
  /** How long documents are kept unless they say otherwise; null for ever. */
  keepMs: number | null;
  /** How long a document is kept that came inside a question. */
  inlineKeepMs: number;
}

export const DEFAULT_LIMITS: ServiceLimits = {
  perTenant: 1_000,
  total: 10_000,
  documentBytes: 64 * 1024 ** 2,
  jsonBytes: 16 * 1024 ** 2,
  answerTokens: 4_096,
  questionCharacters: 100_000,
  questionDocuments: 16,
  requestsPerMinute: 600,
  waitMs: 300_000,
  keepMs: null,
  inlineKeepMs: 3_600_000,
  openRequests: 256,
  openRequestsPerTenant: 192,
  eventLoopDelayMs: 500,
  memoryBytes: 0.85 * availableBytes(),
  backgroundPerTenant: 100,
  responseKeepMs: 7 * 24 * 3_600_000,
};

/** What a container allows this process, else what the machine has. */
function availableBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < os.totalmem() ? limit : os.totalmem();
}

export interface ServerParts {
  redis: Redis;
  records: DocumentRecords;
  queue: CompressionQueue;
  store: ContentStore;
  models: ModelRegistry;
  documents: DocumentService;
  engine: QuestionEngine;
  keys: ApiKeys;
  rates: RateLimiter;
  metrics: Metrics;
  responses: ResponseRecords;
  limits: ServiceLimits;
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

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
