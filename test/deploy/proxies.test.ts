/** The example configurations of proxies, run by the real programs; skipped where they are not installed. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { createServer } from 'node:net';
import path from 'node:path';
import { Writable } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectRedis } from '../../src/queue/connection.js';
import { ApiKeys } from '../../src/server/api-keys.js';
import { parseTrustedProxies } from '../../src/server/trusted-proxies.js';
import { HAS_OPENSSL, makeCertificate } from '../support/certificates.js';
import { sharedFolder } from '../support/folders.js';
import { type TestServer, testServer } from '../support/http.js';
import { ROOT } from '../support/repository.js';
import { cleanUpAtEnd, testRedis, until } from '../support/service.js';

/** Another program than that on PATH: GLYPHPRESS_NGINX, GLYPHPRESS_CADDY. */
const NGINX = process.env.GLYPHPRESS_NGINX ?? 'nginx';
const CADDY = process.env.GLYPHPRESS_CADDY ?? 'caddy';
const runs = (program: string, ask: string) =>
  HAS_OPENSSL && spawnSync(program, [ask], { stdio: 'ignore' }).status === 0;

const MB = 1024 ** 2;
const folder = sharedFolder();
const cleanUp = cleanUpAtEnd();
let server: TestServer;
let key: string;
let ca: string;
let files: { certFile: string; keyFile: string };
const requests: Record<string, unknown>[] = [];

beforeAll(async () => {
  if (!HAS_OPENSSL) return;
  files = makeCertificate(folder, 'proxy');
  ca = readFileSync(files.certFile, 'utf8');
  const redis = await testRedis(cleanUp);
  const connection = await connectRedis(redis.url, 'worker');
  cleanUp.push(async () => connection.disconnect());
  ({ key } = await new ApiKeys(connection).create({ tenant: 'acme', scopes: ['submit'] }));
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      for (const line of chunk.toString('utf8').trim().split('\n')) {
        const { req } = JSON.parse(line);
        if (req) requests.push(req);
      }
      done();
    },
  });
  const options = {
    trustProxy: parseTrustedProxies('127.0.0.1'),
    logger: { level: 'info', stream },
    limits: { documentBytes: MB },
  };
  // Nobody compresses: what comes of a document comes at once, and its events go on without end.
  server = await testServer(redis, cleanUp, options, null);
});

const example = (name: string) => readFileSync(path.join(ROOT, 'deploy/proxy', name), 'utf8');

/** Every place must be there, so that an example that is changed is not run half. */
function withPlaces(text: string, places: Record<string, string>): string {
  return Object.entries(places).reduce((all, [from, to]) => {
    expect(all).toContain(from);
    return all.replaceAll(from, to);
  }, text);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

async function start(
  program: string,
  args: string[],
  port: number,
  env: Record<string, string> = {},
): Promise<string> {
  const child: ChildProcess = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, ...env },
  });
  let log = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  cleanUp.push(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const url = `https://localhost:${port}`;
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(log);
      return (await ask(`${url}/livez`).catch(() => null))?.status === 200;
    },
    20_000,
    program,
  );
  return url;
}

const upstream = () => server.url.replace('http://', '');

async function nginx(): Promise<string> {
  const port = await freePort();
  const temporary = path.join(folder, 'nginx');
  mkdirSync(temporary);
  const site = withPlaces(example('nginx.conf'), {
    '127.0.0.1:8747': upstream(),
    'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
    '/etc/ssl/docs.example.com/fullchain.pem': files.certFile,
    '/etc/ssl/docs.example.com/privkey.pem': files.keyFile,
    'docs.example.com': 'localhost',
  });
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${temporary}/${name};`)
    .join(' ');
  const file = path.join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${temporary}/pid; error_log stderr;\n` +
      `events {}\nhttp { access_log off; ${paths}\n${site}\n}\n`,
  );
  return start(NGINX, ['-p', temporary, '-e', 'stderr', '-c', file], port);
}

async function caddy(): Promise<string> {
  const port = await freePort();
  const site = withPlaces(example('Caddyfile'), {
    '{$GLYPHPRESS_SITE:docs.example.com} {': `https://localhost:${port} {\n\tbind 127.0.0.1\n\ttls ${files.certFile} ${files.keyFile}`,
  });
  const file = path.join(folder, 'Caddyfile');
  writeFileSync(file, `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${site}`);
  const args = ['run', '--adapter', 'caddyfile', '--config', file];
  return start(CADDY, args, port, { GLYPHPRESS_UPSTREAM: upstream() });
}

interface Reply {
  status: number;
  body: string;
}

/** As a client at 127.0.0.5, that the proxy sees. */
function ask(
  url: string,
  { body, headers = {}, untilText }: { body?: Buffer; headers?: object; untilText?: RegExp } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = {
      ca,
      agent: false as const,
      family: 4,
      localAddress: '127.0.0.5',
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${key}`, ...headers },
    };
    const request = https.request(url, options, (reply) => {
      let text = '';
      const done = () => resolve({ status: reply.statusCode!, body: text });
      reply.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (!untilText?.test(text)) return;
        done();
        request.destroy();
      });
      reply.on('end', done);
      reply.on('error', reject);
    });
    request.setTimeout(8_000, () => request.destroy(new Error('nothing came for 8 s')));
    request.on('error', reject);
    request.end(body);
  });
}

describe.each([
  ['nginx', runs(NGINX, '-v'), nginx],
  ['Caddy', runs(CADDY, 'version'), caddy],
] as const)('the example for %s', (_, isThere, run) => {
  it.skipIf(!isThere)('passes events on as they come, and says who asked', async () => {
    const url = await run();
    const text = { 'content-type': 'text/plain' };
    const spoofed = { 'x-forwarded-for': '203.0.113.1', 'x-forwarded-proto': 'gopher' };
    const made = await ask(`${url}/v1/documents`, {
      body: Buffer.from('The north gate is shut.'),
      headers: { ...text, ...spoofed },
    });
    expect(made.status).toBe(202);
    expect(requests.at(-1)).toMatchObject({
      remoteAddress: '127.0.0.5',
      proxy: '127.0.0.1',
      scheme: 'https',
    });

    // It is never finished: what was held back until the end would never come.
    const { id } = JSON.parse(made.body) as { id: string };
    const events = await ask(`${url}/v1/documents/${id}/events`, { untilText: /data: .*\n\n/ });
    expect(events.status).toBe(200);
    expect(events.body).toMatch(/^(retry: \d+\n\n)?id: .+\nevent: /);

    // The service hears that a client has left.
    const open = () =>
      new Promise<number>((resolve) =>
        server.service.app.server.getConnections((_, count) => resolve(count)),
      );
    await until(async () => (await open()) === 0, 8_000, 'the end of its stream');

    const large = await ask(`${url}/v1/documents`, {
      body: Buffer.alloc(3 * MB, 'x'),
      headers: text,
    });
    expect(large.status).toBe(413);
    expect(large.body).toContain('GP_REQUEST_TOO_LARGE');
  });
});
