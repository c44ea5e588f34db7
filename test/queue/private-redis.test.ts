import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { privateRedisSocket, startPrivateRedis } from '../../src/environment/private-redis.js';
import { pingRedis } from '../../src/environment/redis.js';
import { connectRedis } from '../../src/queue/connection.js';
import { temporaryFolder } from '../support/folders.js';
import { ROOT } from '../support/repository.js';
import { until } from '../support/service.js';

async function start(folder: string) {
  const server = await startPrivateRedis(folder);
  onTestFinished(() => server.stop());
  const redis = await connectRedis(server.url, 'worker');
  onTestFinished(() => redis.disconnect());
  return { server, redis };
}

async function pidOf(url: string): Promise<number> {
  const redis = await connectRedis(url, 'request');
  try {
    return Number(/process_id:(\d+)/.exec(await redis.info('server'))![1]);
  } finally {
    redis.disconnect();
  }
}

function lives(pid: number): boolean {
  try {
    // A process that ended and is not yet waited for is gone all the same.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('the private Redis', () => {
  it('loses nothing, listens nowhere but on a socket of its user, and ends in order', async () => {
    const folder = temporaryFolder();
    const { server, redis } = await start(folder);
    const config = async (name: string) => ((await redis.config('GET', name)) as string[])[1];
    expect(await config('maxmemory-policy')).toBe('noeviction');
    expect(await config('appendonly')).toBe('yes');
    expect(await config('port')).toBe('0');
    expect(statSync(path.join(folder, 'redis')).mode & 0o077).toBe(0);
    const pid = await pidOf(server.url);
    await redis.set('kept', 'yes');
    redis.disconnect();
    await server.stop();
    expect(lives(pid)).toBe(false);
    const again = await start(folder);
    expect(await again.redis.get('kept')).toBe('yes');
  });

  it('is started again when it dies, with what it held', async () => {
    const { server, redis } = await start(temporaryFolder());
    await redis.set('kept', 'yes');
    await redis.call('WAITAOF', '1', '0', '1000').catch(() => {}); // newer servers only
    const pid = await pidOf(server.url);
    await new Promise((resolve) => setTimeout(resolve, 1_100)); // everysec
    process.kill(pid, 'SIGKILL');
    expect(await redis.get('kept')).toBe('yes');
    expect(await pidOf(server.url)).not.toBe(pid);
  });

  it('belongs to one glyphpress at a time', async () => {
    const folder = temporaryFolder();
    await start(folder);
    await expect(startPrivateRedis(folder)).rejects.toMatchObject({ code: 'GP_SERVICE' });
  });

  it('says why it does not start', async () => {
    const env = { ...process.env, GLYPHPRESS_REDIS_SERVER: '/nonexistent/redis-server' };
    await expect(startPrivateRedis(temporaryFolder(), env)).rejects.toMatchObject({
      code: 'GP_REDIS_NOT_FOUND',
    });
  });

  it('finds a short name for its socket in a deep folder', () => {
    const deep = path.join('/', ...Array.from({ length: 30 }, () => 'folder'));
    expect(Buffer.byteLength(privateRedisSocket(deep))).toBeLessThan(100);
    expect(privateRedisSocket(deep)).not.toBe(privateRedisSocket(`${deep}2`));
  });

  // Processes are found in /proc.
  it.skipIf(!existsSync('/proc/self/status'))(
    'does not outlive a parent that is killed',
    async () => {
      const folder = temporaryFolder();
      const module = path.join(ROOT, 'dist/src/environment/private-redis.js');
      const code = `import(${JSON.stringify(module)}).then(async ({ startPrivateRedis }) => {
      await startPrivateRedis(${JSON.stringify(folder)});
      console.log('ready');
      setInterval(() => {}, 1000);
    })`;
      const parent = spawn(process.execPath, ['-e', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(parent.stdout, 'data');
      const socket = privateRedisSocket(folder);
      const pid = await pidOf(socket);
      expect(lives(pid)).toBe(true);
      parent.kill('SIGKILL');
      await until(() => !lives(pid), 10_000, 'the end of Redis');
      expect((await pingRedis(socket, 500)).ok).toBe(false);
    },
  );
});
