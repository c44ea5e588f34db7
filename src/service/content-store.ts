/**
 * Where documents lie. What was made from the same bytes lies in one folder of its tenant, so equal
 * documents share it; tenants share nothing, because even the time saved would tell of the other's.
 */

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GlyphpressError } from '../errors.js';
import { isTenant } from '../queue/document-record.js';

export interface Upload {
  /** Temporary; {@link ContentStore.adopt} moves it to its place. */
  file: string;
  bytes: number;
  /** SHA-256 of the bytes, hex. */
  hash: string;
}

/** The folders and files of one content. */
export interface ContentPlace {
  folder: string;
  upload: string;
  text(key: string): string;
  pages(key: string): string;
  tokens(key: string): string;
  context(key: string): string;
}

const HASH = /^[0-9a-f]{64}$/;
const KEY = /^[0-9a-f]{32}$/;

/** An upload that nobody adopted within this time was given up. */
const STALE_UPLOAD_MS = 24 * 3_600_000;

export class ContentStore {
  readonly #root: string;

  constructor(dataFolder: string) {
    this.#root = path.join(path.resolve(dataFolder), 'store');
  }

  get root(): string {
    return this.#root;
  }

  place(tenant: string, hash: string): ContentPlace {
    if (!isTenant(tenant) || !HASH.test(hash)) throw new Error(`no place for ${tenant} ${hash}`);
    const folder = path.join(this.#root, 'tenants', tenant, hash.slice(0, 2), hash);
    const named = (kind: string) => (key: string) => {
      if (!KEY.test(key)) throw new Error(`no ${kind} called ${key}`);
      return path.join(folder, `${kind}-${key}`);
    };
    return {
      folder,
      upload: path.join(folder, 'upload'),
      text: named('text'),
      pages: named('pages'),
      tokens: named('tokens'),
      context: named('context'),
    };
  }

  /**
   * Takes bytes in, counted as they come.
   *
   * @throws {GlyphpressError} GP_REQUEST_TOO_LARGE, GP_INPUT_EMPTY
   */
  async receive(source: Readable, maxBytes: number): Promise<Upload> {
    const folder = path.join(this.#root, 'uploads');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = path.join(folder, `${randomBytes(12).toString('hex')}.partial`);
    const hash = createHash('sha256');
    let bytes = 0;
    const count = new Transform({
      transform(chunk: Buffer, _, done) {
        bytes += chunk.length;
        if (bytes > maxBytes) {
          done(tooLarge(maxBytes));
          return;
        }
        hash.update(chunk);
        done(null, chunk);
      },
    });
    try {
      await pipeline(source, count, createWriteStream(file, { mode: 0o600 }));
      if (bytes === 0) {
        throw new GlyphpressError('GP_INPUT_EMPTY', {
          message: 'The document is empty',
          hint: 'Send a document with text.',
        });
      }
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
    return { file, bytes, hash: hash.digest('hex') };
  }

  /** Puts an upload where its content belongs; it may lie there already. */
  async adopt(tenant: string, { file, hash }: Upload): Promise<void> {
    const { folder, upload } = this.place(tenant, hash);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rename(file, upload);
  }

  async discard({ file }: Upload): Promise<void> {
    await rm(file, { force: true });
  }

  readUpload(tenant: string, hash: string): ReadStream {
    return createReadStream(this.place(tenant, hash).upload);
  }

  /** Takes a content away at once; the bytes go while others may already write it anew. */
  async removeContent(tenant: string, hash: string): Promise<void> {
    await this.#throwAway(this.place(tenant, hash).folder);
  }

  async removeContext(tenant: string, hash: string, key: string): Promise<void> {
    await this.#throwAway(this.place(tenant, hash).context(key));
  }

  /** Contents without an owner, uploads that were given up, and what a crash left half deleted. */
  async sweep(isOwned: (tenant: string, hash: string) => Promise<boolean>): Promise<number> {
    let removed = 0;
    const trash = path.join(this.#root, 'trash');
    for (const name of await namesIn(trash)) {
      await rm(path.join(trash, name), { recursive: true, force: true });
      removed++;
    }
    const uploads = path.join(this.#root, 'uploads');
    for (const name of await namesIn(uploads)) {
      if (await isOlder(path.join(uploads, name), STALE_UPLOAD_MS)) {
        await rm(path.join(uploads, name), { force: true });
        removed++;
      }
    }
    const tenants = path.join(this.#root, 'tenants');
    for (const tenant of await namesIn(tenants)) {
      for (const start of await namesIn(path.join(tenants, tenant))) {
        for (const hash of await namesIn(path.join(tenants, tenant, start))) {
          if (!isTenant(tenant) || !HASH.test(hash)) continue;
          const { folder } = this.place(tenant, hash);
          // A young one may be on its way to its first record.
          if (!(await isOlder(folder, 3_600_000)) || (await isOwned(tenant, hash))) continue;
          await this.removeContent(tenant, hash);
          removed++;
        }
      }
    }
    return removed;
  }

  async #throwAway(folder: string): Promise<void> {
    const trash = path.join(this.#root, 'trash');
    await mkdir(trash, { recursive: true, mode: 0o700 });
    const doomed = path.join(trash, randomBytes(12).toString('hex'));
    try {
      await rename(folder, doomed);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    await rm(doomed, { recursive: true, force: true });
  }
}

export function tooLarge(maxBytes: number): GlyphpressError {
  return new GlyphpressError('GP_REQUEST_TOO_LARGE', {
    message: `The document has more than ${maxBytes} bytes`,
    hint: 'Split the document, or raise the limit of the service.',
    details: { maxBytes },
  });
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function isOlder(file: string, ms: number): Promise<boolean> {
  const info = await stat(file).catch(() => null);
  return info !== null && Date.now() - info.mtimeMs > ms;
}
