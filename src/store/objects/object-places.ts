/**
 * Results in an object store. The files of an artifact lie under the sums of their bytes, shared by
 * all artifacts of a content, and its manifest, which names them, is put last and in one go: there is
 * no half of an artifact, and of several writers at once one counts with all its files.
 */

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GlyphpressError } from '../../errors.js';
import { makeFolder } from '../../output-folder.js';
import { sha256Hex } from '../../sha256.js';
import { checksums } from '../artifact-folder.js';
import { differingParts } from '../artifact-key.js';
import type { FileCache } from '../file-cache.js';
import {
  type ArtifactForm,
  type FileSum,
  MANIFEST_FILE,
  type Manifest,
  manifestText,
  parseManifest,
} from '../manifest.js';
import type { ArtifactPlace, FileSet } from '../place.js';
import type { ObjectStore } from './object-store.js';

export interface ObjectTools {
  objects: ObjectStore;
  cache: FileCache;
  /** A name on this machine that is not taken, for a file or a folder; swept when this process is gone. */
  scratch(): string;
}

/** Files that are put at the same time. */
const CONCURRENCY = 8;

/** Names of files are listed again after so long. */
const NAMES_MS = 1_000;

/** Writers that finish at the same time replace each other; more than this many in a row is a fault. */
const REPLACE_ATTEMPTS = 20;

/** Of the copy on this machine. The key names the tenant: what one has read is not sooner there for another. */
export const copyName = (key: string) => sha256Hex(key);

/** Where the files of all artifacts of a content lie. */
export const blobsOf = (content: string) => `${content}/blobs/`;

export class ObjectFiles implements FileSet {
  readonly name: string;
  readonly #tools: ObjectTools;
  readonly #prefix: string;
  #listed: { names: Set<string>; atMs: number } | null = null;

  constructor(tools: ObjectTools, prefix: string) {
    this.name = `${tools.objects.name}/${prefix}`;
    this.#tools = tools;
    this.#prefix = `${prefix}/`;
  }

  read(file: string): Promise<Buffer | null> {
    const key = this.#key(file);
    return this.#tools.cache.read(copyName(key), (local) => this.#fetch(key, local));
  }

  async put(file: string, bytes: string | Buffer): Promise<void> {
    const { objects, cache } = this.#tools;
    const key = this.#key(file);
    const body = Buffer.from(bytes);
    await objects.put(key, body);
    await cache.put(copyName(key), body);
    this.#listed?.names.add(file);
  }

  async make(file: string, write: (path: string) => Promise<void>): Promise<void> {
    const { objects, cache, scratch } = this.#tools;
    const key = this.#key(file);
    await inScratch(scratch(), async (folder) => {
      const local = path.join(folder, 'file');
      await write(local);
      await objects.put(key, { file: local, bytes: (await stat(local)).size });
      await cache.adopt(copyName(key), local);
    });
    this.#listed?.names.add(file);
  }

  async copyTo(file: string, target: string): Promise<void> {
    const key = this.#key(file);
    const { cache } = this.#tools;
    const found = await cache.copyTo(copyName(key), target, (local) => this.#fetch(key, local));
    if (!found) throw missing(key);
  }

  /** As they were a second ago at most, with those that came from here. */
  async names(): Promise<string[]> {
    const { objects } = this.#tools;
    if (!this.#listed || Date.now() - this.#listed.atMs > NAMES_MS) {
      const names = new Set<string>();
      for await (const { key } of objects.list(this.#prefix))
        names.add(key.slice(this.#prefix.length));
      this.#listed = { names, atMs: Date.now() };
    }
    return [...this.#listed.names];
  }

  async remove(): Promise<void> {
    this.#listed = null;
    await removeBelow(this.#tools.objects, this.#prefix);
  }

  #key(file: string): string {
    return `${this.#prefix}${file}`;
  }

  async #fetch(key: string, local: string): Promise<'keep' | 'gone'> {
    return (await download(this.#tools.objects, key, local)) === null ? 'gone' : 'keep';
  }
}

export class ObjectArtifact implements ArtifactPlace {
  readonly name: string;
  readonly #tools: ObjectTools;
  readonly #key: string;
  readonly #blobs: string;

  /**
   * @param content the key that all artifacts of one content share
   * @param artifact its own name
   */
  constructor(tools: ObjectTools, content: string, artifact: string) {
    this.#tools = tools;
    this.#key = `${content}/${artifact}`;
    this.#blobs = blobsOf(content);
    this.name = `${tools.objects.name}/${this.#key}`;
  }

  async readManifest(): Promise<string | null> {
    return (await this.#manifest())?.text ?? null;
  }

  /**
   * Bytes that do not match twice are thrown away in the store, so that whoever makes the file anew
   * finds its place free.
   */
  async readFile(_: string, expected: FileSum): Promise<Buffer | null> {
    const { objects, cache } = this.#tools;
    const { sha256 } = expected;
    const key = `${this.#blobs}${sha256}`;
    let outcome = 'keep' as 'keep' | 'once' | 'gone';
    const fetch = async (local: string) => {
      const sum = await download(objects, key, local);
      outcome = sum === null ? 'gone' : sum === sha256 ? 'keep' : 'once';
      return outcome;
    };
    const copy = copyName(key);
    const bytes = await cache.read(copy, fetch);
    if (bytes && sha256Hex(bytes) === sha256) return bytes;
    if (bytes) await cache.forget(copy);
    const again = bytes && (await cache.read(copy, fetch));
    if (again && outcome === 'once') await objects.remove([key]);
    return again;
  }

  /** What the store says of its objects; their bytes are compared when they are read. */
  async holds({ files }: Manifest<unknown>): Promise<boolean> {
    const sizes = await this.#sizes(Object.keys(files).length);
    for (const { bytes, sha256 } of Object.values(files)) {
      const size = sizes
        ? sizes.get(sha256)
        : (await this.#tools.objects.head(`${this.#blobs}${sha256}`))?.bytes;
      if (size !== bytes) return false;
    }
    return true;
  }

  async write<Body>(
    form: ArtifactForm,
    key: Record<string, string>,
    fill: (folder: string) => Promise<Body>,
  ): Promise<Manifest<Body>> {
    return inScratch(this.#tools.scratch(), async (folder) => {
      const body = await fill(folder);
      const manifest = { ...form, key, body, files: await checksums(folder) };
      await this.#putFiles(folder, manifest.files);
      return this.#putManifest(manifest);
    });
  }

  async remove(): Promise<void> {
    await this.#tools.objects.remove([this.#manifestKey]);
  }

  unfinished(): FileSet {
    return new ObjectFiles(this.#tools, `${this.#key}.work`);
  }

  pathOf(): undefined {}

  get #manifestKey(): string {
    return `${this.#key}/${MANIFEST_FILE}`;
  }

  #manifest(): Promise<{ text: string; etag: string } | null> {
    return this.#tools.objects.get(this.#manifestKey, async (stream, etag) => {
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return { text: Buffer.concat(chunks).toString('utf8'), etag };
    });
  }

  /** Of everything of this content, where asking for it takes fewer requests than asking for each. */
  async #sizes(files: number): Promise<Map<string, number> | null> {
    if (files <= 2) return null;
    const sizes = new Map<string, number>();
    for await (const { key, bytes } of this.#tools.objects.list(this.#blobs))
      sizes.set(key.slice(this.#blobs.length), bytes);
    return sizes;
  }

  async #putFiles(folder: string, files: Record<string, FileSum>): Promise<void> {
    const { objects, cache } = this.#tools;
    const there = await this.#sizes(Object.keys(files).length);
    await inParallel(Object.entries(files), async ([name, { bytes, sha256 }]) => {
      const file = path.join(folder, name);
      const key = `${this.#blobs}${sha256}`;
      if (there?.get(sha256) !== bytes) await objects.put(key, { file, bytes }, { sha256 });
      await cache.adopt(copyName(key), file);
    });
  }

  /** The first whole artifact with this key stays; anything else that is there is replaced. */
  async #putManifest<Body>(manifest: Manifest<Body>): Promise<Manifest<Body>> {
    const body = Buffer.from(manifestText(manifest));
    for (let attempt = 1; attempt <= REPLACE_ATTEMPTS; attempt++) {
      const found = await this.#manifest();
      const other = found && parseManifest<Body>(found.text);
      if (other && isSame(other, manifest) && (await this.holds(other))) return other;
      const condition = found ? { etag: found.etag } : ('absent' as const);
      if (await this.#tools.objects.put(this.#manifestKey, body, { condition })) return manifest;
    }
    throw new GlyphpressError('GP_STORE_UNAVAILABLE', {
      message: `${this.name} was replaced by others ${REPLACE_ATTEMPTS} times in a row`,
      hint: 'Try again.',
    });
  }
}

function isSame(one: Manifest<unknown>, other: Manifest<unknown>): boolean {
  return (
    one.kind === other.kind &&
    one.version === other.version &&
    differingParts(one.key, other.key).length === 0
  );
}

/** @returns the SHA-256 of what came; null where there is no such object */
export function download(objects: ObjectStore, key: string, local: string): Promise<string | null> {
  return objects.get(key, async (stream: Readable) => {
    const hash = createHash('sha256');
    const count = new Transform({
      transform(chunk: Buffer, _, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(stream, count, createWriteStream(local, { mode: 0o600 }));
    return hash.digest('hex');
  });
}

export async function removeBelow(objects: ObjectStore, prefix: string): Promise<void> {
  await objects.remove(keysOf(objects, prefix));
}

async function* keysOf(objects: ObjectStore, prefix: string): AsyncGenerator<string> {
  for await (const { key } of objects.list(prefix)) yield key;
}

async function inScratch<T>(folder: string, use: (folder: string) => Promise<T>): Promise<T> {
  await makeFolder(path.dirname(folder), 0o700);
  await mkdir(folder, { mode: 0o700 });
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
}

function missing(key: string): GlyphpressError {
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${key} is not in the object store`,
    hint: 'It is made again when the step is tried again.',
    details: { key },
  });
}
