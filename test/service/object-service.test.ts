/** The service over an object store: machines that share nothing but Redis and a bucket. */

import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalBackend } from '../../src/pipeline/backends/local.js';
import { CompressionQueue } from '../../src/queue/compression-queue.js';
import { connectRedis } from '../../src/queue/connection.js';
import { isTerminal, type Stage } from '../../src/queue/document-record.js';
import { DocumentRecords } from '../../src/queue/document-records.js';
import { pageImage, pageIndex } from '../../src/service/document-pages.js';
import { DocumentService } from '../../src/service/documents.js';
import { openStore, parseStoreUrl, type StoreOptions } from '../../src/service/open-store.js';
import { Sweeper } from '../../src/service/sweeper.js';
import { contextFolder, openWork } from '../../src/service/work.js';
import { S3Store } from '../../src/store/objects/s3-store.js';
import { noS3Server, S3_CREDENTIALS, type TestS3, testS3 } from '../support/s3-server.js';
import {
  cleanUpAtEnd,
  startTestWorkers,
  submitText,
  type TestRedis,
  testRedis,
  tinyModels,
  until,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();

function machine(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-test-'));
  cleanUp.push(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const words = (count: number) =>
  Array.from({ length: count }, (_, n) => `word${n} of a document`).join('\n');

describe.skipIf(noS3Server)('a service over an object store', () => {
  let redis: TestRedis;
  let s3: TestS3;
  let storeOptions: StoreOptions;

  beforeAll(async () => {
    redis = await testRedis(cleanUp);
    s3 = await testS3(cleanUp);
    storeOptions = { url: `s3://${s3.bucket}/service`, endpoint: s3.endpoint };
  });

  const api = async () => {
    const connection = await connectRedis(redis.url, 'request');
    const subscriber = await connectRedis(redis.url, 'worker');
    const records = new DocumentRecords(connection);
    const queue = new CompressionQueue(connection);
    const store = await openStore(machine(), storeOptions);
    const models = tinyModels();
    const limits = { perTenant: 100, total: 1_000 };
    const documents = await DocumentService.open({
      store,
      models,
      records,
      queue,
      subscriber,
      limits,
    });
    cleanUp.push(async () => {
      await queue.close();
      connection.disconnect();
      subscriber.disconnect();
      await models.close();
    });
    return { documents, records, queue, store, models };
  };
  const workers = async (stages: Stage[]) => {
    const running = await startTestWorkers(
      { ...redis, dataFolder: machine() },
      { stages, storeOptions },
    );
    cleanUp.push(() => running.close(0));
  };
  const keys = async (prefix: string) => {
    const found: string[] = [];
    const objects = await S3Store.open({
      bucket: s3.bucket,
      prefix: 'service',
      endpoint: s3.endpoint,
    });
    for await (const { key } of objects.list(prefix)) found.push(key);
    return found;
  };

  it('compresses on machines of their own what another took in, and any of them answers', async () => {
    const service = await api();
    await workers(['extract', 'render']);
    await workers(['encode', 'prefill']);
    const { id, tenant } = await submitText(service, words(60));
    const ref = { tenant, id };
    await until(async () => isTerminal((await service.documents.get(ref)).state));
    const record = await service.documents.get(ref);
    expect(record.failure).toBeNull();
    expect(record.state).toBe('completed');

    const other = await api();
    const work = openWork(record, other);
    const { pages } = await pageIndex(work);
    expect(pages.length).toBeGreaterThan(1);
    expect((await pageImage(work, 0))!.subarray(1, 4).toString()).toBe('PNG');
    const { models } = other;
    const backend = new LocalBackend(await models.open(models.defaultName));
    const opened = await backend.openStored(contextFolder(work));
    expect(opened.report.pages).toBe(pages.length);
    await opened.close();

    // Unfinished pages went with the artifact that they became.
    expect((await keys('')).filter((key) => key.includes('.work/'))).toEqual([]);
    const sweeper = new Sweeper({ ...other, onError: () => {} }, { everyMs: 3_600_000 });
    await sweeper.sweep();
    expect((await keys('tenants/')).length).toBeGreaterThan(0);
    await other.documents.remove(ref);
    await sweeper.sweep();
    await sweeper.close();
    expect(await keys('tenants/')).toEqual([]);
  });
});

/** Answers every request alike. */
async function refusing(status: number, code: string): Promise<string> {
  const server = http.createServer((request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a store that cannot be used', () => {
  const check = async (endpoint: string) => {
    Object.assign(process.env, S3_CREDENTIALS);
    const store = await openStore(machine(), { url: 's3://missing', endpoint, patienceMs: 0 });
    return store.check();
  };

  it.each([
    [404, 'NoSuchBucket', 'GP_STORE_REFUSED', /no bucket missing/, /--store/],
    [403, 'AccessDenied', 'GP_STORE_REFUSED', /does not allow/, /s3:PutObject/],
    [403, 'InvalidAccessKeyId', 'GP_STORE_REFUSED', /access key/, /AWS_ACCESS_KEY_ID/],
    [403, 'SignatureDoesNotMatch', 'GP_STORE_REFUSED', /secret key/, /AWS_SECRET_ACCESS_KEY/],
    [403, 'RequestTimeTooSkewed', 'GP_STORE_REFUSED', /clock/, /NTP/],
    [400, 'ExpiredToken', 'GP_STORE_REFUSED', /expired/, /AWS_SESSION_TOKEN/],
    [301, 'PermanentRedirect', 'GP_STORE_REFUSED', /another region/, /AWS_REGION/],
    [400, 'AuthorizationHeaderMalformed', 'GP_STORE_REFUSED', /another region/, /AWS_REGION/],
    [501, 'NotImplemented', 'GP_STORE_REFUSED', /501/, /doctor --store/],
    [503, 'SlowDown', 'GP_STORE_UNAVAILABLE', /does not respond/, /--store-endpoint/],
    [418, 'Teapot', 'GP_STORE_REFUSED', /418 Teapot/, /doctor --store/],
  ])('says so: %i %s', async (status, s3Code, code, message, hint) => {
    const failed = await check(await refusing(status, s3Code)).then(
      () => null,
      (error) => error,
    );
    expect(failed).toMatchObject({ code });
    expect(failed.message).toMatch(message);
    expect(failed.hint).toMatch(hint);
  });

  it('says so where nobody listens', async () => {
    await expect(check('http://127.0.0.1:1')).rejects.toMatchObject({
      code: 'GP_STORE_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe('the address of a store', () => {
  it.each([
    ['s3://documents', { bucket: 'documents', prefix: '' }],
    ['s3://documents/', { bucket: 'documents', prefix: '' }],
    ['s3://my.bucket-1/a/b_c/', { bucket: 'my.bucket-1', prefix: 'a/b_c' }],
  ])('%s is taken', (url, address) => {
    expect(parseStoreUrl(url)).toEqual(address);
  });

  it.each([
    ...['', 's3:documents', 'https://documents', 's3://', 's3://Bad_Bucket/x', 's3://b/x'],
    ...['s3://documents/../x', 's3://documents//x', 's3://documents/a b'],
  ])('%j is refused', (url) => {
    expect(() => parseStoreUrl(url)).toThrow('no object store');
  });
});
