/**
 * Where documents lie. What was made from the same bytes lies in one folder of its tenant, so equal
 * documents share it; tenants share nothing, because even the time saved would tell of the other's.
 */

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import { readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GlyphpressError } from '../errors.js';
import { makeFolder } from '../output-folder.js';
import { isTenant } from '../queue/document-record.js';
import { isLeftover, PROCESS_TAG, PROCESS_TAG_PATTERN } from '../store/process-tag.js';

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

const YOUNG_MS = 3_600_000;

/** Kept free for documents that were taken already, and for the Redis that knows of them. */
const RESERVED_BYTES = 64 * 1024 ** 2;

/** A name that says which process writes the file. */
const TAGGED = new RegExp(`^(${PROCESS_TAG_PATTERN})\\.[0-9a-f]+\\.partial$`);

/** Pages that are being drawn, and what is written under a name of its own first. */
const UNFINISHED = /^(pages-[0-9a-f]{32}\.work|.*\.partial(\.old)?)$/;

const TOKENS = /^tokens-([0-9a-f]{32})$/;

/** The tokens of a page while they are written, with the process that does. */
const UNFINISHED_TOKENS = new RegExp(`\\.(${PROCESS_TAG_PATTERN})\\.[0-9a-f]+\\.tmp$`);

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
   * @throws {GlyphpressError} GP_REQUEST_TOO_LARGE, GP_INPUT_EMPTY; GP_STORAGE before the disk is full
   */
  async receive(source: Readable, maxBytes: number): Promise<Upload> {
    const folder = path.join(this.#root, 'uploads');
    await makeFolder(folder, 0o700);
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < RESERVED_BYTES) throw nearlyFull(bavail * bsize);
    const file = path.join(folder, `${PROCESS_TAG}.${randomBytes(12).toString('hex')}.partial`);
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
      // What is too large must not end the connection that has to say so.
      const bytesOf = source.iterator({ destroyOnReturn: false });
      await pipeline(bytesOf, count, createWriteStream(file, { mode: 0o600 }));
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
    await makeFolder(folder, 0o700);
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

  /** All contents in the store, of every tenant. */
  async *contents(): AsyncGenerator<{ tenant: string; hash: string }> {
    const tenants = path.join(this.#root, 'tenants');
    for (const tenant of await namesIn(tenants)) {
      if (!isTenant(tenant)) continue;
      for (const start of await namesIn(path.join(tenants, tenant))) {
        for (const hash of await namesIn(path.join(tenants, tenant, start)))
          if (HASH.test(hash)) yield { tenant, hash };
      }
    }
  }

  /** Uploads whose process is gone, and what a crash left half deleted. @returns how many */
  async sweep(): Promise<number> {
    let removed = 0;
    const trash = path.join(this.#root, 'trash');
    for (const name of await namesIn(trash)) {
      await rm(path.join(trash, name), { recursive: true, force: true });
      removed++;
    }
    return removed + (await removeGivenUp(path.join(this.#root, 'uploads'), TAGGED));
  }

  /**
   * Whether a content came so lately that it may be on its way to its first record. One without its
   * upload is not: work that outlived the last document wrote it.
   */
  async isYoung(tenant: string, hash: string): Promise<boolean> {
    const info = await stat(this.place(tenant, hash).upload).catch(() => null);
    return info !== null && Date.now() - info.mtimeMs < YOUNG_MS;
  }

  /** Whether work on a content left anything beside its artifacts, or visual tokens. */
  async mayBeUntidy(tenant: string, hash: string): Promise<boolean> {
    const names = await namesIn(this.place(tenant, hash).folder);
    return names.some((name) => UNFINISHED.test(name) || TOKENS.test(name));
  }

  /**
   * Removes the files of unfinished work. Only for contents without a running worker, which would
   * have to start again.
   *
   * @param tokensKeys the visual tokens that stay; null for all
   */
  async removeUnfinished(
    tenant: string,
    hash: string,
    tokensKeys: ReadonlySet<string> | null,
  ): Promise<void> {
    const { folder } = this.place(tenant, hash);
    for (const name of await namesIn(folder)) {
      const file = path.join(folder, name);
      const key = TOKENS.exec(name)?.[1];
      const isGivenUp = key !== undefined && tokensKeys !== null && !tokensKeys.has(key);
      if (isGivenUp || UNFINISHED.test(name)) await this.#throwAway(file);
      else if (key !== undefined) await removeGivenUp(file, UNFINISHED_TOKENS);
    }
  }

  async #throwAway(folder: string): Promise<void> {
    const trash = path.join(this.#root, 'trash');
    await makeFolder(trash, 0o700);
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

function nearlyFull(freeBytes: number): GlyphpressError {
  return new GlyphpressError('GP_STORAGE', {
    message: `The disk of the data folder has ${freeBytes} bytes left; ${RESERVED_BYTES} are kept for work under way`,
    hint: 'Free space, or delete documents.',
    details: { freeBytes, reservedBytes: RESERVED_BYTES },
  });
}

export function tooLarge(maxBytes: number): GlyphpressError {
  return new GlyphpressError('GP_REQUEST_TOO_LARGE', {
    message: `The document has more than ${maxBytes} bytes`,
    hint: 'Split the document; GET /v1/limits says what is taken.',
    details: { maxBytes },
  });
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** Files whose process is gone, which their names tell. @returns how many */
async function removeGivenUp(folder: string, tagged: RegExp): Promise<number> {
  let removed = 0;
  for (const name of await namesIn(folder)) {
    const tag = tagged.exec(name)?.[1];
    if (tag === undefined) continue;
    const file = path.join(folder, name);
    const info = await stat(file).catch(() => null);
    if (!info || !isLeftover(tag, info.mtimeMs)) continue;
    await rm(file, { force: true });
    removed++;
  }
  return removed;
}
