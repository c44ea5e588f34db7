/** Whatever comes in, on every route of the OpenAPI document: a typed error, no 5xx, nothing of others. */

import http from 'node:http';
import net from 'node:net';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE } from '../../src/errors.js';
import { connectRedis } from '../../src/queue/connection.js';
import { ApiKeys } from '../../src/server/api-keys.js';
import { type TestServer, testServer } from '../support/http.js';
import {
  type JsonSchema,
  jsonFor,
  ODD_STRINGS,
  oddString,
} from '../support/json-schema-arbitrary.js';
import {
  cleanUpAtEnd,
  SMALL_PAGES,
  startTestWorkers,
  type TestRedis,
  TINY_NAME,
  testRedis,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const CANARY = 'CANARY-5f1e';
const SEED = 20_260_801;
/** More of them: GLYPHPRESS_FUZZ_RUNS=500 npx vitest run test/server/fuzz.test.ts */
const RUNS = Number(process.env.GLYPHPRESS_FUZZ_RUNS ?? 12);
const MB = 1024 ** 2;
let redis: TestRedis;
let server: TestServer;
let log = '';
const keys = { own: '', theirs: '' };
const ids = { own: '', theirs: '', theirResponse: '', theirWebhook: '' };

interface Operation {
  method: string;
  path: string;
  body: JsonSchema | null;
  query: { name: string; schema: JsonSchema }[];
}

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  const connection = await connectRedis(redis.url, 'worker');
  cleanUp.push(async () => connection.disconnect());
  const store = new ApiKeys(connection);
  const key = async (tenant: string) =>
    (
      await store.create({
        tenant,
        scopes: ['submit', 'query', 'admin'],
        requestsPerMinute: 1_000_000,
      })
    ).key;
  keys.own = await key('fuzzer');
  keys.theirs = await key('victim');
  const stream = new Writable({
    write(chunk, _, done) {
      log += chunk;
      done();
    },
  });
  server = await testServer(
    redis,
    cleanUp,
    {
      requireKey: true,
      limits: { documentBytes: 2 * MB, jsonBytes: MB, perTenant: 40, waitMs: 50 },
      logger: { level: 'debug', stream } as never,
    },
    null,
  );
  const workers = await startTestWorkers(redis);
  ids.own = (await server.submit('The north gate is shut.', {}, keys.own)).id;
  ids.theirs = (
    await server.submit(`The code is ${CANARY}.`, { filename: CANARY }, keys.theirs)
  ).id;
  await server.finished(ids.own, keys.own);
  await server.finished(ids.theirs, keys.theirs);
  // What is handed in from here on stays in the queue.
  await workers.close(0);
  const made = async (path: string, json: object) =>
    (await (await server.fetch(path, { json, key: keys.theirs })).json()) as { id: string };
  const { id } = await made('/v1/responses', {
    model: TINY_NAME,
    input: `Is it ${CANARY}?`,
    max_output_tokens: 2,
    glyphpress: { document_ids: [ids.theirs] },
  });
  ids.theirResponse = id;
  ids.theirWebhook = (await made('/v1/webhooks', { url: `https://${CANARY}.example/` })).id;
});

function operations(): Operation[] {
  type Shown = {
    requestBody?: { content: Record<string, { schema: JsonSchema }> };
    parameters?: { in: string; name: string; schema: JsonSchema }[];
  };
  const { paths } = server.service.app.swagger() as unknown as {
    paths: Record<string, Record<string, Shown>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody, parameters = [] }]) => ({
      method: method.toUpperCase(),
      path,
      body: requestBody?.content['application/json']?.schema ?? null,
      query: parameters.filter((one) => one.in === 'query'),
    })),
  );
}

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
cleanUp.push(async () => agent.destroy());

/** As it is written: fetch would put paths right. Streams are read for a moment only. */
function send(
  method: string,
  path: string,
  body: string | null,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const request = http.request({
      agent,
      hostname,
      port,
      method,
      path,
      headers: {
        authorization: `Bearer ${keys.own}`,
        ...(body !== null && {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
        }),
        ...headers,
      },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      const { statusCode: status, headers } = response;
      const end = () => resolve({ status: status!, headers, text });
      const enough = setTimeout(() => request.destroy(), 500);
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('close', () => {
        clearTimeout(enough);
        end();
      });
      response.on('error', end);
    });
    request.end(body ?? undefined);
  });
}

const TYPED = new Set([...Object.keys(ERROR_CATALOGUE)]);

/** What every answer owes, whatever was asked. */
function check({ status, headers, text }: Answer): void {
  expect(text).not.toContain(CANARY);
  expect(headers['x-request-id']).toMatch(/^[\w-]{1,64}$/);
  expect(headers['x-injected']).toBeUndefined();
  if (status < 400) return;
  const body = JSON.parse(text);
  const code = body.error?.code ?? body.code;
  expect(TYPED).toContain(code);
  // A document that is not compressed yet is no fault, and comes with the time to ask again.
  if (status >= 500) expect([status, code]).toEqual([503, 'GP_DOCUMENT_PENDING']);
  if (status === 429 || status === 503) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  expect(text).not.toMatch(/node_modules|\.ts:\d|\.js:\d|at Object\./);
}

/** JSON in which some object has a `__proto__` of its own, which JSON.stringify cannot say. */
const poisoned = (json: string) => json.replace('{', '{"__proto__":{"polluted":true},');

/** What UTF-8 cannot say becomes U+FFFD, as in any client. */
const wellFormed = (text: string) => Buffer.from(text).toString();

const pathId = fc.oneof(
  fc.constantFrom('own', 'theirs', 'theirResponse', 'theirWebhook'),
  fc.constantFrom(...ODD_STRINGS),
  fc.string({ maxLength: 30 }),
);

/** Percent-encoded as a whole, or as it is where that is a path at all. */
const inPath = fc.tuple(pathId, fc.boolean()).map(([id, encoded]) => {
  const value = Object.hasOwn(ids, id) ? ids[id as keyof typeof ids] : id;
  return encoded || !/^[!-~]+$/.test(value) || /[#?]/.test(value)
    ? encodeURIComponent(wellFormed(value))
    : value;
});

const known = () => {
  const documents = [ids.own, ids.theirs, 'doc_000000000000000000000000'];
  return {
    model: [TINY_NAME],
    render: [SMALL_PAGES, 'reader'],
    document_ids: documents.map((id) => [id]),
    file_id: documents.map((id) => id.replace('doc_', 'file-')),
    previous_response_id: [ids.theirResponse],
    messages: [[{ role: 'user', content: 'Which gate?' }]],
    input: ['Which gate?'],
    max_tokens: [1],
    max_output_tokens: [1],
    wait_seconds: [0],
    text: ['A gate.'],
  };
};

describe('every route', () => {
  it('answers anything with what it documents', async () => {
    const all = operations();
    expect(all.length).toBeGreaterThan(35);
    const found: string[] = [];
    for (const { method, path, body, query } of all) {
      const places = path.split(/\{\w+\}/);
      const request = fc.record({
        ids: fc.tuple(...places.slice(1).map(() => inPath)),
        query: fc.record(
          Object.fromEntries(query.map(({ name, schema }) => [name, jsonFor(schema, known())])),
          { requiredKeys: [] },
        ),
        body: method === 'GET' ? fc.constant(undefined) : fc.option(jsonFor(body ?? {}, known())),
        poison: fc.boolean(),
        broken: fc.integer({ min: 0, max: 9 }),
        type: fc.constantFrom('application/json', 'text/plain', 'multipart/form-data', 'x/y', ''),
      });
      await fc
        .assert(
          fc.asyncProperty(request, async (given) => {
            const address = places.reduce((left, right, at) => left + given.ids[at - 1] + right);
            const search = Object.entries(given.query)
              .map(([name, value]) => `${name}=${encodeURIComponent(wellFormed(String(value)))}`)
              .join('&');
            let json = given.body == null ? null : (JSON.stringify(given.body) ?? null);
            if (json !== null && given.poison) json = poisoned(json);
            if (json !== null && given.broken === 0) json = json.slice(0, -1);
            const type = given.broken > 6 ? given.type : 'application/json';
            const headers: Record<string, string> = {
              ...(json !== null && { 'content-type': type || 'nonsense' }),
            };
            check(await send(method, search ? `${address}?${search}` : address, json, headers));
          }),
          { numRuns: RUNS, seed: SEED },
        )
        .catch((error) => {
          found.push(`${method} ${path}: ${error.message.slice(0, 600)} ${error.cause?.message}`);
        });
    }
    expect(found).toEqual([]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('takes odd headers', async () => {
    const names = ['idempotency-key', 'x-request-id', 'last-event-id', 'origin', 'accept', 'range'];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names, 'authorization', 'content-type', 'x-forwarded-for', 'cookie'),
        oddString.map((text) => text.replace(/[^\t -~]/g, '').slice(0, 2_000)),
        fc.constantFrom(
          `/v1/documents/${ids.own}`,
          `/v1/documents/${ids.own}/events`,
          '/v1/models',
        ),
        async (name, value, path) => check(await send('GET', path, null, { [name]: value })),
      ),
      { numRuns: 60, seed: SEED },
    );
  });

  it('leaves others what is theirs', async () => {
    const read = async (path: string) => (await server.fetch(path, { key: keys.theirs })).json();
    expect(await read(`/v1/documents/${ids.theirs}`)).toMatchObject({ status: 'completed' });
    expect(await read(`/v1/responses/${ids.theirResponse}`)).toMatchObject({ object: 'response' });
    expect(await read(`/v1/webhooks/${ids.theirWebhook}`)).toMatchObject({ status: 'enabled' });
  });
});

describe('a connection', () => {
  /** What comes back for bytes that no client would write, until the server ends it. */
  const raw = (bytes: string, endToo = false) =>
    new Promise<string>((resolve, reject) => {
      const { hostname, port } = new URL(server.url);
      const socket = net.connect(Number(port), hostname, () => {
        socket.write(bytes);
        if (endToo) socket.end();
      });
      let text = '';
      socket.setTimeout(3_000, () => socket.destroy());
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
  const head = (length: string) =>
    `POST /v1/documents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keys.own}\r\n` +
    `content-type: text/plain\r\nconnection: close\r\n${length}\r\n\r\n`;

  it.each([
    ['a length that is none', 'content-length: many', /^HTTP\/1.1 400/],
    ['two lengths', 'content-length: 3\r\ncontent-length: 4', /^HTTP\/1.1 400/],
    ['a length and chunks', 'content-length: 3\r\ntransfer-encoding: chunked', /^HTTP\/1.1 400/],
    ['a negative length', 'content-length: -1', /^HTTP\/1.1 400/],
  ])('that announces %s is refused', async (_, length, expected) => {
    expect(await raw(`${head(length)}abc`)).toMatch(expected);
  });

  it('that ends before what it announced leaves nothing behind', async () => {
    await raw(`${head('content-length: 1000')}abc`, true);
    expect((await server.fetch('/livez')).status).toBe(200);
  });

  it('that sends without end is cut off early', async () => {
    const { hostname, port } = new URL(server.url);
    const path = '/v1/documents';
    let sent = 0;
    const status = await new Promise<number>((resolve, reject) => {
      const request = http.request({
        hostname,
        port,
        path,
        method: 'POST',
        headers: {
          authorization: `Bearer ${keys.own}`,
          'content-type': 'application/octet-stream',
        },
      });
      request.on('response', (response) => {
        resolve(response.statusCode!);
        request.destroy();
      });
      request.on('error', reject);
      const chunk = Buffer.alloc(64 * 1024, 'x');
      const more = () => {
        while (!request.destroyed && sent < 1024 * MB) {
          sent += chunk.length;
          if (!request.write(chunk)) return void request.once('drain', more);
        }
      };
      more();
    });
    expect(status).toBe(413);
    expect(sent).toBeLessThan(64 * MB);
  });

  it('that is slow with its head, its body or the next request has its time', () => {
    const { headersTimeout, requestTimeout, timeout, keepAliveTimeout } = server.service.app.server;
    expect([headersTimeout, requestTimeout, timeout, keepAliveTimeout]).toEqual([
      15_000, 900_000, 120_000, 30_000,
    ]);
  });
});

describe('what is written down', () => {
  it('is no text of a document, no question, no answer and no key', async () => {
    await server.fetch('/v1/chat/completions', {
      json: {
        model: TINY_NAME,
        max_tokens: 2,
        messages: [{ role: 'user', content: `Is it ${CANARY}?` }],
        glyphpress: { document_ids: [ids.theirs] },
      },
      key: keys.theirs,
    });
    expect(log.split('\n').length).toBeGreaterThan(500);
    expect(log).not.toContain(CANARY);
    for (const key of Object.values(keys)) expect(log).not.toContain(key.slice(25));
    // Nobody's fault of ours was among all that.
    expect(log.match(/"level":(50|60).*/g) ?? []).toEqual([]);
  });

  it('names no library: not in headers, not in a route that is none', async () => {
    const answer = await send('GET', '/nowhere', null);
    expect(JSON.stringify(answer.headers)).not.toMatch(/fastify|node|express/i);
    expect(answer.status).toBe(404);
  });
});
