/**
 * Answers that are kept, and those that are made in the background: a record each, its events, and who
 * works on it. Every change of a background answer is one script in Redis, so that it comes to exactly
 * one terminal state, whichever process makes it, cancels it or takes it over.
 */

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import { KEY_PREFIX } from '../queue/key-prefix.js';
import { TELL } from '../queue/outbox.js';
import { aborted, type Changes, later } from './changes.js';

export interface ResponseRef {
  tenant: string;
  id: string;
}

export type ResponseStatus =
  | 'queued'
  | 'in_progress'
  | 'completed'
  | 'incomplete'
  | 'failed'
  | 'cancelled';

/** As clients see it; what stands in it besides is the server's affair. */
export interface StoredResponse {
  id: string;
  status: ResponseStatus;
  [field: string]: unknown;
}

export interface ResponseRecord<Request = unknown> extends ResponseRef {
  background: boolean;
  /** What is needed to make it, and to go on from it. */
  request: Request;
  response: StoredResponse;
}

/** An event without its number, which it gets when it is stored. */
export interface ResponseEvent {
  type: string;
  [field: string]: unknown;
}

export interface ResponseLimits {
  /** Background answers of one tenant that are not finished. */
  backgroundPerTenant: number;
  /** How long answers are kept. */
  responseKeepMs: number;
}

/** Told when something happens to a background answer: `tenant id`. */
export const RESPONSE_CHANGED_CHANNEL = `${KEY_PREFIX}:responses:changed`;
/** Told when a background answer must stop: `tenant id`. */
export const RESPONSE_STOP_CHANNEL = `${KEY_PREFIX}:responses:stop`;

/** Unfinished background answers, by the time until which somebody works on them. */
const LEASES = `${KEY_PREFIX}:responses:leases`;

const ID = /^resp_[0-9a-f]{32}$/;
const LOOK_AGAIN_MS = 15_000;

const keysOf = ({ tenant, id }: ResponseRef) => ({
  record: `${KEY_PREFIX}:response:${tenant}:${id}`,
  events: `${KEY_PREFIX}:response-events:${tenant}:${id}`,
  unfinished: `${KEY_PREFIX}:responses:unfinished:${tenant}`,
});
const memberOf = ({ tenant, id }: ResponseRef) => `${tenant} ${id}`;

/** KEYS: record events unfinished leases; ARGV: member … */
const PARTS = `
local function emit(event)
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
  local number = 0
  if #last > 0 then number = tonumber(string.match(last[1][1], '^%d+')) + 1 end
  redis.call('XADD', KEYS[2], number .. '-1', 'event', event)
  redis.call('PUBLISH', '${RESPONSE_CHANGED_CHANNEL}', ARGV[1])
end
local function open()
  local status = redis.call('HGET', KEYS[1], 'status')
  return status == 'queued' or status == 'in_progress'
end
`;

const SCRIPTS = {
  /** ARGV + limit leaseUntil request response event… */
  gpResponseQueue: `${PARTS}
local mine = redis.call('SCARD', KEYS[3])
if mine >= tonumber(ARGV[2]) then return mine end
redis.call('HSET', KEYS[1], 'status', 'queued', 'background', '1', 'request', ARGV[4], 'response', ARGV[5])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
for at = 6, #ARGV do emit(ARGV[at]) end
return -1`,
  /** ARGV + now leaseUntil → which attempt this is, 0 when somebody else has it */
  gpResponseClaim: `
local score = redis.call('ZSCORE', KEYS[4], ARGV[1])
if not score or tonumber(score) > tonumber(ARGV[2]) then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('SREM', KEYS[3], ARGV[1])
  return 0
end
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'takeovers', 1)`,
  /** ARGV + event status response, the last two empty to leave them */
  gpResponseNote: `${PARTS}
if not open() then return 0 end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'status', ARGV[3], 'response', ARGV[4]) end
emit(ARGV[2])
return 1`,
  /** ARGV + status response event ttlMs */
  gpResponseFinish: `${PARTS}${TELL}
if not open() then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'response', ARGV[3])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
emit(ARGV[4])
tell('response', ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
if ARGV[2] == 'cancelled' then redis.call('PUBLISH', '${RESPONSE_STOP_CHANNEL}', ARGV[1]) end
return 1`,
  gpResponseRemove: `
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[2])
local existed = redis.call('DEL', KEYS[1])
redis.call('PUBLISH', '${RESPONSE_STOP_CHANNEL}', ARGV[1])
redis.call('PUBLISH', '${RESPONSE_CHANGED_CHANNEL}', ARGV[1])
return existed`,
} as const;

type Script = keyof typeof SCRIPTS;
type ScriptCall = (...args: (string | number)[]) => Promise<unknown>;

export class ResponseRecords {
  readonly #redis: Redis;
  readonly #changes: Changes;
  readonly #limits: ResponseLimits;

  /** @param changes of {@link RESPONSE_CHANGED_CHANNEL} */
  constructor(redis: Redis, changes: Changes, limits: ResponseLimits) {
    this.#redis = redis;
    this.#changes = changes;
    this.#limits = limits;
    for (const [name, lua] of Object.entries(SCRIPTS))
      redis.defineCommand(name, { numberOfKeys: 4, lua });
  }

  static newId(): string {
    return `resp_${randomBytes(16).toString('hex')}`;
  }

  /** An answer that is finished. */
  async keep(record: Omit<ResponseRecord, 'background'>): Promise<void> {
    const { record: key } = keysOf(record);
    const { request, response } = record;
    await this.#redis
      .multi()
      .hset(key, {
        status: response.status,
        background: '0',
        request: JSON.stringify(request),
        response: JSON.stringify(response),
      })
      .pexpire(key, this.#limits.responseKeepMs)
      .exec();
  }

  /**
   * An answer to be made in the background; from here on it is, whatever happens to this process.
   *
   * @param leaseUntil Unix ms; until then the caller works on it
   * @throws {GlyphpressError} GP_QUEUE_FULL
   */
  async queue(
    record: Omit<ResponseRecord, 'background'>,
    events: readonly ResponseEvent[],
    leaseUntil: number,
  ): Promise<void> {
    const { backgroundPerTenant: limit } = this.#limits;
    const full = (await this.#run('gpResponseQueue', record, [
      limit,
      leaseUntil,
      JSON.stringify(record.request),
      JSON.stringify(record.response),
      ...events.map((event) => JSON.stringify(event)),
    ])) as number;
    if (full < 0) return;
    throw new GlyphpressError('GP_QUEUE_FULL', {
      message: `${full} background answers of yours are not finished; at most ${limit} are taken at once`,
      hint: 'Wait until some are done, or cancel some.',
      details: { scope: 'tenant', unfinished: full, limit },
    });
  }

  /** @throws {GlyphpressError} GP_RESPONSE_UNKNOWN, also for what belongs to another tenant */
  async get<Request>(ref: ResponseRef): Promise<ResponseRecord<Request>> {
    const fields = ID.test(ref.id) ? await this.#redis.hgetall(keysOf(ref).record) : {};
    if (fields.response === undefined) {
      throw new GlyphpressError('GP_RESPONSE_UNKNOWN', {
        message: `There is no response ${JSON.stringify(ref.id.slice(0, 80))}`,
        hint: 'It may have expired, been deleted, or been made with "store": false.',
        details: { param: 'response_id' },
      });
    }
    return {
      ...ref,
      background: fields.background === '1',
      request: JSON.parse(fields.request!) as Request,
      response: JSON.parse(fields.response) as StoredResponse,
    };
  }

  /** @returns false if it was deleted or cancelled: the worker must stop */
  async note(ref: ResponseRef, event: ResponseEvent, response?: StoredResponse): Promise<boolean> {
    const now = response ? [response.status, JSON.stringify(response)] : ['', ''];
    return (await this.#run('gpResponseNote', ref, [JSON.stringify(event), ...now])) === 1;
  }

  /** @returns false when it had come to a terminal state before: that one stays */
  async finish(ref: ResponseRef, event: ResponseEvent, response: StoredResponse): Promise<boolean> {
    const finished = await this.#run('gpResponseFinish', ref, [
      response.status,
      JSON.stringify(response),
      JSON.stringify(event),
      this.#limits.responseKeepMs,
    ]);
    return finished === 1;
  }

  async remove(ref: ResponseRef): Promise<void> {
    await this.get(ref);
    await this.#run('gpResponseRemove', ref, []);
  }

  /** Says that the work goes on. @returns those that were deleted or cancelled */
  async renew(refs: readonly ResponseRef[], leaseUntil: number): Promise<ResponseRef[]> {
    const gone: ResponseRef[] = [];
    for (const ref of refs) {
      const changed = await this.#redis.zadd(LEASES, 'XX', 'CH', leaseUntil, memberOf(ref));
      if (Number(changed) === 0) gone.push(ref);
    }
    return gone;
  }

  /** Lets another process go on with it at once. */
  async giveBack(ref: ResponseRef): Promise<void> {
    await this.#redis.zadd(LEASES, 'XX', 0, memberOf(ref));
  }

  /** Those whose process has exited. */
  async abandoned(now: number, limit: number): Promise<ResponseRef[]> {
    const members = await this.#redis.zrangebyscore(LEASES, '-inf', now, 'LIMIT', 0, limit);
    return members.map((member) => {
      const [tenant, id] = member.split(' ') as [string, string];
      return { tenant, id };
    });
  }

  /** @returns how often it was taken over, this time included; 0 when somebody else has it */
  async claim(ref: ResponseRef, now: number, leaseUntil: number): Promise<number> {
    return (await this.#run('gpResponseClaim', ref, [now, leaseUntil])) as number;
  }

  /** The events after `after`, numbered, and then what comes, until the answer is finished or deleted. */
  async *follow(
    ref: ResponseRef,
    after: number | null,
    signal: AbortSignal,
  ): AsyncGenerator<ResponseEvent & { sequence_number: number }> {
    const change = this.#changes.watch(memberOf(ref));
    const stopped = aborted(signal);
    try {
      for (let last = after; !signal.aborted; ) {
        const heard = change.next();
        const status = await this.#redis.hget(keysOf(ref).record, 'status');
        const from = last === null ? '-' : `(${last}-1`;
        const entries = await this.#redis.xrange(keysOf(ref).events, from, '+');
        for (const [id, [, event]] of entries) {
          last = Number(id.split('-')[0]);
          yield { ...(JSON.parse(event!) as ResponseEvent), sequence_number: last };
        }
        // Looked at before the events, so that none is missed.
        if (status !== 'queued' && status !== 'in_progress') return;
        if (entries.length === 0) await Promise.race([heard, stopped, later(LOOK_AGAIN_MS)]);
      }
    } finally {
      change.stop();
    }
  }

  #run(script: Script, ref: ResponseRef, args: (string | number)[]): Promise<unknown> {
    const { record, events, unfinished } = keysOf(ref);
    const commands = this.#redis as unknown as Record<Script, ScriptCall>;
    return commands[script](record, events, unfinished, LEASES, memberOf(ref), ...args);
  }
}
