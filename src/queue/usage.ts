/**
 * What each tenant has in the store and under way, for its quota: counted in the scripts that change it,
 * so that two documents that come at once cannot both take the last place.
 */

import { GlyphpressError } from '../errors.js';
import { KEY_PREFIX } from './key-prefix.js';

export interface Quota {
  /** Documents of one tenant, finished ones too; null for no limit. */
  documentsPerTenant?: number | null;
  /** Bytes in the store of one tenant, with all that was made of its documents. */
  storedBytesPerTenant?: number | null;
  /** Bytes as they came of one tenant’s unfinished documents. */
  inFlightBytesPerTenant?: number | null;
}

export interface Usage {
  documents: number;
  storedBytes: number;
  inFlightBytes: number;
}

/** Fields `stored` and `inflight`, in bytes; absent for none. */
export const usageKey = (tenant: string) => `${KEY_PREFIX}:usage:${tenant}`;
/** Content → bytes. */
export const storedKey = (tenant: string) => `${KEY_PREFIX}:stored:${tenant}`;

/** Lua: `addTo(key, field, bytes)`; a field that comes to nothing goes. */
export const ADD_TO = `
local function addTo(key, field, bytes)
  if bytes ~= 0 and redis.call('HINCRBY', key, field, bytes) <= 0 then redis.call('HDEL', key, field) end
end
`;

/** Lua: `setStored(stored, usage, hash, bytes)`, 0 for a content that is gone. */
export const SET_STORED = `${ADD_TO}
local function setStored(stored, usage, hash, bytes)
  local before = tonumber(redis.call('HGET', stored, hash) or '0')
  if bytes > 0 then redis.call('HSET', stored, hash, bytes) else redis.call('HDEL', stored, hash) end
  addTo(usage, 'stored', bytes - before)
end
`;

/**
 * Lua: `overQuota(index, usage, bytes, maxDocuments, maxInFlight, maxStored)` → which, and how much there
 * is; '' for no limit.
 */
export const OVER_QUOTA = `
local function overQuota(index, usage, bytes, maxDocuments, maxInFlight, maxStored)
  local documents = redis.call('ZCARD', index)
  if maxDocuments ~= '' and documents >= tonumber(maxDocuments) then return 'documents', documents end
  local inFlight = tonumber(redis.call('HGET', usage, 'inflight') or '0')
  if maxInFlight ~= '' and inFlight > 0 and inFlight + bytes > tonumber(maxInFlight) then return 'inflight', inFlight end
  local stored = tonumber(redis.call('HGET', usage, 'stored') or '0')
  if maxStored ~= '' and stored + bytes > tonumber(maxStored) then return 'stored', stored end
  return nil, 0
end
`;

export const quotaArguments = (quota: Quota): (string | number)[] => [
  quota.documentsPerTenant ?? '',
  quota.inFlightBytesPerTenant ?? '',
  quota.storedBytesPerTenant ?? '',
];

/** @param used what there is of it already */
export function quotaError(
  which: 'documents' | 'inflight' | 'stored',
  used: number,
  bytes: number,
  quota: Quota,
): GlyphpressError {
  if (which === 'inflight') {
    const limit = quota.inFlightBytesPerTenant!;
    return new GlyphpressError('GP_QUEUE_FULL', {
      message: `${used} bytes of your documents are not finished, and this one has ${bytes}; at most ${limit} are taken at once`,
      hint: 'Wait until some are done, or cancel some.',
      details: { scope: 'tenant', inFlightBytes: used, bytes, limit },
    });
  }
  const limit = which === 'documents' ? quota.documentsPerTenant! : quota.storedBytesPerTenant!;
  const message =
    which === 'documents'
      ? `You have ${used} documents; your quota is ${limit}`
      : `Your documents take ${used} bytes, and this one has ${bytes}; your quota is ${limit}`;
  return new GlyphpressError('GP_QUOTA', {
    message,
    hint: 'Delete documents that are not needed any more.',
    details: { quota: which, used, limit, ...(which === 'stored' && { bytes }) },
  });
}

/**
 * For a document that is about to be made into more: before it is.
 *
 * @throws {GlyphpressError} GP_QUOTA with what it needs and what is left
 */
export function assertWithinQuota(
  needBytes: number,
  { storedBytes }: Pick<Usage, 'storedBytes'>,
  limit: number | null | undefined,
): void {
  if (limit === null || limit === undefined || storedBytes + needBytes <= limit) return;
  throw new GlyphpressError('GP_QUOTA', {
    message: `The document needs about ${needBytes} bytes in the store; ${Math.max(0, limit - storedBytes)} of your ${limit} are left`,
    hint: 'Delete documents that are not needed any more, or prune more.',
    details: { quota: 'stored', needBytes, used: storedBytes, limit },
  });
}
