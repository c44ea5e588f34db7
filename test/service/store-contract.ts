/** What every store of documents does: called for each of them. */

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  countEncodedPages,
  ensureEncodedPage,
} from '../../src/pipeline/artifacts/encoded-pages.js';
import type { ContentStore } from '../../src/service/content-store.js';
import {
  artifactAt,
  isWholeArtifact,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../../src/store/artifact-folder.js';
import { bytesOf } from '../../src/store/objects/s3-store.js';
import { type AnyPlace, type FileSet, placeName } from '../../src/store/place.js';
import type { VisionLanguageModel } from '../../src/vlm/index.js';

export interface StoreUnderTest {
  /** A machine more on the same documents. */
  open(): Promise<ContentStore>;
  /** Spoils the bytes of one file of an artifact behind the back of the store, for every machine. */
  damage(place: AnyPlace, file: string): Promise<void>;
}

const FORM = { kind: 'glyphpress-test', version: 1 };
const KEY = 'a'.repeat(32);
const OTHER_KEY = 'b'.repeat(32);
/** More than goes in one part. */
const LARGE_BYTES = 9 * 1024 ** 2;

let taken = 0;

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Bytes that no other test has. */
const fresh = () => `document ${++taken} of ${process.pid}`;

export function testStoreContract(name: string, setUp: () => StoreUnderTest): void {
  describe(name, () => {
    let store: ContentStore;
    /** The same documents, seen from another machine. */
    let elsewhere: ContentStore;

    beforeEach(async () => {
      [store, elsewhere] = [await setUp().open(), await setUp().open()];
    });

    const submit = async (bytes: string | Buffer, tenant = 'acme') => {
      const upload = await store.receive(Readable.from([Buffer.from(bytes)]), 1e9);
      await store.prepare(tenant, upload);
      await store.adopt(tenant, upload);
      return upload.hash;
    };
    const write = (place: AnyPlace, files: Record<string, string | Buffer>, key = 'one') =>
      writeArtifact(place, FORM, { key }, async (folder) => {
        for (const [file, bytes] of Object.entries(files))
          writeFileSync(path.join(folder, file), bytes);
        return { files: Object.keys(files) };
      });
    const read = async (place: AnyPlace, file: string) => {
      const manifest = await readManifest(place, FORM);
      return manifest && (await readArtifactFile(place, manifest, file)).toString('utf8');
    };

    it('gives back what it took in, on every machine', async () => {
      const text = fresh();
      const hash = await submit(text);
      expect(hash).toBe(sha256(text));
      for (const at of [store, elsewhere]) {
        expect((await bytesOf(await at.readUpload('acme', hash))).toString()).toBe(text);
        const place = at.place('acme', hash);
        expect(await place.withUpload(async (file) => readFileSync(file, 'utf8'))).toBe(text);
      }
    });

    it('takes in large documents', async () => {
      const bytes = Buffer.alloc(LARGE_BYTES, fresh());
      const hash = await submit(bytes);
      const back = await elsewhere
        .place('acme', hash)
        .withUpload(async (file) => sha256(readFileSync(file)));
      expect(back).toBe(sha256(bytes));
    });

    it('refuses documents that are empty or too large, and keeps nothing of them', async () => {
      const receive = (text: string) =>
        store.receive(Readable.from(text === '' ? [] : [Buffer.from(text)]), 10);
      await expect(receive('')).rejects.toMatchObject({ code: 'GP_INPUT_EMPTY' });
      await expect(receive('x'.repeat(11))).rejects.toMatchObject({
        code: 'GP_REQUEST_TOO_LARGE',
      });
      expect(await readdir(path.join(store.root, 'uploads'))).toEqual([]);
    });

    it('takes no name of a client for a place', () => {
      const hash = sha256('x');
      expect(() => store.place('../acme', hash)).toThrow('no place');
      expect(() => store.place('acme', '../../etc')).toThrow('no place');
      expect(() => store.place('acme', hash).context('../x')).toThrow('no context');
    });

    it('has an artifact whole or not at all', async () => {
      const hash = await submit(fresh());
      const at = (from: ContentStore) => from.place('acme', hash).text(KEY);
      const killed = writeArtifact(at(store), FORM, {}, async (folder) => {
        writeFileSync(path.join(folder, 'a.txt'), 'half');
        throw new Error('killed');
      });
      await expect(killed).rejects.toThrow('killed');
      expect(await readManifest(at(elsewhere), FORM)).toBeNull();
      const manifest = await write(at(store), { 'a.txt': 'all', 'b.txt': 'of it' });
      expect(await readManifest(at(elsewhere), FORM)).toEqual(manifest);
      expect(await read(at(elsewhere), 'b.txt')).toBe('of it');
      expect(await isWholeArtifact(at(elsewhere), FORM)).toBe(true);
      await artifactAt(at(elsewhere)).remove();
      expect(await readManifest(at(store), FORM)).toBeNull();
      expect(await isWholeArtifact(at(store), FORM)).toBe(false);
    });

    it('replaces an artifact by one with another key', async () => {
      const place = store.place('acme', await submit(fresh())).context(KEY);
      await write(place, { 'a.txt': 'first' }, 'one');
      await write(place, { 'a.txt': 'second' }, 'two');
      expect((await readManifest(place, FORM))!.key).toEqual({ key: 'two' });
      expect(await read(place, 'a.txt')).toBe('second');
    });

    it('is one whole artifact after writers that finish together', async () => {
      const hash = await submit(fresh());
      const writers = [store, elsewhere, store, elsewhere, store, elsewhere];
      await Promise.all(
        writers.map((at, n) =>
          write(at.place('acme', hash).pages(KEY), { 'a.txt': `a${n}`, 'b.txt': `b${n}` }),
        ),
      );
      const place = elsewhere.place('acme', hash).pages(KEY);
      expect(await isWholeArtifact(place, FORM)).toBe(true);
      const [a, b] = [await read(place, 'a.txt'), await read(place, 'b.txt')];
      expect(a!.slice(1)).toBe(b!.slice(1));
    });

    it('finds damage, and is mended by whoever writes it anew', async () => {
      const hash = await submit(fresh());
      const file = fresh();
      const at = (from: ContentStore) => from.place('acme', hash).context(KEY);
      await write(at(store), { 'a.bin': file });
      await setUp().damage(at(store), 'a.bin');
      await expect(read(at(elsewhere), 'a.bin')).rejects.toMatchObject({
        code: 'GP_ARTIFACT_DAMAGED',
      });
      expect(await isWholeArtifact(at(elsewhere), FORM)).toBe(false);
      await write(at(elsewhere), { 'a.bin': file });
      const third = await setUp().open();
      expect(await read(at(third), 'a.bin')).toBe(file);
    });

    it('keeps what is under way file by file', async () => {
      const hash = await submit(fresh());
      const [here, there] = [store, elsewhere].map((at) =>
        artifactAt(at.place('acme', hash).pages(KEY)).unfinished(),
      ) as [FileSet, FileSet];
      expect(await here.names()).toEqual([]);
      expect(await here.read('page.png')).toBeNull();
      await here.put('page.png', 'one');
      await here.put('page.png', 'two');
      await here.put('page.json', '{}');
      expect((await here.names()).sort()).toEqual(['page.json', 'page.png']);
      expect((await there.read('page.png'))!.toString()).toBe('two');
      const target = path.join(mkdtempSync(path.join(os.tmpdir(), 'glyphpress-test-')), 'x');
      await there.copyTo('page.png', target);
      expect(readFileSync(target, 'utf8')).toBe('two');
      await there.remove();
      const third = artifactAt((await setUp().open()).place('acme', hash).pages(KEY)).unfinished();
      expect(await third.names()).toEqual([]);
    });

    it('keeps visual tokens page by page, and encodes those that are missing', async () => {
      const hash = await submit(fresh());
      let encoded = 0;
      const model = {
        encodeImage: async () => {
          encoded++;
          return {
            gridThw: [1, 2, 2],
            tokenGrid: { rows: 1, cols: 2 },
            tokens: Float32Array.from([1, 0.5, -2, 4]),
          };
        },
      } as unknown as VisionLanguageModel;
      const png = Buffer.from(
        'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
        'base64',
      );
      const at = (from: ContentStore) => from.place('acme', hash).tokens(KEY);
      const first = await ensureEncodedPage(model, at(store), { index: 0, png });
      const again = await ensureEncodedPage(model, at(elsewhere), { index: 0, png });
      expect(again).toEqual({ image: first.image, encoded: false });
      expect([encoded, await countEncodedPages(at(elsewhere))]).toEqual([1, 1]);
    });

    it('knows its contents, and removes one with all that was made of it', async () => {
      const text = fresh();
      const [hash, other] = [await submit(text), await submit(text, 'other')];
      const place = store.place('acme', hash);
      await write(place.context(KEY), { 'a.txt': 'a' });
      await artifactAt(place.pages(KEY)).unfinished().put('page.png', 'x');
      await write(store.place('other', other).text(KEY), { 'a.txt': 'a' });
      const known = async () => {
        const tenants: string[] = [];
        for await (const content of elsewhere.contents())
          if (content.hash === hash) tenants.push(content.tenant);
        return tenants;
      };
      expect((await known()).sort()).toEqual(['acme', 'other']);
      await store.removeContent('acme', hash);
      expect(await known()).toEqual(['other']);
      expect(await readManifest(place.context(KEY), FORM)).toBeNull();
      expect(await read(store.place('other', other).text(KEY), 'a.txt')).toBe('a');
      await store.removeContent('acme', hash); // once more is no fault
    });

    it('removes one context and leaves what others share', async () => {
      const place = store.place('acme', await submit(fresh()));
      const hash = placeName(place).split('/').at(-1)!;
      await write(place.context(KEY), { 'page.png': 'shared', 'context.bin': 'one' });
      await write(place.context(OTHER_KEY), { 'page.png': 'shared', 'context.bin': 'two' });
      await store.removeContext('acme', hash, KEY);
      expect(await readManifest(place.context(KEY), FORM)).toBeNull();
      const left = elsewhere.place('acme', hash).context(OTHER_KEY);
      expect(await isWholeArtifact(left, FORM)).toBe(true);
      expect(await read(left, 'page.png')).toBe('shared');
    });

    it('tidies up after work that was given up', async () => {
      const hash = await submit(fresh());
      const place = store.place('acme', hash);
      const tokens = (key: string) => place.tokens(key);
      await write(place.text(KEY), { 'source.txt': 'text' });
      expect(await store.mayBeUntidy('acme', hash)).toBe(false);
      const model = {
        encodeImage: async () => ({
          gridThw: [1, 2, 2],
          tokenGrid: { rows: 1, cols: 1 },
          tokens: new Float32Array(1),
        }),
      } as unknown as VisionLanguageModel;
      const png = Buffer.from(
        'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
        'base64',
      );
      for (const key of [KEY, OTHER_KEY])
        await ensureEncodedPage(model, tokens(key), { index: 0, png });
      const work = artifactAt(place.pages(KEY)).unfinished();
      await work.put('page.png', 'x');
      expect(await elsewhere.mayBeUntidy('acme', hash)).toBe(true);
      await store.removeUnfinished('acme', hash, new Set([KEY]));
      const later = await setUp().open();
      const left = later.place('acme', hash);
      expect(await countEncodedPages(left.tokens(KEY))).toBe(1);
      expect(await countEncodedPages(left.tokens(OTHER_KEY))).toBe(0);
      expect(await artifactAt(left.pages(KEY)).unfinished().names()).toEqual([]);
      expect(await read(left.text(KEY), 'source.txt')).toBe('text');
    });

    it('tells contents that came a moment ago from those without their document', async () => {
      const hash = await submit(fresh());
      expect(await elsewhere.isYoung('acme', hash)).toBe(true);
      expect(await elsewhere.isYoung('acme', sha256(fresh()))).toBe(false);
    });
  });
}
