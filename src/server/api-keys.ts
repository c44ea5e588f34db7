/** API keys: a random secret that only its hash is kept of, a tenant, and what it may do. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import { isTenant } from '../queue/document-record.js';
import { KEY_PREFIX } from '../queue/key-prefix.js';

/** submit: hand in, cancel and delete documents. query: read and ask them. admin: all, and metrics. */
export const SCOPES = ['submit', 'query', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export interface ApiKey {
  id: string;
  tenant: string;
  scopes: Scope[];
  name: string | null;
  /** Null for what the service allows a key. */
  requestsPerMinute: number | null;
  createdAt: number;
  expiresAt: number | null;
  lastUsedAt: number | null;
}

interface StoredKey extends Omit<ApiKey, 'lastUsedAt'> {
  /** SHA-256 of the secret: it has 256 random bits, so nothing slower is needed. */
  secretHash: string;
}

const KEYS = `${KEY_PREFIX}:keys`;
const USED = `${KEY_PREFIX}:keys:used`;
const FORM = /^gp_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

/** Noted at most this often, so that a question does not cost a write. */
const USED_EVERY_MS = 60_000;

export class ApiKeys {
  readonly #usedAt = new Map<string, number>();

  constructor(private readonly redis: Redis) {}

  /** @returns also the key itself, which cannot be had again */
  async create(options: {
    tenant: string;
    scopes: readonly Scope[];
    name?: string;
    requestsPerMinute?: number;
    expiresAt?: number;
  }): Promise<ApiKey & { key: string }> {
    const { tenant, scopes, name = null, requestsPerMinute = null, expiresAt = null } = options;
    if (!isTenant(tenant)) {
      throw new GlyphpressError('GP_USAGE', {
        message: `"${tenant}" is not a valid tenant name`,
        hint: 'Use up to 63 of a-z, 0-9, - and _, a letter or digit first.',
      });
    }
    const id = randomBytes(8).toString('hex');
    const secret = randomBytes(32).toString('base64url');
    const stored: StoredKey = {
      id,
      tenant,
      scopes: [...scopes],
      name,
      requestsPerMinute,
      createdAt: Date.now(),
      expiresAt,
      secretHash: sha256(secret).toString('hex'),
    };
    await this.redis.hset(KEYS, id, JSON.stringify(stored));
    return { ...shown(stored, null), key: `gp_${id}_${secret}` };
  }

  async list(): Promise<ApiKey[]> {
    const [stored, used] = await Promise.all([this.redis.hgetall(KEYS), this.redis.hgetall(USED)]);
    return Object.values(stored)
      .map((text) => JSON.parse(text) as StoredKey)
      .map((key) => shown(key, used[key.id] === undefined ? null : Number(used[key.id])))
      .sort((a, b) => a.createdAt - b.createdAt);
  }

  /** @returns whether there was such a key */
  async revoke(id: string): Promise<boolean> {
    const removed = await this.redis.hdel(KEYS, id);
    await this.redis.hdel(USED, id);
    return removed === 1;
  }

  count(): Promise<number> {
    return this.redis.hlen(KEYS);
  }

  /** @returns null for anything but a key that is valid now */
  async verify(key: string): Promise<ApiKey | null> {
    const [, id, secret] = FORM.exec(key) ?? [];
    if (!id || !secret) return null;
    const text = await this.redis.hget(KEYS, id);
    if (text === null) return null;
    const stored = JSON.parse(text) as StoredKey;
    if (!timingSafeEqual(sha256(secret), Buffer.from(stored.secretHash, 'hex'))) return null;
    const now = Date.now();
    if (stored.expiresAt !== null && stored.expiresAt <= now) return null;
    if (now - (this.#usedAt.get(id) ?? 0) > USED_EVERY_MS) {
      this.#usedAt.set(id, now);
      void this.redis.hset(USED, id, String(now)).catch(() => {});
    }
    return shown(stored, now);
  }
}

function shown({ secretHash: _, ...key }: StoredKey, lastUsedAt: number | null): ApiKey {
  return { ...key, requestsPerMinute: key.requestsPerMinute ?? null, lastUsedAt };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
