import { request as httpRequest } from 'node:http';
import { Writable } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectRedis } from '../../src/queue/connection.js';
import { ApiKeys } from '../../src/server/api-keys.js';
import { parseTrustedProxies } from '../../src/server/trusted-proxies.js';
import { testServer } from '../support/http.js';
import { cleanUpAtEnd, type TestRedis, testRedis } from '../support/service.js';

describe('--trust-proxy', () => {
  it('takes addresses and networks, of both kinds, and nothing else for them', () => {
    const trusted = parseTrustedProxies('10.0.0.0/8, 192.0.2.7,2001:db8::/32');
    expect(
      ['10.255.0.1', '192.0.2.7', '2001:db8:9::1', '::ffff:10.0.0.1'].map((it) => trusted(it, 0)),
    ).toEqual([true, true, true, true]);
    expect(
      ['11.0.0.1', '192.0.2.8', '2001:db9::1', '', 'unknown', '10.0.0.1:80', '::1'].map((it) =>
        trusted(it, 0),
      ),
    ).toEqual([false, false, false, false, false, false, false]);
  });

  it('takes a number of proxies', () => {
    const trusted = parseTrustedProxies('2');
    expect([0, 1, 2].map((hop) => trusted('192.0.2.1', hop))).toEqual([true, true, false]);
  });

  it.each([
    '',
    '0',
    '17',
    'yes',
    'true',
    '10.0.0.0/33',
    '::/129',
    '10.0.0',
    'proxy.local',
    '1,2',
    '*',
  ])('does not take %j', (text) => {
    expect(() => parseTrustedProxies(text)).toThrow(
      expect.objectContaining({ code: 'GP_USAGE', hint: expect.stringContaining('10.0.0.0/8') }),
    );
  });
});

const cleanUp = cleanUpAtEnd();
let redis: TestRedis;
const TRIES = 20;

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  const connection = await connectRedis(redis.url, 'worker');
  cleanUp.push(async () => connection.disconnect());
  await new ApiKeys(connection).create({ tenant: 'acme', scopes: ['query'] });
});

async function serverBehind(trustProxy: string | null) {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      for (const line of chunk.toString('utf8').trim().split('\n')) lines.push(JSON.parse(line));
      done();
    },
  });
  const server = await testServer(
    redis,
    cleanUp,
    {
      requireKey: true,
      logger: { level: 'info', stream },
      ...(trustProxy !== null && { trustProxy: parseTrustedProxies(trustProxy) }),
    },
    null,
  );
  /** A wrong key, from wherever the headers say; another local address where one is given. */
  const wrongKey = (forwarded: string | null, from?: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = {
        authorization: 'Bearer gp_wrong',
        ...(forwarded !== null && { 'x-forwarded-for': forwarded, 'x-forwarded-proto': 'https' }),
      };
      const options = { headers, ...(from !== undefined && { localAddress: from }) };
      httpRequest(`${server.url}/v1/models`, options, (reply) => {
        reply.resume();
        reply.on('end', () => resolve(reply.statusCode!));
      })
        .on('error', reject)
        .end();
    });
  const logged = () =>
    lines.flatMap(({ req }) => (req ? [req as Record<string, string>] : [])).at(-1)!;
  return { wrongKey, logged };
}

const repeat = async (times: number, work: (n: number) => Promise<number>) => {
  const all: number[] = [];
  for (let n = 0; n < times; n++) all.push(await work(n));
  return all;
};

describe('keys that are not valid, sent through a proxy', () => {
  it('count for the client that a trusted proxy names, and not for the proxy', async () => {
    const { wrongKey, logged } = await serverBehind('127.0.0.0/8');
    expect(await repeat(TRIES, () => wrongKey('198.51.100.1'))).toEqual(Array(TRIES).fill(401));
    expect(await wrongKey('198.51.100.1')).toBe(429);
    // The port of a connection and the other way to write an address make no other client.
    expect(await wrongKey('198.51.100.1:5001')).toBe(429);
    expect(await wrongKey('::ffff:198.51.100.1')).toBe(429);
    expect(await wrongKey('198.51.100.2')).toBe(401);
    expect(await wrongKey(null)).toBe(401);
    await wrongKey('198.51.100.3, 127.0.0.9');
    expect(logged()).toMatchObject({
      remoteAddress: '198.51.100.3',
      proxy: '127.0.0.1',
      scheme: 'https',
    });
  });

  it('count for one client, whatever it writes before what the proxy adds', async () => {
    const { wrongKey } = await serverBehind('127.0.0.1');
    const spoofed = (n: number) => wrongKey(`203.0.113.${n}, 127.0.0.1, 198.51.100.9`);
    expect(await repeat(TRIES, spoofed)).toEqual(Array(TRIES).fill(401));
    expect(await spoofed(99)).toBe(429);
  });

  it('count for the peer when it is not trusted, whatever it says', async () => {
    const { wrongKey, logged } = await serverBehind('127.0.0.2,10.0.0.0/8');
    const spoofed = (n: number) => wrongKey(`203.0.113.${n}`);
    expect(await repeat(TRIES, spoofed)).toEqual(Array(TRIES).fill(401));
    expect(await spoofed(99)).toBe(429);
    expect(logged()).toMatchObject({ remoteAddress: '127.0.0.1', scheme: 'http' });
    expect(logged()).not.toHaveProperty('proxy');
    // The same words from the proxy itself are believed.
    expect(await wrongKey('203.0.113.99', '127.0.0.2')).toBe(401);
    expect(logged()).toMatchObject({ remoteAddress: '203.0.113.99', scheme: 'https' });
  });

  it('count for the peer where no proxy is trusted', async () => {
    const { wrongKey, logged } = await serverBehind(null);
    await repeat(TRIES, (n) => wrongKey(`203.0.113.${n}`));
    expect(await wrongKey('203.0.113.99')).toBe(429);
    expect(logged()).toMatchObject({ remoteAddress: '127.0.0.1', scheme: 'http' });
  });

  it('count for the last entry but so many, where a number of proxies is given', async () => {
    const { wrongKey, logged } = await serverBehind('2');
    const chain = (n: number) => wrongKey(`203.0.113.${n}, 198.51.100.4, 10.9.9.9`);
    await repeat(TRIES, chain);
    expect(await chain(99)).toBe(429);
    expect(logged().remoteAddress).toBe('198.51.100.4');
  });
});

describe('a service without keys', () => {
  it.each([
    ['x-forwarded-for', '198.51.100.1'],
    ['forwarded', 'for=198.51.100.1'],
    ['via', '1.1 proxy'],
  ])('answers no proxy, which is known by its header %s', async (name, value) => {
    const server = await testServer(redis, cleanUp, {}, null);
    const reply = await server.fetch('/v1/models', { headers: { [name]: value } });
    expect(reply.status).toBe(403);
    expect(await reply.text()).toContain('answers no proxy');
    expect((await server.fetch('/v1/models')).status).toBe(200);
  });

  it('is none where a proxy is trusted', async () => {
    const trustProxy = parseTrustedProxies('127.0.0.1');
    const server = await testServer(redis, cleanUp, { trustProxy }, null);
    expect((await server.fetch('/v1/models')).status).toBe(401);
  });
});
