/**
 * Documents in an object store, for machines that share no disk. What comes in and what was used
 * lately lies on this machine too, within bounds.
 */

import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { GlyphpressError } from '../errors.js';
import { makeFolder } from '../output-folder.js';
import { isTenant } from '../queue/document-record.js';
import { FileCache } from '../store/file-cache.js';
import { parseManifest } from '../store/manifest.js';
import {
  blobsOf,
  copyName,
  download,
  ObjectArtifact,
  ObjectFiles,
  type ObjectTools,
  removeBelow,
} from '../store/objects/object-places.js';
import type { ObjectStore } from '../store/objects/object-store.js';
import {
  type ContentPlace,
  type ContentStore,
  checkContent,
  checkKey,
  isContentHash,
  type Upload,
  YOUNG_MS,
} from './content-store.js';
import { RESERVE_BYTES } from './disk-room.js';
import { receiveInto, sweepInbox, taggedName } from './inbox.js';

export interface ObjectContentOptions {
  objects: ObjectStore;
  /** Of this machine: for what comes in, what is being made, and the cache. */
  dataFolder: string;
  cacheBytes: number;
  reserveBytes?: number | undefined;
}

const MARKER = 'marker';

/** What lies in a content, by the names below its key. */
const WORK = /^pages-[0-9a-f]{32}\.work$/;
const TOKENS = /^tokens-([0-9a-f]{32})$/;
const ARTIFACT = /^(text|pages|context)-[0-9a-f]{32}$/;

/** An upload in parts that was not finished by then never will be. */
const ABANDONED_MS = 24 * 3_600_000;

export class ObjectContentStore implements ContentStore {
  readonly kind = 'objects';
  readonly root: string;
  readonly reserveBytes: number;
  readonly #objects: ObjectStore;
  readonly #tools: ObjectTools;

  constructor({ objects, dataFolder, cacheBytes, reserveBytes }: ObjectContentOptions) {
    this.reserveBytes = reserveBytes ?? RESERVE_BYTES;
    this.root = path.join(path.resolve(dataFolder), 'objects');
    this.#objects = objects;
    const cache = new FileCache(this.#local('cache'), cacheBytes);
    const scratch = () => path.join(this.#local('scratch'), taggedName());
    this.#tools = { objects, cache, scratch };
  }

  get name(): string {
    return this.#objects.name;
  }

  place(tenant: string, hash: string): ContentPlace {
    checkContent(tenant, hash);
    const content = contentKey(tenant, hash);
    const named = (kind: string, key: string) => {
      checkKey(kind, key);
      return `${kind}-${key}`;
    };
    const artifact = (kind: string) => (key: string) =>
      new ObjectArtifact(this.#tools, content, named(kind, key));
    return {
      name: `${this.#objects.name}/${content}`,
      withUpload: (use) => this.#withUpload(tenant, hash, use),
      text: artifact('text'),
      pages: artifact('pages'),
      tokens: (key) => new ObjectFiles(this.#tools, `${content}/${named('tokens', key)}`),
      context: artifact('context'),
    };
  }

  receive(source: Readable, maxBytes: number): Promise<Upload> {
    return receiveInto(this.#local('uploads'), source, maxBytes, this.reserveBytes);
  }

  /** The bytes go before anybody has to wait for them. They are always put: what is damaged is mended so. */
  async prepare(tenant: string, { file, bytes, hash }: Upload): Promise<void> {
    checkContent(tenant, hash);
    await this.#objects.put(uploadKey(tenant, hash), { file, bytes }, { sha256: hash });
  }

  async adopt(tenant: string, upload: Upload): Promise<void> {
    const { file, hash } = upload;
    // The last document with these bytes may have been deleted since they were put.
    const there = await this.#objects.head(uploadKey(tenant, hash));
    if (there?.bytes !== upload.bytes) await this.prepare(tenant, upload);
    await this.#tools.cache.adopt(copyName(uploadKey(tenant, hash)), file);
    await rm(file, { force: true });
  }

  async discard({ file }: Upload): Promise<void> {
    await rm(file, { force: true });
  }

  async readUpload(tenant: string, hash: string): Promise<Readable> {
    const file = await this.#localUpload(tenant, hash);
    const stream = createReadStream(file);
    stream.once('close', () => void rm(file, { force: true }));
    return stream;
  }

  async removeContent(tenant: string, hash: string): Promise<void> {
    await removeBelow(this.#objects, `${contentKey(tenant, hash)}/`);
  }

  async removeContext(tenant: string, hash: string, key: string): Promise<void> {
    const content = contentKey(tenant, hash);
    await new ObjectArtifact(this.#tools, content, `context-${key}`).remove();
    await this.#removeUnnamed(content);
  }

  async bytesOf(tenant: string, hash: string): Promise<number> {
    let sum = 0;
    for await (const { bytes } of this.#objects.list(`${contentKey(tenant, hash)}/`)) sum += bytes;
    return sum;
  }

  async readMarker(): Promise<string | null> {
    return this.#objects.get(MARKER, async (stream) => (await buffer(stream)).toString('utf8'));
  }

  async writeMarker(marker: string): Promise<void> {
    await this.#objects.put(MARKER, Buffer.from(marker), { condition: 'absent' });
  }

  async probe(): Promise<void> {
    await this.#objects.probe();
  }

  async *contents(): AsyncGenerator<{ tenant: string; hash: string }> {
    for await (const tenant of this.#objects.below('tenants/')) {
      if (!isTenant(tenant)) continue;
      for await (const hash of this.#objects.below(`tenants/${tenant}/`))
        if (isContentHash(hash)) yield { tenant, hash };
    }
  }

  async sweep(): Promise<number> {
    // Not every store has a list of them, and not every key the right to it.
    const abandoned = await this.#objects.removeAbandonedUploads(ABANDONED_MS).catch((error) => {
      if (error instanceof GlyphpressError && error.code === 'GP_STORE_REFUSED') return 0;
      throw error;
    });
    return abandoned + (await this.#sweepHere());
  }

  async isYoung(tenant: string, hash: string): Promise<boolean> {
    const info = await this.#objects.head(uploadKey(tenant, hash));
    return info !== null && Date.now() - info.modifiedMs < YOUNG_MS;
  }

  async mayBeUntidy(tenant: string, hash: string): Promise<boolean> {
    for await (const name of this.#objects.below(`${contentKey(tenant, hash)}/`))
      if (WORK.test(name) || TOKENS.test(name)) return true;
    return false;
  }

  async removeUnfinished(
    tenant: string,
    hash: string,
    tokensKeys: ReadonlySet<string> | null,
  ): Promise<void> {
    const content = contentKey(tenant, hash);
    let removed = false;
    for await (const name of this.#objects.below(`${content}/`)) {
      const key = TOKENS.exec(name)?.[1];
      const isGivenUp = key !== undefined && tokensKeys !== null && !tokensKeys.has(key);
      if (!isGivenUp && !WORK.test(name)) continue;
      await removeBelow(this.#objects, `${content}/${name}/`);
      removed = true;
    }
    if (removed) await this.#removeUnnamed(content);
  }

  async reach(): Promise<void> {
    for await (const _ of this.#objects.list('probe/')) break;
  }

  /** Also clears away what processes that are gone left on this machine. */
  async check(): Promise<string[]> {
    await this.#sweepHere();
    const { conditions } = await this.#objects.probe();
    if (conditions) return [];
    return [
      `${this.name} ignores the conditions of writes (If-None-Match): of two workers that make the same artifact the last one counts, not the first`,
    ];
  }

  close(): void {
    this.#objects.close();
  }

  async #sweepHere(): Promise<number> {
    let removed = 0;
    for (const name of ['uploads', 'scratch', 'cache'])
      removed += await sweepInbox(this.#local(name));
    return removed;
  }

  #local(name: string): string {
    return path.join(this.root, name);
  }

  /** Files that no manifest of a content names. Those that are young may be waiting for theirs. */
  async #removeUnnamed(content: string): Promise<void> {
    const named = new Set<string>();
    for await (const name of this.#objects.below(`${content}/`)) {
      if (!ARTIFACT.test(name)) continue;
      const text = await new ObjectArtifact(this.#tools, content, name).readManifest();
      const manifest = text === null ? null : parseManifest(text);
      for (const { sha256 } of Object.values(manifest?.files ?? {})) named.add(sha256);
    }
    const blobs = blobsOf(content);
    const doomed: string[] = [];
    for await (const { key, modifiedMs } of this.#objects.list(blobs)) {
      const isUnnamed = !named.has(key.slice(blobs.length));
      if (isUnnamed && Date.now() - modifiedMs > YOUNG_MS) doomed.push(key);
    }
    await this.#objects.remove(doomed);
  }

  async #withUpload<T>(tenant: string, hash: string, use: (file: string) => Promise<T>) {
    const file = await this.#localUpload(tenant, hash);
    try {
      return await use(file);
    } finally {
      await rm(file, { force: true });
    }
  }

  /** A file that stays whatever becomes of the cache. @throws {GlyphpressError} GP_ARTIFACT_DAMAGED */
  async #localUpload(tenant: string, hash: string): Promise<string> {
    const file = this.#tools.scratch();
    await makeFolder(path.dirname(file), 0o700);
    const key = uploadKey(tenant, hash);
    const found = await this.#tools.cache.copyTo(copyName(key), file, async (local) => {
      const sum = await download(this.#objects, key, local);
      if (sum === null) return 'gone';
      return sum === hash ? 'keep' : 'once';
    });
    if (found) return file;
    throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
      message: 'The bytes of the document are no longer in the store',
      hint: 'Submit it again.',
    });
  }
}

function contentKey(tenant: string, hash: string): string {
  checkContent(tenant, hash);
  return `tenants/${tenant}/${hash}`;
}

const uploadKey = (tenant: string, hash: string) => `${contentKey(tenant, hash)}/upload`;
