import { discoverRedisServer, type FoundRedisServer } from '#setup/discovery.mjs';

export type { FoundRedisServer };

export type RedisPing =
  | {
      ok: true;
      version: string;
      latencyMs: number;
      /** BullMQ loses jobs under any other policy than `noeviction`. Null when the server hides it. */
      evictionPolicy: string | null;
    }
  | { ok: false; problem: string };

/** The Redis or Valkey server that glyphpress can start itself, or null. */
export function findRedisServer(env: NodeJS.ProcessEnv = process.env): FoundRedisServer | null {
  return discoverRedisServer({ env }).found;
}

/**
 * Connect to a Redis once, without retries.
 *
 * @param url for example `redis://localhost:6379`
 * @param timeoutMs for the connection and for each command
 * @returns never throws: an unreachable or refusing server is an answer
 */
export async function pingRedis(url: string, timeoutMs = 3_000): Promise<RedisPing> {
  // Loaded here, so that looking for the binary stays cheap.
  const { Redis } = await import('ioredis');
  let client: InstanceType<typeof Redis>;
  let lastError: Error | undefined;
  try {
    client = new Redis(url, {
      lazyConnect: true,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
  } catch (error) {
    return { ok: false, problem: (error as Error).message };
  }
  // ioredis rejects with "Connection is closed."; the reason comes as an event.
  client.on('error', (error) => {
    lastError = error;
  });
  try {
    await client.connect();
    const startedMs = performance.now();
    await client.ping();
    const latencyMs = performance.now() - startedMs;
    const info = await client.info();
    return {
      ok: true,
      version: infoField(info, 'valkey_version') ?? infoField(info, 'redis_version') ?? 'unknown',
      latencyMs,
      evictionPolicy: infoField(info, 'maxmemory_policy'),
    };
  } catch (error) {
    const { message } = lastError ?? (error as Error);
    return { ok: false, problem: message || String((lastError as NodeJS.ErrnoException)?.code) };
  } finally {
    client.disconnect();
  }
}

function infoField(info: string, name: string): string | null {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? null;
}
