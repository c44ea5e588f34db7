/** Idempotency-Key: the same request twice makes one thing (draft-ietf-httpapi-idempotency-key-header). */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import { KEY_PREFIX } from '../queue/key-prefix.js';
import { sha256Hex } from '../sha256.js';

const KEEP_MS = 24 * 3_600_000;

/** After this a request that never came to an end no longer stands in the way of its repetition. */
const RUNNING_MS = 60_000;

const MAX_KEY_LENGTH = 255;

interface Entry {
  request: string;
  /** Null while it is being made. */
  result: string | null;
}

/**
 * Makes something once for each key of a tenant.
 *
 * @param content what the request says; the same key with another one is a mistake
 * @param make returns the id of what it made
 * @returns the id, made now or before
 * @throws {GlyphpressError} GP_IDEMPOTENCY_KEY, GP_IDEMPOTENCY_BUSY
 */
export async function once(
  redis: Redis,
  request: FastifyRequest,
  reply: FastifyReply,
  content: unknown,
  make: () => Promise<string>,
): Promise<string> {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return make();
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_LENGTH) {
    throw new GlyphpressError('GP_REQUEST', {
      message: `Expected an Idempotency-Key of 1 to ${MAX_KEY_LENGTH} characters`,
      hint: 'Send a random one, such as a UUID, and the same one when you try again.',
      details: { param: 'Idempotency-Key' },
    });
  }
  const place = `${KEY_PREFIX}:once:${request.caller.tenant}:${sha256Hex(key)}`;
  const fingerprint = sha256Hex(JSON.stringify([request.routeOptions.url, content]));
  const running: Entry = { request: fingerprint, result: null };
  const isFirst = await redis.set(place, JSON.stringify(running), 'PX', RUNNING_MS, 'NX');
  if (isFirst === null) {
    const known = await redis.get(place);
    const entry = known === null ? running : (JSON.parse(known) as Entry);
    if (entry.request !== fingerprint) {
      throw new GlyphpressError('GP_IDEMPOTENCY_KEY', {
        message: 'This Idempotency-Key was used for another request',
        hint: 'Use a new key for a new request.',
        details: { param: 'Idempotency-Key' },
      });
    }
    if (entry.result === null) {
      throw new GlyphpressError('GP_IDEMPOTENCY_BUSY', {
        message: 'The request with this Idempotency-Key is still in progress',
        hint: 'Try again in a second.',
      });
    }
    void reply.header('idempotent-replayed', 'true');
    return entry.result;
  }
  try {
    const result = await make();
    const done: Entry = { request: fingerprint, result };
    await redis.set(place, JSON.stringify(done), 'PX', KEEP_MS);
    return result;
  } catch (error) {
    await redis.del(place).catch(() => {}); // it ends by itself
    throw error;
  }
}
