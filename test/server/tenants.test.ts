import { beforeAll, describe, expect, it, vi } from 'vitest';
import { connectRedis } from '../../src/queue/connection.js';
import { ApiKeys, type Scope } from '../../src/server/api-keys.js';
import { startService } from '../../src/server/service.js';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import {
  cleanUpAtEnd,
  type TestRedis,
  TINY_NAME,
  testRedis,
  tinyModels,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();
let redis: TestRedis;
let keys: ApiKeys;
let server: TestServer;
const keyOf: Record<string, string> = {};
let theirs: DocumentJson;

const newKey = async (name: string, tenant: string, scopes: Scope[], expiresAt?: number) => {
  const { key } = await keys.create({ tenant, scopes, ...(expiresAt && { expiresAt }) });
  keyOf[name] = key;
};

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  const connection = await connectRedis(redis.url, 'worker');
  cleanUp.push(async () => connection.disconnect());
  keys = new ApiKeys(connection);
  await newKey('acme', 'acme', ['submit', 'query']);
  await newKey('other', 'other', ['submit', 'query']);
  await newKey('submitter', 'acme', ['submit']);
  await newKey('reader', 'acme', ['query']);
  await newKey('admin', 'acme', ['admin']);
  await newKey('expired', 'acme', ['admin'], Date.now() - 1);
  server = await testServer(redis, cleanUp, { requireKey: true });
  theirs = await server.submit('The north gate is shut.', {}, keyOf.acme);
  await server.finished(theirs.id, keyOf.acme);
});

/** Every route that takes the id of a document, with a request that works for its owner. */
const routes = (id: string): [method: string, path: string, json?: unknown][] => [
  ['GET', `/v1/documents/${id}`],
  ['GET', `/v1/documents/${id}/report`],
  ['GET', `/v1/documents/${id}/events`],
  ['GET', `/v1/documents/${id}/pages/1.png`],
  ['GET', `/v1/documents/${id}/spans`],
  ['GET', `/v1/documents/${id}/cells`],
  ['GET', `/v1/documents/${id}/text`],
  ['POST', `/v1/documents/${id}/cancel`],
  ['GET', `/v1/files/${id.replace('doc_', 'file-')}`],
  ['GET', `/v1/files/${id.replace('doc_', 'file-')}/content`],
  [
    'POST',
    '/v1/chat/completions',
    {
      model: TINY_NAME,
      max_tokens: 1,
      messages: [{ role: 'user', content: 'Which gate?' }],
      glyphpress: { document_ids: [id] },
    },
  ],
  ['DELETE', `/v1/files/${id.replace('doc_', 'file-')}`],
  ['DELETE', `/v1/documents/${id}`],
];

const call = async (method: string, path: string, json: unknown, key?: string) => {
  const response = await server.fetch(path, {
    method,
    ...(json !== undefined && { json }),
    ...(key !== undefined && { key }),
  });
  return { status: response.status, body: await response.text() };
};

describe('a tenant', () => {
  it.each(
    routes('doc_000000000000000000000000').map(
      ([method, path], index) => [method, path, index] as const,
    ),
  )("finds nothing of another's: %s %s", async (_method, _path, index) => {
    const [method, path, json] = routes(theirs.id)[index]!;
    const other = await call(method, path, json, keyOf.other);
    expect(other.status).toBe(404);
    // Not told apart from a document that never was.
    const [, nowhere, ask] = routes('doc_000000000000000000000000')[index]!;
    const none = await call(method, nowhere, ask, keyOf.other);
    const same = (body: string) =>
      body.replace(/req_[0-9a-f-]+/g, 'R').replace(/(doc_|file-)[0-9a-f]{24}/g, 'ID');
    expect([none.status, same(none.body)]).toEqual([other.status, same(other.body)]);
  });

  it('still has what is its own', async () => {
    const own = await server.fetch(`/v1/documents/${theirs.id}`, { key: keyOf.acme! });
    expect(await own.json()).toMatchObject({ id: theirs.id, status: 'completed' });
  });

  it('lists its own and learns nothing from equal bytes', async () => {
    const list = async (key: string) =>
      ((await (await server.fetch('/v1/documents', { key })).json()).data as DocumentJson[]).length;
    expect([await list(keyOf.acme!), await list(keyOf.other!)]).toEqual([1, 0]);
    const same = await server.submit('The north gate is shut.', {}, keyOf.other);
    expect(same.status).not.toBe('completed');
    expect(same.id).not.toBe(theirs.id);
    expect(await server.finished(same.id, keyOf.other)).toMatchObject({ status: 'completed' });
  });

  it("finds no answer of another's, and none to go on from", async () => {
    const ask = { model: TINY_NAME, max_output_tokens: 1, input: 'Which gate?' };
    const made = await server.fetch('/v1/responses', {
      json: { ...ask, background: true, glyphpress: { document_ids: [theirs.id] } },
      key: keyOf.acme!,
    });
    const { id } = await made.json();
    expect(made.status).toBe(200);
    const path = `/v1/responses/${id}`;
    const tried: [string, string, unknown?][] = [
      ['GET', path],
      ['GET', `${path}?stream=true`],
      ['GET', `${path}/input_items`],
      ['POST', `${path}/cancel`],
      ['POST', '/v1/responses', { ...ask, previous_response_id: id }],
      ['POST', '/v1/responses', { ...ask, glyphpress: { document_ids: [theirs.id] } }],
      ['DELETE', path],
    ];
    for (const [method, path, json] of tried) {
      const { status, body } = await call(method, path, json, keyOf.other);
      expect([method, path, status, JSON.parse(body).error.code]).toEqual([
        method,
        path,
        404,
        expect.stringMatching(/^GP_(RESPONSE|DOCUMENT)_UNKNOWN$/),
      ]);
    }
    expect((await call('GET', path, undefined, keyOf.acme)).status).toBe(200);
  });

  it('is not chosen by a header or a body', async () => {
    const response = await server.fetch(`/v1/documents/${theirs.id}`, {
      key: keyOf.other!,
      headers: { 'x-tenant': 'acme', 'openai-organization': 'acme' },
    });
    expect(response.status).toBe(404);
  });

  it('has idempotency keys of its own', async () => {
    const send = async (key: string) =>
      (await (
        await server.fetch('/v1/documents', {
          json: { text: 'one', model: TINY_NAME },
          key,
          headers: { 'idempotency-key': 'same' },
        })
      ).json()) as DocumentJson;
    expect((await send(keyOf.acme!)).id).not.toBe((await send(keyOf.other!)).id);
  });
});

describe('a key', () => {
  it.each([
    ['none', undefined],
    ['a made-up one', 'gp_0000000000000000_0000000000000000000000000000000000000000000'],
    ['another kind', 'sk-proj-1234'],
  ])('that is %s opens nothing', async (_, key) => {
    for (const path of ['/v1/models', '/v1/documents', '/metrics', '/v1/limits']) {
      const response = await server.fetch(path, key === undefined ? {} : { key });
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    }
  });

  it('with a wrong secret, expired or revoked opens nothing', async () => {
    const status = async (key: string) => (await server.fetch('/v1/models', { key })).status;
    expect(
      await status(`${keyOf.acme!.slice(0, -1)}${keyOf.acme!.endsWith('A') ? 'B' : 'A'}`),
    ).toBe(401);
    expect(await status(keyOf.expired!)).toBe(401);
    const extra = await keys.create({ tenant: 'acme', scopes: ['query'] });
    expect(await status(extra.key)).toBe(200);
    expect(await keys.revoke(extra.id)).toBe(true);
    expect(await status(extra.key)).toBe(401);
  });

  it('does what its scopes say', async () => {
    const all = routes(theirs.id);
    const remove = all.find(([method]) => method === 'DELETE')!;
    const ask = all.find(([, path]) => path === '/v1/chat/completions')!;
    const status = async (name: string, [method, path, json]: (typeof all)[number]) =>
      (await call(method, path, json, keyOf[name])).status;
    expect(await status('reader', remove)).toBe(403);
    expect(await status('submitter', ask)).toBe(403);
    expect(await status('reader', ask)).toBe(200);
    expect(await status('reader', ['GET', '/metrics'])).toBe(403);
    expect(await status('admin', ['GET', '/metrics'])).toBe(200);
    expect(await status('admin', ask)).toBe(200);
  });

  it('makes so many requests a minute, and is told when to come back', async () => {
    const { key, id } = await keys.create({
      tenant: 'acme',
      scopes: ['query'],
      requestsPerMinute: 3,
    });
    const models = () => server.fetch('/v1/models', { key });
    const limits = async () => (await (await server.fetch('/v1/limits', { key })).json()).requests;
    expect(await limits()).toEqual({ per_minute: 3, remaining: 3, reset_seconds: 0 });
    const left: (string | null)[] = [];
    for (let n = 0; n < 3; n++) left.push((await models()).headers.get('ratelimit'));
    expect(left.map((header) => header?.replace(/t=\d+/, 't'))).toEqual([
      '"requests";r=2;t',
      '"requests";r=1;t',
      '"requests";r=0;t',
    ]);
    const refused = await models();
    const { headers } = refused;
    expect([refused.status, (await refused.json()).error]).toMatchObject([
      429,
      { code: 'GP_RATE_LIMITED', type: 'rate_limit_error' },
    ]);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(10);
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(20);
    expect(headers.get('ratelimit-policy')).toBe('"requests";q=3;w=60');
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('0');
    // Asking what is left costs nothing, and another key has its own.
    expect(await limits()).toMatchObject({ remaining: 0 });
    expect((await server.fetch('/v1/models', { key: keyOf.acme! })).status).toBe(200);
    expect(await redis.redis.pttl(`gp:rate:${id}`)).toBeGreaterThan(0);
  });

  it('is kept as a hash only', async () => {
    const everything = JSON.stringify(await redis.redis.hgetall('gp:keys'));
    for (const key of Object.values(keyOf)) expect(everything).not.toContain(key.slice(20));
    const listed = await keys.list();
    expect(JSON.stringify(listed)).not.toContain('secret');
    // When a key was used is noted behind the answer.
    await vi.waitFor(async () => {
      const admin = (await keys.list()).find(({ id }) => keyOf.admin!.startsWith(`gp_${id}_`))!;
      expect(admin.lastUsedAt).toBeGreaterThan(0);
    }, 10_000);
  });
});

describe('the routes', () => {
  it('each say who may use them', () => {
    const { app } = server.service;
    const open: string[] = [];
    for (const [path, methods] of Object.entries(
      (app.swagger() as { paths: Record<string, Record<string, unknown>> }).paths,
    )) {
      for (const method of Object.keys(methods)) open.push(`${method.toUpperCase()} ${path}`);
    }
    expect(open.length).toBeGreaterThan(15);
    return Promise.all(
      open.map(async (route) => {
        const [method, path] = route.split(' ') as [string, string];
        const url = path.replace('{page}', '1').replace(/\{\w+\}/g, 'x');
        const { status } = await call(method, url, undefined);
        const isPublic = ['/livez', '/readyz', '/health', '/version'].includes(path);
        expect([route, status === 401]).toEqual([route, !isPublic]);
      }),
    );
  });
});

describe('a service that others can reach', () => {
  it('does not start without a key', async () => {
    const empty = await testRedis(cleanUp);
    const start = startService({
      redisUrl: empty.url,
      dataFolder: empty.dataFolder,
      models: tinyModels(),
      host: '0.0.0.0',
      port: 0,
      requireKey: false,
      version: '0',
    });
    await expect(start).rejects.toMatchObject({ code: 'GP_SERVICE' });
  });
});
