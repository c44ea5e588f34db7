import { readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FetchUrlOptions, fetchUrl } from '../../../src/pipeline/inputs/fetch-url.js';
import { readInputs } from '../../../src/pipeline/inputs/read-inputs.js';
import { pdf } from '../../support/documents.js';
import { sharedFolder } from '../../support/folders.js';

const folder = sharedFolder();
const target = path.join(folder, 'fetched');
const { signal } = new AbortController();

const routes: Record<string, RequestListener> = {
  '/page': (_, reply) => reply.setHeader('content-type', 'text/html; charset=utf-8').end('<p>café'),
  '/report.pdf': (_, reply) =>
    reply.setHeader('content-type', 'application/octet-stream').end(pdf([['In a PDF.']])),
  '/moved': (_, reply) => reply.writeHead(302, { location: '/page' }).end(),
  '/inside': (_, reply) => reply.writeHead(302, { location: 'http://127.0.0.2:9/' }).end(),
  '/round': (_, reply) => reply.writeHead(301, { location: '/round' }).end(),
  '/file': (_, reply) => reply.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/broken': (_, reply) => reply.writeHead(500).end(),
  '/packed': (_, reply) => reply.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
  '/long': (_, reply) => {
    reply.writeHead(200);
    const timer = setInterval(() => reply.write('x'.repeat(1_000)), 1);
    reply.on('close', () => clearInterval(timer));
  },
  '/stated': (_, reply) => reply.writeHead(200, { 'content-length': 10 ** 12 }).write('x'),
  '/slow': (_, reply) => void reply.writeHead(200).write('x'),
  '/silent': () => {},
};
const server = http.createServer((request, reply) => {
  const route = routes[request.url!];
  if (route) route(request, reply);
  else reply.writeHead(404).end();
});
let base: string;
let privateHosts: string[];
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  base = `http://127.0.0.1:${port}`;
  privateHosts = [`127.0.0.1:${port}`];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
const fetched = (route: string, options: Partial<FetchUrlOptions> = {}) =>
  fetchUrl(`${base}${route}`, target, { signal, privateHosts, ...options });

describe('a document at an address', () => {
  it('is saved, with what the server says of it', async () => {
    expect(await fetched('/page')).toEqual({ mediaType: 'text/html', filename: 'page' });
    expect(readFileSync(target, 'utf8')).toBe('<p>café');
    expect(await fetched('/report.pdf')).toEqual({ mediaType: null, filename: 'report.pdf' });
    expect(await fetched('/moved')).toMatchObject({ filename: 'page' });
  });

  it('is an input like others', async () => {
    const options = { signal, allowUrl: true, privateHosts };
    const { document, taken } = await readInputs([`${base}/moved`, `${base}/report.pdf`], options);
    expect(taken).toMatchObject([
      { name: `${base}/moved`, mediaType: 'text/html' },
      { name: `${base}/report.pdf`, mediaType: 'application/pdf' },
    ]);
    expect(document.text).toContain('café');
    expect(document.text).toContain('In a PDF.');
  });

  it.each([
    'http://127.0.0.1:9/',
    'http://localhost:9/',
    'http://[::1]/',
    'http://169.254.169.254/latest/meta-data',
    'http://10.0.0.1/',
    'http://0x7f000001/',
    'http://[::ffff:127.0.0.1]/',
    'https://user:secret@example.org/',
    'ftp://example.org/',
    'no address',
  ])('is not read where it is not public: %s', async (address) => {
    await expect(fetchUrl(address, target, { signal, privateHosts: [] })).rejects.toMatchObject({
      code: 'GP_INPUT_URL',
    });
  });

  it.each([
    ['/inside', 'GP_INPUT_URL', /not public/],
    ['/file', 'GP_INPUT_URL', /neither https/],
    ['/round', 'GP_INPUT_FETCH', /redirects more than 5/],
    ['/broken', 'GP_INPUT_FETCH', /answers 500/],
    ['/packed', 'GP_INPUT_FETCH', /packed with gzip/],
    ['/none', 'GP_INPUT_NOT_FOUND', /404/],
    ['/stated', 'GP_INPUT_FETCH', /more than 50000 bytes/],
    ['/long', 'GP_INPUT_FETCH', /more than 50000 bytes/],
    ['/slow', 'GP_INPUT_FETCH', /longer than 1.5 s/],
    ['/silent', 'GP_INPUT_FETCH', /longer than 1.5 s/],
  ])('that leads nowhere is an error: %s', async (route, code, message) => {
    await expect(fetched(route, { maxBytes: 50_000, timeoutMs: 1_500 })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('is given up when nobody waits any more', async () => {
    const gone = new AbortController();
    const waiting = fetched('/silent', { signal: gone.signal });
    setTimeout(() => gone.abort(), 100);
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
  });
});
