import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from '../support/http.js';
import { cleanUpAtEnd, type TestRedis, testRedis } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const KB = 1024;
const MB = 1024 * KB;
const limits = { documentBytes: MB, jsonBytes: 256 * KB };

let redis: TestRedis;
let server: TestServer;

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  server = await testServer(redis, cleanUp, { limits }, null);
});

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** As clients do that send all before they read: an error on the way is an error. */
function send(
  route: string,
  headers: http.OutgoingHttpHeaders,
  body: Readable | Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${server.url}${route}`, { method: 'POST', headers }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (chunk) => {
        text += chunk;
      });
      reply.on('end', () =>
        resolve({ status: reply.statusCode!, headers: reply.headers, body: text }),
      );
      reply.on('error', reject);
    });
    request.on('error', reject);
    if (body instanceof Readable) body.pipe(request);
    else request.end(body);
  });
}

const bytesOf = (count: number) =>
  Readable.from(
    (function* () {
      for (let left = count; left > 0; left -= 64 * KB) yield randomBytes(Math.min(left, 64 * KB));
    })(),
  );

const form = (file: Buffer) =>
  Buffer.concat([
    Buffer.from(
      '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b\r\n' +
        'content-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n',
    ),
    file,
    Buffer.from('\r\n--b--\r\n'),
  ]);

describe('a body over the limit', () => {
  it.each<[string, string, http.OutgoingHttpHeaders, () => Readable | Buffer]>([
    [
      'of JSON',
      '/v1/documents',
      { 'content-type': 'application/json', 'content-length': 9 * MB },
      () => bytesOf(9 * MB),
    ],
    [
      'that is a document',
      '/v1/documents',
      { 'content-type': 'text/plain', 'content-length': 12 * MB },
      () => bytesOf(12 * MB),
    ],
    [
      'that is a document of untold length',
      '/v1/documents',
      { 'content-type': 'text/plain' },
      () => bytesOf(12 * MB),
    ],
    [
      'that is a form',
      '/v1/files',
      { 'content-type': 'multipart/form-data; boundary=b', 'content-length': 9 * MB },
      () => bytesOf(9 * MB),
    ],
    [
      'that is a form of untold length',
      '/v1/files',
      { 'content-type': 'multipart/form-data; boundary=b' },
      () => Readable.from([form(randomBytes(9 * MB))]),
    ],
  ])('%s is refused, and the client is told', async (_, route, headers, body) => {
    const answer = await send(route, headers, body());
    expect(answer.status).toBe(413);
    expect(answer.body).toContain('GP_REQUEST_TOO_LARGE');
    expect(answer.headers.connection).toBe('close');
  });

  it('is refused before it was sent, and the connection ends though nobody goes on', async () => {
    const { status, tookMs, closedMs } = await raw(
      server.url,
      'POST /v1/documents HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 94371840\r\n\r\n',
      3_000,
    );
    expect(status).toBe(413);
    expect(tookMs).toBeLessThan(1_500);
    // The byte after three seconds finds nobody, and the one after six hears of it.
    expect(closedMs).toBeLessThan(9_000);
  });

  it('leaves nothing behind, and the service goes on', async () => {
    expect(readdirSync(path.join(redis.dataFolder, 'store', 'uploads'))).toEqual([]);
    const answer = await send(
      '/v1/files',
      { 'content-type': 'multipart/form-data; boundary=b' },
      Readable.from([form(Buffer.from('small'))]),
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.connection).not.toBe('close');
  });
});

describe('a request without a valid key', () => {
  it('whose body trickles is cut off', async () => {
    const closed = await testServer(redis, cleanUp, { limits, requireKey: true }, null).catch(
      (e) => e,
    );
    // There must be a key before one can be asked for.
    expect(closed).toBeInstanceOf(Error);
    await server.service.keys.create({ tenant: 'acme', scopes: ['submit'] });
    const guarded = await testServer(redis, cleanUp, { limits, requireKey: true }, null);
    const { status, closedMs } = await raw(
      guarded.url,
      'POST /v1/documents HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer gp_x\r\ncontent-type: text/plain\r\ncontent-length: 90000\r\n\r\n',
      100,
    );
    expect(status).toBe(401);
    expect(closedMs).toBeLessThan(14_000);

    const statuses: number[] = [];
    for (let n = 0; n < 25; n++) {
      const answer = await guarded.fetch('/v1/documents', { key: `gp_${n}` });
      statuses.push(answer.status);
      if (answer.status === 429) expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    }
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401));
    expect(statuses.at(-1)).toBe(429);
  }, 40_000);
});

describe('connections of one address', () => {
  it('are bounded; when one ends there is room for another', async () => {
    const bounded = await testServer(
      redis,
      cleanUp,
      { limits: { ...limits, connectionsPerAddress: 2 } },
      null,
    );
    const { hostname, port } = new URL(bounded.url);
    const open = () => {
      const socket = net.connect({ host: hostname, port: Number(port) });
      socket.on('error', () => {});
      const answer = new Promise<string>((resolve) => {
        socket.on('data', (chunk) => resolve(chunk.toString('latin1', 0, 15)));
        socket.on('close', () => resolve('closed'));
      });
      const ask = () => socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n');
      return { socket, answer, ask };
    };
    const [first, second, third] = [open(), open(), open()];
    expect(await third.answer).toBe('closed');
    first.ask();
    expect(await first.answer).toBe('HTTP/1.1 200 OK');
    second.socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const fourth = open();
    fourth.ask();
    expect(await fourth.answer).toBe('HTTP/1.1 200 OK');
    for (const { socket } of [first, fourth]) socket.destroy();
  });
});

/** Sends a head and then a byte now and then. */
function raw(url: string, head: string, everyMs: number) {
  return new Promise<{ status: number; tookMs: number; closedMs: number }>((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const started = performance.now();
    let status = 0;
    let tookMs = 0;
    const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true }, () => {
      socket.write(head);
    });
    const timer = setInterval(() => socket.writable && socket.write('a'), everyMs);
    socket.on('data', (chunk) => {
      if (status !== 0) return;
      status = Number(/^HTTP\/1\.1 (\d+)/.exec(chunk.toString('latin1'))?.[1]);
      tookMs = performance.now() - started;
    });
    // A reset is an end too, once the answer was read.
    socket.on('error', (error) => status === 0 && reject(error));
    socket.on('close', () => {
      clearInterval(timer);
      resolve({ status, tookMs, closedMs: performance.now() - started });
    });
  });
}
