import http from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { isPublicAddress, publicLookup } from '../../src/public-address.js';
import { checkAddress, post } from '../../src/service/outbound.js';
import { signatureHeaders } from '../../src/service/webhooks.js';
import { type TestServer, testServer } from '../support/http.js';
import { cleanUpAtEnd, idleSteps, type TestRedis, testRedis, until } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
let redis: TestRedis;
let server: TestServer;
let receiver: Receiver;

interface Received {
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** A service of a user's: takes what is sent, and answers what its path says, in turn. */
class Receiver {
  readonly received: Received[] = [];
  url = '';
  readonly #server = http.createServer((request, reply) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const path = request.url!;
      this.received.push({ path, headers: request.headers as Record<string, string>, body });
      const statuses = path.split('/').slice(1).map(Number);
      const count = this.at(path).length;
      const status = statuses[Math.min(count, statuses.length) - 1] || 200;
      reply.writeHead(status, { location: `${this.url}/redirected` }).end('thanks');
    });
  });

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  at(path: string): Received[] {
    return this.received.filter((one) => one.path === path);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  receiver = await new Receiver().start();
  cleanUp.push(() => receiver.stop());
  server = await testServer(
    redis,
    cleanUp,
    { webhooks: { policy: { allow: ['127.0.0.1'] }, backoffMs: 20, attempts: 4 } },
    { steps: idleSteps },
  );
});

const create = async (path: string, fields: object = {}) => {
  const response = await server.fetch('/v1/webhooks', {
    json: { url: `${receiver.url}${path}`, ...fields },
  });
  return (await response.json()) as { id: string; secret: string; status: string };
};
const get = async (path: string) => (await server.fetch(`/v1/webhooks${path}`)).json();
const remove = (id: string) => server.fetch(`/v1/webhooks/${id}`, { method: 'DELETE' });
const document = async () => server.finished((await server.submit('The gate is shut.')).id);

describe('a webhook', () => {
  it("is told of its tenant's documents in a message that OpenAI's client verifies", async () => {
    const { id, secret } = await create('/200', { events: ['document.completed'] });
    const { id: documentId } = await document();
    await until(() => receiver.at('/200').length === 1);
    const [{ body, headers }] = receiver.at('/200') as [Received];
    const client = new OpenAI({ apiKey: 'unused', webhookSecret: secret });
    const event = await client.webhooks.unwrap(body, headers);
    expect(event).toMatchObject({
      object: 'event',
      type: 'document.completed',
      data: { id: documentId },
    });
    expect(headers['webhook-id']).toBe(event.id);
    await expect(
      client.webhooks.unwrap(`${body} `, headers).then(() => 'verified'),
    ).rejects.toBeInstanceOf(OpenAI.InvalidWebhookSignatureError);
    await until(async () => (await get(`/${id}/attempts`)).data.length === 1);
    expect((await get(`/${id}/attempts`)).data[0]).toMatchObject({
      event: event.id,
      attempt: 1,
      status: 200,
      error: null,
    });
    await remove(id);
    await document();
    expect(receiver.at('/200')).toHaveLength(1);
    expect((await server.fetch(`/v1/webhooks/${id}`)).status).toBe(404);
  });

  it('is tried again under the same id until it takes the message', async () => {
    const { id } = await create('/500/503/200', { events: ['document.completed'] });
    await document();
    await until(() => receiver.at('/500/503/200').length === 3);
    const sent = receiver.at('/500/503/200');
    expect(new Set(sent.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    await until(async () => (await get(`/${id}/attempts`)).data.length === 3);
    const { data } = await get(`/${id}/attempts`);
    expect(data.map(({ status }: { status: number }) => status)).toEqual([200, 503, 500]);
    await remove(id);
  });

  it('is given up after its tries, follows no redirect, and ends with 410', async () => {
    const [away, gone] = [await create('/302'), await create('/410')];
    await document();
    await until(async () => (await get(`/${away.id}/attempts`)).data.length === 4);
    expect((await get(`/${away.id}/attempts`)).data[0]).toMatchObject({
      status: 302,
      error: 'redirects are not followed',
    });
    expect(receiver.at('/redirected')).toEqual([]);
    expect(await get(`/${gone.id}`)).toMatchObject({ status: 'disabled' });
    await document();
    expect(receiver.at('/410')).toHaveLength(1);
    for (const { id } of [away, gone]) await remove(id);
  });

  it('is tested, and gets a new secret while the old one still signs', async () => {
    const first = await create('/204');
    const rotated = await (
      await server.fetch(`/v1/webhooks/${first.id}/rotate`, { method: 'POST' })
    ).json();
    expect(rotated.secret).not.toBe(first.secret);
    const sent = await server.fetch(`/v1/webhooks/${first.id}/test`, { method: 'POST' });
    const { event } = await sent.json();
    await until(() => receiver.at('/204').length === 1);
    const [{ body, headers }] = receiver.at('/204') as [Received];
    for (const secret of [first.secret, rotated.secret]) {
      const client = new OpenAI({ apiKey: 'unused', webhookSecret: secret });
      expect(await client.webhooks.unwrap(body, headers)).toMatchObject({
        id: event,
        type: 'webhook.test',
      });
    }
    const { data } = await get('');
    expect(JSON.stringify(data)).not.toContain('whsec_');
    await remove(first.id);
  });

  it('hears of what happened while no process sent anything', async () => {
    const { id } = await create('/201', { events: ['document.cancelled'] });
    // As a process leaves it that died before it told.
    await redis.redis.xadd('gp:outbox', '*', 'member', 'local doc_x', 'type', 'document.cancelled');
    await redis.redis.xadd('gp:outbox', '*', 'member', 'other doc_y', 'type', 'document.cancelled');
    await redis.redis.publish('gp:outbox:new', '');
    await until(() => receiver.at('/201').length === 1);
    await until(async () => (await redis.redis.xlen('gp:outbox')) === 0);
    expect(receiver.at('/201')).toHaveLength(1);
    await remove(id);
    await document();
    // Nobody listens: nothing is written down.
    expect(await redis.redis.exists('gp:outbox')).toBe(1);
    expect(await redis.redis.xlen('gp:outbox')).toBe(0);
  });

  it.each([
    'http://example.com/',
    'ftp://example.com/',
    'https://user:pass@example.com/',
    'https://127.0.0.2/',
    'https://2130706434/',
    'https://0x7f000002/',
    'https://0177.0.0.2/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://0.0.0.0/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'nonsense',
  ])('is not taken for %s', async (url) => {
    const response = await server.fetch('/v1/webhooks', { json: { url } });
    expect([response.status, (await response.json()).code]).toEqual([400, 'GP_WEBHOOK_ADDRESS']);
  });
});

describe('an address that clients name', () => {
  it.each([
    ...['0.1.2.3', '10.9.8.7', '100.64.0.1', '127.1.2.3', '169.254.169.254', '172.31.0.1'],
    ...['192.0.0.1', '192.168.1.1', '198.18.0.1', '203.0.113.9', '224.0.0.1', '255.255.255.255'],
    ...['::', '::1', '::ffff:8.8.8.8', '64:ff9b::808:808', 'fc00::1', 'fd12::1', 'fe80::1'],
    ...['ff02::1', '2001::1', '2001:db8::1', '2002:7f00:1::', '3fff::1', 'nonsense', ''],
  ])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false));

  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111', '2a00:1450::1'])(
    '%s is public',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it('is judged by what its name leads to, when it is connected to', async () => {
    const none = { allow: [] };
    const led = new Promise((resolve, reject) => {
      const judged = publicLookup(() => new Error('not public'));
      judged('localhost', {}, (error, address) => (error ? reject(error) : resolve(address)));
    });
    await expect(led).rejects.toThrow('not public');
    expect(checkAddress('https://hooks.acme.example/x', none).hostname).toBe('hooks.acme.example');
    const port = Number(new URL(receiver.url).port);
    const allow = [`localhost:${port}`];
    const { signal } = new AbortController();
    expect(await post(`http://localhost:${port}/200`, '{}', {}, { allow }, signal)).toEqual({
      status: 200,
    });
  });

  it.each([
    ...['https://localhost/', 'https://LOCALHOST./x', 'https://api.localhost/', 'https://redis/'],
    ...['https://nas.local/', 'https://db.internal:8443/', 'https://router.home.arpa/'],
  ])('%s is refused at once, unless whoever runs the service allows it', (address) => {
    const refused = expect.objectContaining({ code: 'GP_WEBHOOK_ADDRESS' });
    expect(() => checkAddress(address, { allow: [] })).toThrow(refused);
    expect(() => checkAddress(address, { allow: [new URL(address).hostname] })).not.toThrow();
  });

  it('is signed over id, time and body', () => {
    // By hand: HMAC-SHA256 of "msg_1.1700000000.{}" with the key "key".
    const secret = `whsec_${Buffer.from('key').toString('base64')}`;
    const headers = signatureHeaders('msg_1', '{}', [secret], 1_700_000_000_123);
    expect(headers).toMatchObject({ 'webhook-id': 'msg_1', 'webhook-timestamp': '1700000000' });
    expect(headers['webhook-signature']).toBe('v1,XaXLFEFQ69Q4+demDWPEv5ydXczDW2mM5crCUEFcFBA=');
  });
});
