import { describe, expect, it } from 'vitest';
import { Pressure, type PressureLimits } from '../../src/server/pressure.js';
import { testServer } from '../support/http.js';
import { words } from '../support/rendering.js';
import { cleanUpAtEnd, TINY_NAME, testRedis, until } from '../support/service.js';

const LIMITS: PressureLimits = {
  openRequests: 3,
  openRequestsPerTenant: 2,
  eventLoopDelayMs: 200,
  memoryBytes: 1e12,
};

const refusal = (scope: string) =>
  expect.objectContaining({ code: 'GP_BUSY', details: expect.objectContaining({ scope }) });

describe('pressure', () => {
  it('holds a tenant to its share, and all to the whole', () => {
    const pressure = new Pressure(LIMITS);
    const [first] = [pressure.enter('a'), pressure.enter('a')];
    expect(() => pressure.enter('a')).toThrow(refusal('tenant'));
    pressure.enter('b');
    expect(() => pressure.enter('c')).toThrow(refusal('total'));
    first();
    first(); // counts once
    expect(pressure.openRequests).toBe(2);
    pressure.enter('a');
    expect(Object.fromEntries(pressure.refused)).toEqual({ tenant: 1, total: 1 });
  });

  it('refuses while memory is short or the event loop is late, and takes work again', async () => {
    let rss = 0;
    const pressure = new Pressure({ ...LIMITS, memoryBytes: 100 }, () => rss);
    rss = 101;
    const short = () => {
      try {
        pressure.enter('a')();
        return null;
      } catch (error) {
        return (error as { details: { scope: string } }).details.scope;
      }
    };
    await until(() => short() === 'memory', 3_000);
    rss = 50;
    await until(() => short() === null, 3_000);
    const end = Date.now() + 1_800;
    while (Date.now() < end); // nothing else gets its turn
    await until(() => short() === 'event-loop', 3_000);
    await until(() => short() === null, 3_000);
  });
});

describe('a service with all hands full', () => {
  const cleanUp = cleanUpAtEnd();

  it('refuses what makes work with Retry-After, answers what only looks, and recovers', async () => {
    const redis = await testRedis(cleanUp);
    const limits = { openRequests: 2, openRequestsPerTenant: 2 };
    const server = await testServer(redis, cleanUp, { limits }, null);
    const { id } = await server.submit(words(20));
    // Without a worker it stays where it is; two questions wait for it.
    const leaving = new AbortController();
    const question = (wait_seconds: number) => ({
      model: TINY_NAME,
      messages: [{ role: 'user', content: 'Which gate?' }],
      glyphpress: { document_ids: [id], wait_seconds },
    });
    const waiting = [1, 2].map(() =>
      server
        .fetch('/v1/chat/completions', { json: question(60), signal: leaving.signal })
        .catch((error: Error) => error.name),
    );
    const status = async () =>
      (await server.fetch('/v1/chat/completions', { json: question(0) })).status;
    await until(async () => (await status()) === 429);
    const refused = await server.fetch('/v1/chat/completions', { json: question(0) });
    expect(refused.headers.get('retry-after')).toBe('2');
    expect(await refused.json()).toMatchObject({
      error: { type: 'rate_limit_error', code: 'GP_BUSY' },
    });
    expect((await server.fetch('/v1/documents')).status).toBe(200);
    expect(await (await server.fetch('/metrics')).text()).toMatch(
      /requests_refused\{reason="tenant"\} [1-9]/,
    );
    expect((await server.fetch(`/v1/documents/${id}/cancel`, { method: 'POST' })).status).toBe(200);
    expect(await Promise.all(waiting.map(async (one) => ((await one) as Response).status))).toEqual(
      [422, 422],
    );
    expect(await status()).toBe(422);
  });
});
