/** So many requests a minute for each API key, counted in Redis for all processes of the service. */

import type { FastifyReply } from 'fastify';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import { KEY_PREFIX } from '../queue/key-prefix.js';

export interface Rate {
  /** Requests a minute, all of which may come at once. */
  limit: number;
  remaining: number;
  /** Seconds until all of them are there again. */
  resetS: number;
}

const WINDOW_MS = 60_000;

/**
 * GCRA: one number a key, the time at which its allowance would be whole again. By the clock of Redis,
 * so that processes agree.
 *
 * ARGV: limit cost → whether it passed, how many are left, ms to wait, ms until all are back
 */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local each = ${WINDOW_MS} / tonumber(ARGV[1])
local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local next = whole + each * tonumber(ARGV[2])
local wait = next - ${WINDOW_MS} - now
if wait > 0 then return {0, 0, math.ceil(wait), math.ceil(whole - now)} end
if next > now then redis.call('SET', KEYS[1], next, 'PX', math.ceil(next - now)) end
return {1, math.floor((${WINDOW_MS} - (next - now)) / each + 0.000001), 0, math.ceil(next - now)}`;

type Take = (key: string, limit: number, cost: number) => Promise<[number, number, number, number]>;

export class RateLimiter {
  readonly #take: Take;

  constructor(redis: Redis) {
    redis.defineCommand('gpRateTake', { numberOfKeys: 1, lua: TAKE });
    this.#take = (redis as unknown as { gpRateTake: Take }).gpRateTake.bind(redis);
  }

  /**
   * Counts one request.
   *
   * @throws {GlyphpressError} GP_RATE_LIMITED
   */
  async count(keyId: string, limit: number): Promise<Rate> {
    const [passed, remaining, waitMs, resetMs] = await this.#take(placeOf(keyId), limit, 1);
    const rate = { limit, remaining, resetS: Math.ceil(resetMs / 1000) };
    if (passed === 1) return rate;
    const retryAfterS = Math.max(1, Math.ceil(waitMs / 1000));
    throw new GlyphpressError('GP_RATE_LIMITED', {
      message: `This key has reached its limit of ${limit} requests a minute`,
      hint: `Try again in ${retryAfterS} s. GET /v1/limits says what is left.`,
      details: { ...rate, retryAfterS },
    });
  }

  /** What is left, without taking any of it. */
  async look(keyId: string, limit: number): Promise<Rate> {
    const [, remaining, , resetMs] = await this.#take(placeOf(keyId), limit, 0);
    return { limit, remaining, resetS: Math.ceil(resetMs / 1000) };
  }
}

/** Rate limit headers of draft-ietf-httpapi-ratelimit-headers-10, and those that OpenAI clients read. */
export function showRate(reply: FastifyReply, { limit, remaining, resetS }: Rate): void {
  void reply.headers({
    'ratelimit-policy': `"requests";q=${limit};w=${WINDOW_MS / 1000}`,
    ratelimit: `"requests";r=${remaining};t=${resetS}`,
    'x-ratelimit-limit-requests': String(limit),
    'x-ratelimit-remaining-requests': String(remaining),
    'x-ratelimit-reset-requests': `${resetS}s`,
  });
}

const placeOf = (keyId: string) => `${KEY_PREFIX}:rate:${keyId}`;
