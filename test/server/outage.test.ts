import { describe, expect, it } from 'vitest';
import { testServer } from '../support/http.js';
import { words } from '../support/rendering.js';
import { cleanUpAtEnd, TINY_NAME, testRedis, until } from '../support/service.js';

const cleanUp = cleanUpAtEnd();

describe('a service whose Redis dies', () => {
  it('says so while it is away, and loses nothing', async () => {
    const redis = await testRedis(cleanUp);
    const server = await testServer(redis, cleanUp, {}, { lockMs: 2_000 });
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push((await server.submit(words(400, n + 1))).id);
    const pid = Number(/process_id:(\d+)/.exec(await redis.redis.info('server'))![1]);
    await new Promise((resolve) => setTimeout(resolve, 1_100)); // what is older is on the disk
    process.kill(pid, 'SIGKILL');

    const answers: number[] = [];
    await until(async () => {
      const answer = await server.fetch('/v1/documents?limit=1');
      answers.push(answer.status);
      if (answer.status === 503) {
        expect(answer.headers.get('retry-after')).toBe('2');
        expect(await answer.json()).toMatchObject({ code: 'GP_REDIS_UNAVAILABLE' });
      }
      return answer.status === 200;
    });
    expect(answers.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    expect((await server.fetch('/livez')).status).toBe(200);

    for (const id of ids)
      await until(
        async () =>
          (await (await server.fetch(`/v1/documents/${id}`)).json()).status === 'completed',
        30_000,
        id,
      );
  }, 60_000);
});

describe('a service whose Redis hangs', () => {
  it('is told to be not ready within two seconds, and ready again after it', async () => {
    const redis = await testRedis(cleanUp);
    const server = await testServer(redis, cleanUp, {}, null);
    expect((await server.fetch('/readyz')).status).toBe(200);
    const pid = Number(/process_id:(\d+)/.exec(await redis.redis.info('server'))![1]);
    // What was found is told again for two seconds.
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    process.kill(pid, 'SIGSTOP');
    try {
      const started = performance.now();
      const answer = await server.fetch('/readyz');
      expect(performance.now() - started).toBeLessThan(2_000);
      expect(answer.status).toBe(503);
      expect((await answer.json()).checks.redis).toBe('does not answer');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until(async () => (await server.fetch('/readyz')).status === 200, 10_000, 'readiness');
  }, 60_000);
});

describe('a service that is told to stop', () => {
  it('ends event streams at once and answers with their last words', async () => {
    const redis = await testRedis(cleanUp);
    const server = await testServer(redis, cleanUp);
    const { id } = await server.submit(words(60));
    await server.finished(id);
    const waiting = await server.submit(words(20_000, 2));
    const events = await server.fetch(`/v1/documents/${waiting.id}/events`);
    const answer = await server.fetch('/v1/chat/completions', {
      json: {
        model: TINY_NAME,
        stream: true,
        messages: [{ role: 'user', content: 'Which gate?' }],
        // Not finished before the grace is over.
        glyphpress: { document_ids: [waiting.id] },
      },
    });
    const stopped = server.service.close(300);
    expect(await events.text()).toMatch(/^event: queued$/m);
    expect(await answer.text()).toContain('the service is stopping');
    await stopped;
    await expect(server.fetch('/livez')).rejects.toThrow();
  });
});
