/** Every change of a document's record, as a script that Redis runs as one. */

import { KEY_PREFIX } from './key-prefix.js';
import { TELL } from './outbox.js';
import { ADD_TO, OVER_QUOTA, SET_STORED } from './usage.js';

/** Events kept for those who come back with Last-Event-ID. */
const MAX_EVENTS = 1_000;

/** Told when anything happens to a document: `tenant id`. */
export const CHANGED_CHANNEL = `${KEY_PREFIX}:changed`;
/** Told when work on a document must stop: `tenant id`. */
export const CANCEL_CHANNEL = `${KEY_PREFIX}:cancel`;

/** KEYS: record events active unfinished usage; ARGV: member now … */
const EMIT = `
-- Of a document that is completed.
local function building() return redis.call('HGET', KEYS[1], 'context') == 'building' end
local function emit(kind, data)
  -- Its history is written: whoever waits for its context looks at the record.
  if not building() then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ${MAX_EVENTS}, '*', 'type', kind, 'data', data) end
  redis.call('PUBLISH', '${CHANGED_CHANNEL}', ARGV[1])
end
local function open()
  local state = redis.call('HGET', KEYS[1], 'state')
  return state == 'queued' or state == 'in_progress'
end
`;

/**
 * What a document that is over needs no more goes. Its events but for progress become one text, `[[id, type,
 * data], …]`, for those who come late: a stream takes 4 kB however few it holds.
 */
const AT_END = `
local function keepHistory(ttlMs)
  local kept = {}
  for _, event in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
    local kind, data = event[2][2], event[2][4]
    if kind ~= 'progress' then kept[#kept + 1] = '["' .. event[1] .. '","' .. kind .. '",' .. data .. ']' end
  end
  redis.call('SET', KEYS[2], '[' .. table.concat(kept, ',') .. ']', 'PX', ttlMs)
end
local function forgetStarts()
  for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(name, 1, 7) == 'starts:' then redis.call('HDEL', KEYS[1], name) end
  end
end
`;

export const SCRIPTS = {
  /**
   * KEYS + index expiry content; ARGV + perTenant total expiresAt id settingsKey event
   * bytes maxDocuments maxInFlight maxStored fields…
   */
  gpCreate: {
    keys: 8,
    lua: `${EMIT}${ADD_TO}${OVER_QUOTA}
if redis.call('EXISTS', KEYS[1]) == 1 then return {'exists', 0} end
local mine = redis.call('SCARD', KEYS[4])
if mine >= tonumber(ARGV[3]) then return {'tenant', mine} end
local all = redis.call('ZCARD', KEYS[3])
if all >= tonumber(ARGV[4]) then return {'total', all} end
local over, used = overQuota(KEYS[6], KEYS[5], tonumber(ARGV[9]), ARGV[10], ARGV[11], ARGV[12])
if over then return {over, used} end
redis.call('HSET', KEYS[1], unpack(ARGV, 13))
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
redis.call('SADD', KEYS[4], ARGV[6])
redis.call('ZADD', KEYS[6], ARGV[2], ARGV[6])
redis.call('HSET', KEYS[8], ARGV[6], ARGV[7])
addTo(KEYS[5], 'inflight', tonumber(ARGV[9]))
if ARGV[5] ~= '' then redis.call('ZADD', KEYS[7], ARGV[5], ARGV[1]) end
emit('queued', ARGV[8])
return {'ok', mine}`,
  },
  /** ARGV + stage generation maxStarts event counter; without an event it is a part of a step under way */
  gpBegin: {
    keys: 5,
    lua: `${EMIT}
if not open() and not building() then return {'unwanted'} end
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[4] then return {'unwanted'} end
local starts = redis.call('HINCRBY', KEYS[1], 'starts:' .. ARGV[7], 1)
if starts > tonumber(ARGV[5]) then return {'poison', tostring(starts - 1)} end
local before = redis.call('HGET', KEYS[1], 'stage')
redis.call('HSET', KEYS[1], 'stage', ARGV[3], 'updatedAt', ARGV[2])
if open() then redis.call('HSET', KEYS[1], 'state', 'in_progress') end
redis.call('HSETNX', KEYS[1], 'startedAt', ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[1], 'share', '0')
  -- Pages are counted anew in each stage; one that is begun again goes on from what it had done.
  if before ~= ARGV[3] then redis.call('HSET', KEYS[1], 'pagesDone', '0') end
  emit('stage', ARGV[6])
end
return {'go'}`,
  },
  /** ARGV + counter */
  gpTakeBackStart: {
    keys: 5,
    lua: `${EMIT}
if not open() and not building() then return 0 end
return redis.call('HINCRBY', KEYS[1], 'starts:' .. ARGV[3], -1)`,
  },
  /** ARGV + kind event fields… */
  gpNote: {
    keys: 5,
    lua: `${EMIT}
if not open() and not building() then return 0 end
redis.call('HSET', KEYS[1], 'updatedAt', ARGV[2], unpack(ARGV, 5))
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
emit(ARGV[3], ARGV[4])
return 1`,
  },
  /** ARGV + id state event eventsTtlMs fields… */
  gpFinish: {
    keys: 5,
    lua: `${EMIT}${AT_END}${TELL}${ADD_TO}
if building() then
  -- The document was completed before, and stays so whatever becomes of its context.
  redis.call('HDEL', KEYS[1], 'stage')
  redis.call('HSET', KEYS[1], 'context', ARGV[4] == 'completed' and 'built' or 'none', 'updatedAt', ARGV[2])
  for n = 7, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[n] == 'failure' and 'contextFailure' or ARGV[n], ARGV[n + 1])
  end
  redis.call('ZREM', KEYS[3], ARGV[1])
  forgetStarts()
  redis.call('PUBLISH', '${CHANGED_CHANNEL}', ARGV[1])
  if ARGV[4] == 'cancelled' then redis.call('PUBLISH', '${CANCEL_CHANNEL}', ARGV[1]) end
  return 1
end
if not open() then return 0 end
addTo(KEYS[5], 'inflight', -tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0'))
redis.call('HDEL', KEYS[1], 'stage')
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'finishedAt', ARGV[2], 'updatedAt', ARGV[2], unpack(ARGV, 7))
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[3])
emit(ARGV[4], ARGV[5])
tell('document', ARGV[1], ARGV[4])
keepHistory(ARGV[6])
forgetStarts()
if ARGV[4] == 'cancelled' then redis.call('PUBLISH', '${CANCEL_CHANNEL}', ARGV[1]) end
return 1`,
  },
  /** → the generation of the jobs that build the context of a completed document; 0 where others do already */
  gpBuild: {
    keys: 5,
    lua: `${EMIT}
if redis.call('HGET', KEYS[1], 'state') ~= 'completed' or building() then return 0 end
redis.call('HDEL', KEYS[1], 'contextFailure')
redis.call('HSET', KEYS[1], 'context', 'building', 'share', '0', 'updatedAt', ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
redis.call('PUBLISH', '${CHANGED_CHANNEL}', ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'generation', 1)`,
  },
  /** ARGV + generation */
  gpRequeue: {
    keys: 5,
    lua: `${EMIT}
if not open() and not building() then return 0 end
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[3] then return 0 end
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'generation', 1)`,
  },
  /**
   * KEYS + index expiry content stored; ARGV + id settingsKey contentHash
   * → how many documents are left with this content, and with these settings beside
   */
  gpRemove: {
    keys: 9,
    lua: `${EMIT}${SET_STORED}
if open() then addTo(KEYS[5], 'inflight', -tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0')) end
local existed = redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[3])
redis.call('ZREM', KEYS[6], ARGV[3])
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('HDEL', KEYS[8], ARGV[3])
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', '${CHANGED_CHANNEL}', ARGV[1])
redis.call('PUBLISH', '${CANCEL_CHANNEL}', ARGV[1])
local same = 0
local values = redis.call('HVALS', KEYS[8])
if #values == 0 then setStored(KEYS[9], KEYS[5], ARGV[5], 0) end
for _, value in ipairs(values) do if value == ARGV[4] then same = same + 1 end end
return {existed, #values, same}`,
  },
  /** KEYS stored usage content; ARGV contentHash bytes */
  gpStored: {
    keys: 3,
    lua: `${SET_STORED}
local bytes = tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[3]) == 0 then bytes = 0 end
setStored(KEYS[1], KEYS[2], ARGV[1], bytes)
return 0`,
  },
  /** KEYS events; ARGV first → the events from there on, or the text that is kept of a finished document */
  gpEvents: {
    keys: 1,
    lua: `
if redis.call('TYPE', KEYS[1]).ok == 'string' then return redis.call('GET', KEYS[1]) end
return redis.call('XRANGE', KEYS[1], ARGV[1], '+')`,
  },
  gpUnlock: {
    keys: 1,
    lua: `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`,
  },
} as const;
