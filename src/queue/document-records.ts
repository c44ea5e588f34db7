/**
 * The records of all documents in Redis. Every change is one script, so that a state, its event and
 * the lists it stands in never disagree, and a document comes to exactly one terminal state.
 */

import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import type { PageRange } from './compression-queue.js';
import {
  type DocumentRecord,
  type DocumentRef,
  decodeRecord,
  encodeFields,
  type Failure,
  type NewDocument,
  STAGES,
  type Stage,
  type TerminalState,
} from './document-record.js';
import { KEY_PREFIX } from './key-prefix.js';
import { TELL } from './outbox.js';
import {
  ADD_TO,
  OVER_QUOTA,
  type Quota,
  quotaArguments,
  quotaError,
  SET_STORED,
  storedKey,
  type Usage,
  usageKey,
} from './usage.js';

export interface RecordLimits extends Quota {
  /** Unfinished documents of one tenant. */
  perTenant: number;
  /** Unfinished documents in all. */
  total: number;
}

export interface ListPage {
  limit: number;
  /** The document behind which to go on. */
  after?: string | undefined;
  /** @defaultValue newest */
  order?: 'newest' | 'oldest' | undefined;
  origin?: string | undefined;
  purpose?: string | undefined;
}

/** Records that are looked at in one go where not all are wanted. */
const LIST_STEP = 200;

/** One thing that happened to a document; ids grow with time. */
export interface DocumentEvent {
  id: string;
  type: 'queued' | 'stage' | 'progress' | 'retry' | TerminalState;
  data: Record<string, unknown>;
}

export type StepStart =
  | { verdict: 'go'; record: DocumentRecord }
  /** It is cancelled, finished, deleted, or its jobs were replaced by newer ones. */
  | { verdict: 'unwanted' }
  /** It was started too often without coming to an end. */
  | { verdict: 'poison'; starts: number };

/** Events kept for those who come back with Last-Event-ID. */
const MAX_EVENTS = 1_000;
const EVENTS_AFTER_END_MS = 24 * 3_600_000;

/** Told when anything happens to a document: `tenant id`. */
export const CHANGED_CHANNEL = `${KEY_PREFIX}:changed`;
/** Told when work on a document must stop: `tenant id`. */
export const CANCEL_CHANNEL = `${KEY_PREFIX}:cancel`;

const ACTIVE = `${KEY_PREFIX}:active`;
const EXPIRY = `${KEY_PREFIX}:expiry`;
const keysOf = ({ tenant, id }: DocumentRef) => ({
  record: `${KEY_PREFIX}:doc:${tenant}:${id}`,
  events: `${KEY_PREFIX}:events:${tenant}:${id}`,
  index: `${KEY_PREFIX}:docs:${tenant}`,
  unfinished: `${KEY_PREFIX}:unfinished:${tenant}`,
  member: `${tenant} ${id}`,
});
const contentKey = (tenant: string, contentHash: string) =>
  `${KEY_PREFIX}:content:${tenant}:${contentHash}`;

/** KEYS: record events active unfinished usage; ARGV: member now … */
const EMIT = `
local function emit(kind, data)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ${MAX_EVENTS}, '*', 'type', kind, 'data', data)
  redis.call('PUBLISH', '${CHANGED_CHANNEL}', ARGV[1])
end
local function open()
  local state = redis.call('HGET', KEYS[1], 'state')
  return state == 'queued' or state == 'in_progress'
end
`;

const SCRIPTS = {
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
if not open() then return {'unwanted'} end
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[4] then return {'unwanted'} end
local starts = redis.call('HINCRBY', KEYS[1], 'starts:' .. ARGV[7], 1)
if starts > tonumber(ARGV[5]) then return {'poison', tostring(starts - 1)} end
local before = redis.call('HGET', KEYS[1], 'stage')
redis.call('HSET', KEYS[1], 'state', 'in_progress', 'stage', ARGV[3], 'updatedAt', ARGV[2])
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
    lua: `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], 'starts:' .. ARGV[3], -1)`,
  },
  /** ARGV + kind event fields… */
  gpNote: {
    keys: 5,
    lua: `${EMIT}
if not open() then return 0 end
redis.call('HSET', KEYS[1], 'updatedAt', ARGV[2], unpack(ARGV, 5))
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
emit(ARGV[3], ARGV[4])
return 1`,
  },
  /** ARGV + id state event eventsTtlMs fields… */
  gpFinish: {
    keys: 5,
    lua: `${EMIT}${TELL}${ADD_TO}
if not open() then return 0 end
addTo(KEYS[5], 'inflight', -tonumber(redis.call('HGET', KEYS[1], 'bytes') or '0'))
redis.call('HDEL', KEYS[1], 'stage')
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'finishedAt', ARGV[2], 'updatedAt', ARGV[2], unpack(ARGV, 7))
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[3])
emit(ARGV[4], ARGV[5])
tell('document', ARGV[1], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
if ARGV[4] == 'cancelled' then redis.call('PUBLISH', '${CANCEL_CHANNEL}', ARGV[1]) end
return 1`,
  },
  /** ARGV + generation */
  gpRequeue: {
    keys: 5,
    lua: `
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'queued' and state ~= 'in_progress' then return 0 end
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
  gpUnlock: {
    keys: 1,
    lua: `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`,
  },
} as const;

/** Starts are counted for each part of a step: many parts of a good document are no poison. */
function counterOf(stage: Stage, range: PageRange | undefined): string {
  return range ? `${stage}:${range.start}-${range.end}` : stage;
}

type Script = keyof typeof SCRIPTS;
type ScriptCall = (...args: (string | number)[]) => Promise<unknown>;

export class DocumentRecords {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
    for (const [name, { keys, lua }] of Object.entries(SCRIPTS)) {
      redis.defineCommand(name, { numberOfKeys: keys, lua });
    }
  }

  /**
   * @returns how many unfinished documents the tenant had before
   * @throws {GlyphpressError} GP_QUEUE_FULL, GP_QUOTA
   */
  async create(document: NewDocument, limits: RecordLimits): Promise<{ ahead: number }> {
    const now = Date.now();
    const { index, member } = keysOf(document);
    const fields = encodeFields({
      ...document,
      state: 'queued',
      stage: STAGES[0],
      generation: 1,
      pagesDone: 0,
      share: 0,
      createdAt: now,
      updatedAt: now,
    });
    const [verdict, count] = (await this.#run(
      'gpCreate',
      [...this.#keys(document), index, EXPIRY, contentKey(document.tenant, document.contentHash)],
      [
        member,
        now,
        limits.perTenant,
        limits.total,
        document.expiresAt ?? '',
        document.id,
        document.settingsKey,
        JSON.stringify({ state: 'queued' }),
        document.bytes,
        ...quotaArguments(limits),
        ...fields,
      ],
    )) as [string, number];
    if (verdict === 'ok') return { ahead: count };
    if (verdict === 'documents' || verdict === 'inflight' || verdict === 'stored')
      throw quotaError(verdict, count, document.bytes, limits);
    const limit = verdict === 'tenant' ? limits.perTenant : limits.total;
    throw new GlyphpressError('GP_QUEUE_FULL', {
      message:
        verdict === 'tenant'
          ? `${count} documents of yours are not finished; at most ${limit} are taken at once`
          : `${count} documents are not finished; the service takes at most ${limit} at once`,
      hint: 'Wait until some are done, or cancel some.',
      details: { scope: verdict, unfinished: count, limit },
    });
  }

  async get(ref: DocumentRef): Promise<DocumentRecord | null> {
    return decodeRecord(await this.#redis.hgetall(keysOf(ref).record));
  }

  /**
   * A tenant's documents.
   *
   * @throws {GlyphpressError} GP_DOCUMENT_UNKNOWN where `after` is no document of the tenant
   */
  async list(tenant: string, page: ListPage): Promise<DocumentRecord[]> {
    const { limit, after, order = 'newest', origin, purpose } = page;
    const { index } = keysOf({ tenant, id: '' });
    const [rankOf, rangeOf] =
      order === 'newest' ? (['zrevrank', 'zrevrange'] as const) : (['zrank', 'zrange'] as const);
    let from = 0;
    if (after !== undefined) {
      const rank = await this.#redis[rankOf](index, after);
      if (rank === null) throw noSuchPlace(after);
      from = rank + 1;
    }
    const wanted: DocumentRecord[] = [];
    const isFiltered = origin !== undefined || purpose !== undefined;
    const step = isFiltered ? Math.max(limit, LIST_STEP) : limit;
    for (;;) {
      const ids = await this.#redis[rangeOf](index, from, from + step - 1);
      const matching = isFiltered ? await this.#matching(tenant, ids, { origin, purpose }) : ids;
      const records = await Promise.all(
        matching.slice(0, limit - wanted.length).map((id) => this.get({ tenant, id })),
      );
      wanted.push(...records.filter((record) => record !== null));
      if (wanted.length >= limit || ids.length < step) return wanted;
      from += ids.length;
    }
  }

  /** Those of these documents that came in by this door and for this purpose. */
  async #matching(
    tenant: string,
    ids: readonly string[],
    { origin, purpose }: Pick<ListPage, 'origin' | 'purpose'>,
  ): Promise<string[]> {
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.hmget(keysOf({ tenant, id }).record, 'origin', 'purpose');
    const replies = (await pipeline.exec()) ?? [];
    return ids.filter((_, i) => {
      const [error, fields] = replies[i] as [Error | null, (string | null)[]];
      if (error) throw error;
      const [itsOrigin, itsPurpose] = fields;
      return (
        (origin === undefined || itsOrigin === origin) &&
        (purpose === undefined || itsPurpose === purpose)
      );
    });
  }

  /** Other documents of the tenant with the same bytes: id → settings key. */
  siblings(tenant: string, contentHash: string): Promise<Record<string, string>> {
    return this.#redis.hgetall(contentKey(tenant, contentHash));
  }

  async begin(
    ref: DocumentRef,
    stage: Stage,
    generation: number,
    maxStarts: number,
    range?: PageRange,
  ): Promise<StepStart> {
    const [verdict, starts] = (await this.#run('gpBegin', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      stage,
      generation,
      maxStarts,
      range ? '' : JSON.stringify({ state: 'in_progress', stage }),
      counterOf(stage, range),
    ])) as [string, string?];
    if (verdict === 'poison') return { verdict, starts: Number(starts) };
    const record = verdict === 'go' ? await this.get(ref) : null;
    return record ? { verdict: 'go', record } : { verdict: 'unwanted' };
  }

  /** A start that ended because the worker shut down does not count against the document. */
  async takeBackStart(ref: DocumentRef, stage: Stage, range?: PageRange): Promise<void> {
    const args = [keysOf(ref).member, Date.now(), counterOf(stage, range)];
    await this.#run('gpTakeBackStart', this.#keys(ref), args);
  }

  /** @returns false if the document was deleted or cancelled: the worker must stop */
  async note(
    ref: DocumentRef,
    type: DocumentEvent['type'],
    data: Record<string, unknown>,
    fields: Partial<Pick<DocumentRecord, 'pagesDone' | 'pages' | 'share' | 'characters'>> &
      Record<string, unknown> = {},
  ): Promise<boolean> {
    const noted = await this.#run('gpNote', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      type,
      JSON.stringify(data),
      ...encodeFields({ ...fields, notedAt: Date.now() }),
    ]);
    return noted === 1;
  }

  /** @returns false when it had come to a terminal state before: that one stays */
  async finish(
    ref: DocumentRef,
    state: TerminalState,
    fields: { report?: string; failure?: Failure } = {},
  ): Promise<boolean> {
    const data = { state, ...(fields.failure && { error: fields.failure }) };
    const finished = await this.#run('gpFinish', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      ref.id,
      state,
      JSON.stringify(data),
      EVENTS_AFTER_END_MS,
      ...encodeFields({ ...fields, share: 1 }),
    ]);
    return finished === 1;
  }

  /** @returns the new generation, or null when somebody else was faster or the document is done */
  async requeue(ref: DocumentRef, generation: number): Promise<number | null> {
    const next = await this.#run('gpRequeue', this.#keys(ref), [
      keysOf(ref).member,
      Date.now(),
      generation,
    ]);
    return (next as number) || null;
  }

  async remove({
    tenant,
    id,
    contentHash,
    settingsKey,
  }: Pick<DocumentRecord, 'tenant' | 'id' | 'contentHash' | 'settingsKey'>): Promise<{
    existed: boolean;
    sameContent: number;
    sameSettings: number;
  }> {
    const ref = { tenant, id };
    const { index, member } = keysOf(ref);
    const [existed, sameContent, sameSettings] = (await this.#run(
      'gpRemove',
      [...this.#keys(ref), index, EXPIRY, contentKey(tenant, contentHash), storedKey(tenant)],
      [member, Date.now(), id, settingsKey, contentHash],
    )) as [number, number, number];
    return { existed: existed === 1, sameContent, sameSettings };
  }

  /** What a content takes in the store now, for the quota of its tenant. */
  async noteStored(tenant: string, contentHash: string, bytes: number): Promise<void> {
    const keys = [storedKey(tenant), usageKey(tenant), contentKey(tenant, contentHash)];
    await this.#run('gpStored', keys, [contentHash, bytes]);
  }

  async usage(tenant: string): Promise<Usage> {
    const [stored, inFlight] = await this.#redis.hmget(usageKey(tenant), 'stored', 'inflight');
    const documents = await this.#redis.zcard(keysOf({ tenant, id: '' }).index);
    return { documents, storedBytes: Number(stored ?? 0), inFlightBytes: Number(inFlight ?? 0) };
  }

  /** What happened after the event with this id; all of it for null. */
  async events(ref: DocumentRef, after: string | null): Promise<DocumentEvent[]> {
    const entries = await this.#redis.xrange(keysOf(ref).events, after ? `(${after}` : '-', '+');
    return entries.map(([id, [, type, , data]]) => ({
      id,
      type: type as DocumentEvent['type'],
      data: JSON.parse(data!),
    }));
  }

  /** Unfinished documents that nothing happened to since then, longest first. */
  quietSince(time: number, limit: number): Promise<DocumentRef[]> {
    return this.#refs(this.#redis.zrangebyscore(ACTIVE, '-inf', time, 'LIMIT', 0, limit));
  }

  expired(now: number, limit: number): Promise<DocumentRef[]> {
    return this.#refs(this.#redis.zrangebyscore(EXPIRY, '-inf', now, 'LIMIT', 0, limit));
  }

  unfinishedCount(): Promise<number> {
    return this.#redis.zcard(ACTIVE);
  }

  /** Whether any document holds this content, so that its folder must stay. */
  async holdsContent(tenant: string, contentHash: string): Promise<boolean> {
    return (await this.#redis.exists(contentKey(tenant, contentHash))) === 1;
  }

  /** One at a time over all processes; the lock is lost by itself when its holder dies. */
  async exclusively<T>(name: string, work: () => Promise<T>, ttlMs = 30_000): Promise<T> {
    const key = `${KEY_PREFIX}:lock:${name}`;
    const token = `${process.pid}-${Math.random()}`;
    const end = Date.now() + ttlMs;
    while ((await this.#redis.set(key, token, 'PX', ttlMs, 'NX')) === null) {
      if (Date.now() > end) {
        throw new GlyphpressError('GP_REDIS_UNAVAILABLE', {
          message: `Another process holds the lock ${name} for more than ${ttlMs} ms`,
          hint: 'Try again.',
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    try {
      return await work();
    } finally {
      await this.#run('gpUnlock', [key], [token]).catch(() => {}); // it ends by itself
    }
  }

  async #refs(members: Promise<string[]>): Promise<DocumentRef[]> {
    return (await members).map((member) => {
      const [tenant, id] = member.split(' ') as [string, string];
      return { tenant, id };
    });
  }

  #keys(ref: DocumentRef): string[] {
    const { record, events, unfinished } = keysOf(ref);
    return [record, events, ACTIVE, unfinished, usageKey(ref.tenant)];
  }

  #run(script: Script, keys: string[], args: (string | number)[]): Promise<unknown> {
    const commands = this.#redis as unknown as Record<Script, ScriptCall>;
    return commands[script](...keys, ...args);
  }
}

function noSuchPlace(after: string): GlyphpressError {
  return new GlyphpressError('GP_DOCUMENT_UNKNOWN', {
    message: `There is no document ${JSON.stringify(after.slice(0, 80))} to continue after`,
    hint: 'It was deleted meanwhile: list from the start again.',
    details: { param: 'after' },
  });
}
