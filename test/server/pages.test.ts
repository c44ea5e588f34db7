import type { Browser } from 'puppeteer';
import { beforeAll, describe, expect, it } from 'vitest';
import { connectRedis } from '../../src/queue/connection.js';
import { ApiKeys } from '../../src/server/api-keys.js';
import { ModelRegistry } from '../../src/service/models.js';
import { openBrowser, openPage, picture, violations } from '../support/console-page.js';
import { type TestServer, testServer } from '../support/http.js';
import { LOOK_UP_READER } from '../support/models.js';
import { cleanUpAtEnd, type TestRedis, testRedis } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const reader = () => new ModelRegistry([LOOK_UP_READER], { threads: 1 });
let redis: TestRedis;
let server: TestServer;
let browser: Browser;
const keys: Record<string, string> = {};

const TEXT = [
  'The harbour of Wexmoor has three gates, and the keeper walks from one to the next each night.',
  'The access code of the north gate is 4817.',
  'The south gate was shut in the winter of the great storm, and nobody has opened it since.',
].join('\n\n');

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  const connection = await connectRedis(redis.url, 'worker');
  cleanUp.push(async () => connection.disconnect());
  const store = new ApiKeys(connection);
  for (const scope of ['admin', 'query'] as const)
    keys[scope] = (await store.create({ tenant: 'acme', scopes: [scope] })).key;
  keys.user = (await store.create({ tenant: 'acme', scopes: ['submit', 'query'] })).key;
  const options = { requireKey: true, models: reader() };
  server = await testServer(redis, cleanUp, options, { models: reader() });
  browser = await openBrowser(cleanUp);
});

describe('the console', () => {
  it('shows the interface as the OpenAPI document has it', async () => {
    const { page, problems } = await openPage(browser);
    await page.goto(`${server.url}/api.html`);
    await page.waitForSelector('.operation');
    const { openapi, paths } = await (await fetch(`${server.url}/openapi.json`)).json();
    const count = Object.values<object>(paths).flatMap((methods) => Object.keys(methods)).length;
    expect(openapi).toMatch(/^3\.1\./);
    expect(await page.$$eval('.operation', (all) => all.length)).toBe(count);
    await page.$$eval('.operation', (all) => {
      const ask = all.find((one) => /\/v1\/documentsHand/.test(one.textContent!));
      (ask as HTMLDetailsElement).open = true;
    });
    expect(await page.$eval('.operation[open]', (text) => text.textContent)).toContain('sidecar');
    await picture(page, 'api');
    expect(await violations(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.browserContext().close();
  });

  it('is static, and may run nothing but its own files', async () => {
    const home = await fetch(server.url);
    const policy = home.headers.get('content-security-policy')!;
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toMatch(/unsafe|\*|http/);
    const html = await home.text();
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|javascript:/i);
    for (const name of ['api.js', 'console.css', 'icon.svg'])
      expect((await fetch(`${server.url}/${name}`)).headers.get('x-content-type-options')).toBe(
        'nosniff',
      );
    for (const name of ['index.html', '..%2fpackage.json', 'web/console.js', '.git/config'])
      expect((await fetch(`${server.url}/${name}`)).status).toBe(404);
  });
});

describe('the board of the queues', () => {
  const basic = (key: string) => ({
    authorization: `Basic ${Buffer.from(`admin:${key}`).toString('base64')}`,
  });
  const status = async (path: string, headers: Record<string, string>, method = 'GET') =>
    (await fetch(`${server.url}${path}`, { headers, method })).status;

  it('is for administrators, whose browser asks for the key', async () => {
    const none = await fetch(`${server.url}/admin/queues`);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([
      401,
      'Basic realm="glyphpress"',
    ]);
    expect(await status('/admin/queues', basic(keys.query!))).toBe(403);
    expect(await status('/admin/queues', basic(keys.admin!))).toBe(200);
    expect(await status('/admin/queues', { authorization: `Bearer ${keys.admin}` })).toBe(200);
    // What a browser sends by itself opens nothing that could be changed.
    expect(await status('/v1/documents', basic(keys.admin!))).toBe(401);
    expect(await status('/metrics', basic(keys.admin!))).toBe(401);
  });

  it('looks and changes nothing', async () => {
    const headers = basic(keys.admin!);
    for (const path of ['render/empty', 'render/obliterate', 'render/pause', 'render/x/retry'])
      expect(await status(`/admin/queues/api/queues/${path}`, headers, 'PUT')).toBe(404);
    for (const path of [
      '..%2findex.ejs',
      '../index.ejs',
      'js/../../index.ejs',
      '%2e%2e/package.json',
    ])
      expect(await status(`/admin/queues/static/${path}`, headers)).toBe(404);
  });

  it('shows the queues in a browser, and no text of documents', async () => {
    const { id } = await server.submit(TEXT, { model: 'look-up-reader' }, keys.user);
    await server.finished(id, keys.user);
    const { page, problems } = await openPage(browser);
    await page.authenticate({ username: 'admin', password: keys.admin! });
    await page.goto(`${server.url}/admin/queues`);
    await page.waitForFunction(
      () => /prefill/.test(document.body.innerText) && !/Loading/.test(document.body.innerText),
      { timeout: 30_000 },
    );
    for (const queue of ['extract', 'render', 'encode', 'webhooks'])
      expect(await page.evaluate(() => document.body.innerText)).toContain(queue);
    await picture(page, 'queues');
    const jobs = await fetch(
      `${server.url}/admin/queues/api/queues?activeQueue=prefill&status=completed&page=1&jobsPerPage=20`,
      { headers: basic(keys.admin!) },
    );
    const text = await jobs.text();
    expect(text).toContain(id);
    expect(text).not.toContain('Wexmoor');
    // It asks for a font elsewhere, and is refused.
    expect(problems.filter((problem) => !/fonts\.googleapis/.test(problem))).toEqual([]);
    await page.browserContext().close();
  });
});
