/** What a service takes on, and how long it keeps it. */

import os from 'node:os';
import type { RecordLimits } from '../queue/document-records.js';
import type { ResponseLimits } from '../service/response-records.js';
import type { ConnectionLimits } from './connections.js';
import type { PressureLimits } from './pressure.js';

export interface ServiceLimits
  extends RecordLimits,
    ResponseLimits,
    PressureLimits,
    ConnectionLimits {
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
  /** Default limit of requests a minute per API key; null for no limit. */
  requestsPerMinute: number | null;
  /** How long documents are kept unless they say otherwise; null for ever. */
  keepMs: number | null;
  /** How long a document is kept that came inside a question. */
  inlineKeepMs: number;
}

export const DEFAULT_LIMITS: ServiceLimits = {
  perTenant: 1_000,
  total: 10_000,
  documentsPerTenant: null,
  storedBytesPerTenant: null,
  inFlightBytesPerTenant: 1024 ** 3,
  documentBytes: 64 * 1024 ** 2,
  jsonBytes: 16 * 1024 ** 2,
  answerTokens: 4_096,
  questionCharacters: 100_000,
  questionDocuments: 16,
  requestsPerMinute: 600,
  waitMs: 300_000,
  keepMs: null,
  inlineKeepMs: 3_600_000,
  connections: 4_096,
  connectionsPerAddress: 1_024,
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
