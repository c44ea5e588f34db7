/**
 * Whose turn it is in a stage. Every job gets a place when it becomes ready, by start-time fair queueing:
 * a tenant's next job stands one place behind its last one, and nobody's stands before the clock, which is
 * the place of the job that was started last. So a tenant with one job passes one with a thousand, and
 * nobody waits for ever: whoever waits keeps his place while the clock goes on.
 *
 * Source: P. Goyal, H. M. Vin, H. Cheng, Start-time Fair Queueing, 1996; every job counts alike, because
 * long ones are cut into pieces.
 */

import type { Redis } from 'ioredis';
import { type Priority, STAGES, type Stage } from './document-record.js';
import { KEY_PREFIX } from './key-prefix.js';

/** BullMQ takes priorities from 1 to 2²¹. */
const MAX_PLACE = 2 ** 21 - 2;

/** The lanes behind whose last job one of each class stands: only a tenant's own jobs make way for one. */
const BEHIND: Record<Priority, readonly Priority[]> = {
  high: ['high'],
  normal: ['high', 'normal'],
  low: ['high', 'normal', 'low'],
};

const turnsKey = (stage: Stage) => `${KEY_PREFIX}:turns:${stage}`;

const SCRIPTS = {
  /** KEYS turns, ARGV count lane lanes… → the first of `count` places; starts anew long before there are no more. */
  gpTurn: {
    keys: 1,
    lua: `
local place = tonumber(redis.call('HGET', KEYS[1], 'clock') or '0')
if place > ${MAX_PLACE / 2} then
  redis.call('DEL', KEYS[1])
  place = 0
end
for n = 3, #ARGV do
  local free = tonumber(redis.call('HGET', KEYS[1], ARGV[n]) or '0')
  if free > place then place = free end
end
redis.call('HSET', KEYS[1], ARGV[2], place + tonumber(ARGV[1]))
return place`,
  },
  /** KEYS turns, ARGV place */
  gpTurnTaken: {
    keys: 1,
    lua: `
local clock = tonumber(redis.call('HGET', KEYS[1], 'clock') or '0')
local place = tonumber(ARGV[1])
if place > clock and place - clock < ${MAX_PLACE / 4} then redis.call('HSET', KEYS[1], 'clock', place) end
return 0`,
  },
  /** KEYS turns: lanes whose last job was started say nothing. */
  gpTurnsTidy: {
    keys: 1,
    lua: `
local clock = tonumber(redis.call('HGET', KEYS[1], 'clock') or '0')
local fields = redis.call('HGETALL', KEYS[1])
for n = 1, #fields, 2 do
  if fields[n] ~= 'clock' and tonumber(fields[n + 1]) <= clock then redis.call('HDEL', KEYS[1], fields[n]) end
end
return 0`,
  },
} as const;

type Script = keyof typeof SCRIPTS;

export class Turns {
  readonly #redis: Record<Script, (...args: (string | number)[]) => Promise<unknown>>;

  constructor(redis: Redis) {
    for (const [name, { keys, lua }] of Object.entries(SCRIPTS))
      redis.defineCommand(name, { numberOfKeys: keys, lua });
    this.#redis = redis as never;
  }

  /** @returns BullMQ priorities of the tenant's next jobs in the stage, the first one first */
  async next(stage: Stage, tenant: string, priority: Priority, count = 1): Promise<number[]> {
    const lane = (of: Priority) => `${tenant} ${of}`;
    const first = (await this.#redis.gpTurn(
      turnsKey(stage),
      count,
      lane(priority),
      ...BEHIND[priority].map(lane),
    )) as number;
    return Array.from({ length: count }, (_, n) => Math.min(first + n, MAX_PLACE) + 1);
  }

  /** @param priority of the job that is started now */
  async taken(stage: Stage, priority: number): Promise<void> {
    await this.#redis.gpTurnTaken(turnsKey(stage), Math.max(0, priority - 1));
  }

  /** Forgets tenants without jobs. */
  async tidy(): Promise<void> {
    for (const stage of STAGES) await this.#redis.gpTurnsTidy(turnsKey(stage));
  }
}
