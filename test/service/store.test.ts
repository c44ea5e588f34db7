import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ContentStore } from '../../src/service/content-store.js';
import { FolderStore } from '../../src/service/folder-store.js';
import { openStore } from '../../src/service/open-store.js';
import { readArtifactFile, readManifest, writeArtifact } from '../../src/store/artifact-folder.js';
import { S3Store } from '../../src/store/objects/s3-store.js';
import { placeName } from '../../src/store/place.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { noS3Server, type TestS3, testS3 } from '../support/s3-server.js';
import { cleanUpAtEnd } from '../support/service.js';
import { testStoreContract } from './store-contract.js';

const cleanUp = cleanUpAtEnd();
const FORM = { kind: 'glyphpress-test', version: 1 };
const KEY = 'a'.repeat(32);

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-test-'));
  cleanUp.push(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const shared = temporaryFolder();

testStoreContract('a folder', () => ({
  open: async () => new FolderStore(shared),
  damage: async (place, file) => {
    const damaged = path.join(placeName(place), file);
    const bytes = readFileSync(damaged);
    writeFileSync(damaged, bytes.fill(0, 0, 1));
  },
}));

describe.skipIf(noS3Server)('an object store', () => {
  let s3: TestS3;
  beforeAll(async () => {
    s3 = await testS3(cleanUp);
  });

  const open = (more: object = {}) =>
    openStore(temporaryFolder(), {
      url: `s3://${s3.bucket}/some/prefix`,
      endpoint: s3.endpoint,
      ...more,
    });
  const raw = (more: object = {}) =>
    S3Store.open({ bucket: s3.bucket, prefix: 'some/prefix', endpoint: s3.endpoint, ...more });

  testStoreContract('S3', () => ({
    open,
    damage: async (place, file) => {
      const { sha256, bytes } = (await readManifest(place, FORM))!.files[file]!;
      const name = placeName(place).replace(/^s3:\/\/[^/]+\/some\/prefix\//, '');
      const key = `${path.posix.dirname(name)}/blobs/${sha256}`;
      await (await raw()).put(key, Buffer.alloc(bytes, 'x'));
    },
  }));

  const receive = async (store: ContentStore, text: string) => {
    const upload = await store.receive(Readable.from([Buffer.from(text)]), 1e9);
    await store.prepare('acme', upload);
    await store.adopt('acme', upload);
    return store.place('acme', upload.hash);
  };
  const write = (place: ReturnType<ContentStore['place']>, files: Record<string, Buffer>) =>
    writeArtifact(place.context(KEY), FORM, { key: 'one' }, async (folder) => {
      for (const [name, bytes] of Object.entries(files))
        writeFileSync(path.join(folder, name), bytes);
      return {};
    });

  it('writes only where its conditions are met', async () => {
    const objects = await raw();
    const put = (text: string, condition?: 'absent' | { etag: string }) =>
      objects.put('conditions', Buffer.from(text), condition === undefined ? {} : { condition });
    expect(await put('one', 'absent')).toBe(true);
    expect(await put('two', 'absent')).toBe(false);
    const { etag } = (await objects.head('conditions'))!;
    expect(await put('three', { etag })).toBe(true);
    expect(await put('four', { etag })).toBe(false);
    await objects.remove(['conditions']);
    expect(await put('five', { etag })).toBe(false);
    expect(await objects.probe()).toEqual({ conditions: true });
  });

  it('keeps the first of two equal artifacts, and tells the second writer of it', async () => {
    const place = await receive(await open(), 'written twice');
    const first = await write(place, { 'a.bin': Buffer.from('first') });
    const second = await write(place, { 'a.bin': Buffer.from('second') });
    expect(second).toEqual(first);
    expect(await readArtifactFile(place.context(KEY), first, 'a.bin')).toEqual(
      Buffer.from('first'),
    );
  });

  it('reads what was read before from this machine', async () => {
    const proxy = await FaultProxy.open(s3.endpoint, cleanUp);
    const hash = placeName(await receive(await open(), 'read twice'))
      .split('/')
      .at(-1)!;
    await write((await open()).place('acme', hash), { 'a.bin': Buffer.from('bytes') });
    const there = (await open({ endpoint: proxy.endpoint })).place('acme', hash).context(KEY);
    const manifest = (await readManifest(there, FORM))!;
    const blobs = () => proxy.requests.filter((request) => request.includes('/blobs/')).length;
    for (const _ of [1, 2, 3]) await readArtifactFile(there, manifest, 'a.bin');
    expect(blobs()).toBe(1);
  });

  it('keeps the copies on this machine within their bound', async () => {
    const dataFolder = temporaryFolder();
    const cacheBytes = 100_000;
    const store = await openStore(dataFolder, {
      url: `s3://${s3.bucket}/bounded`,
      endpoint: s3.endpoint,
      cacheBytes,
    });
    const place = await receive(store, 'many files');
    const files = Object.fromEntries(
      Array.from({ length: 30 }, (_, n) => [`${n}.bin`, Buffer.alloc(10_000, n)]),
    );
    const manifest = await write(place, files);
    const cache = path.join(store.root, 'cache');
    const sizes = await Promise.all(
      (await readdir(cache)).map(async (name) => (await stat(path.join(cache, name))).size),
    );
    const held = sizes.reduce((sum, size) => sum + size, 0);
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(cacheBytes * 1.125 + 10_000);
    for (const [name, bytes] of Object.entries(files))
      expect(await readArtifactFile(place.context(KEY), manifest, name)).toEqual(bytes);
    expect(await readdir(path.join(store.root, 'scratch'))).toEqual([]);
  });

  it('reads a copy that was damaged on this machine from the store again', async () => {
    const store = await open();
    const place = await receive(store, 'damaged copy');
    const manifest = await write(place, { 'a.bin': Buffer.from('whole') });
    const cache = path.join(store.root, 'cache');
    const copy = readdirSync(cache)
      .map((name) => path.join(cache, name))
      .find((file) => readFileSync(file, 'utf8') === 'whole')!;
    rmSync(copy);
    writeFileSync(copy, 'wrong');
    const bytes = await readArtifactFile(place.context(KEY), manifest, 'a.bin');
    expect(bytes.toString()).toBe('whole');
    expect(readFileSync(copy, 'utf8')).toBe('whole');
  });

  it('comes through a store that lets a third of all requests fail', async () => {
    const proxy = await FaultProxy.open(s3.endpoint, cleanUp);
    proxy.fail(0.33);
    const store = await open({ endpoint: proxy.endpoint });
    const bytes = Buffer.alloc(100_000, 'abc');
    const place = await receive(store, 'through faults');
    const files = { 'a.bin': bytes, 'b.bin': Buffer.from('b'), 'c.bin': Buffer.from('c') };
    const manifest = await write(place, files);
    expect([...proxy.faults.values()].reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0);
    proxy.fail(0);
    const there = (await open()).place('acme', placeName(place).split('/').at(-1)!).context(KEY);
    for (const [name, expected] of Object.entries(files))
      expect(await readArtifactFile(there, manifest, name)).toEqual(expected);
  });
});
