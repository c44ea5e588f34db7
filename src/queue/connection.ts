/** Connections to Redis, each set up for what waits at its other end. */

import { Redis, type RedisOptions } from 'ioredis';
import { GlyphpressError } from '../errors.js';

/**
 * - `request`: a client is waiting. Commands fail at once while Redis is unreachable.
 * - `worker`: no client is waiting. Commands are queued until Redis is reachable again.
 */
export type ConnectionUse = 'request' | 'worker';

const USES: Record<ConnectionUse, RedisOptions> = {
  request: { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: 10_000 },
  worker: { maxRetriesPerRequest: null },
};

/**
 * @param url `redis://…`, `rediss://…` or the path of a socket
 * @returns connected; it connects again by itself whenever the connection is lost
 * @throws {GlyphpressError} GP_REDIS_UNAVAILABLE
 */
export async function connectRedis(url: string, use: ConnectionUse): Promise<Redis> {
  const redis = new Redis(url, {
    ...USES[use],
    lazyConnect: true,
    connectTimeout: 5_000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000),
  });
  let problem: Error | undefined;
  redis.on('error', (error) => {
    problem = error;
  });
  const give = setTimeout(() => redis.disconnect(), 10_000);
  try {
    await redis.connect();
    return redis;
  } catch (cause) {
    redis.disconnect();
    throw redisUnavailable(problem ?? cause);
  } finally {
    clearTimeout(give);
  }
}

export function redisUnavailable(cause: unknown): GlyphpressError {
  const { message, code } = cause as NodeJS.ErrnoException;
  return new GlyphpressError('GP_REDIS_UNAVAILABLE', {
    message: `Redis does not answer: ${message || code}`,
    hint: 'Start it, correct REDIS_URL, or unset REDIS_URL to let glyphpress start its own.',
    cause,
  });
}

/**
 * Redis lives and takes no writes: its disk or its memory is full, or it is a replica.
 *
 * @returns null for any other error
 */
export function redisRefusal(error: unknown): GlyphpressError | null {
  const { name, message = '' } = (error ?? {}) as Error;
  const [, reason] = /^(MISCONF|OOM|READONLY|NOREPLICAS)\b/.exec(message) ?? [];
  if (name !== 'ReplyError' || reason === undefined) return null;
  return new GlyphpressError('GP_STORAGE', {
    message: `Redis takes no writes: ${message.replace(/ script: .*/s, '')}`,
    hint: REFUSAL_HINTS[reason]!,
    details: { reason },
    cause: error,
  });
}

const REFUSAL_HINTS: Record<string, string> = {
  MISCONF: 'Free space on the disk of Redis; it goes on by itself.',
  OOM: 'Raise maxmemory of Redis, or delete documents.',
  READONLY: 'REDIS_URL leads to a replica: give the address of the primary.',
  NOREPLICAS: 'Bring the replicas of Redis back.',
};

/** Whether ioredis threw this for a lost connection, as opposed to an error reply of Redis. */
export function isConnectionLoss(error: unknown): boolean {
  const { name, message = '', code } = (error ?? {}) as NodeJS.ErrnoException;
  return (
    name === 'MaxRetriesPerRequestError' ||
    /^(ECONNREFUSED|ECONNRESET|EPIPE|ENOENT|ETIMEDOUT)$/.test(code ?? '') ||
    /Connection is closed|Stream isn't writeable|Command timed out|LOADING/.test(message)
  );
}
