/** The store that is a folder: the default, and for several machines a file system that they share. */

import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { GlyphpressError } from '../errors.js';
import { makeFolder } from '../output-folder.js';
import { isTenant } from '../queue/document-record.js';
import { PROCESS_TAG_PATTERN } from '../store/process-tag.js';
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
import { receiveInto, removeGivenUp, sweepInbox, taggedName } from './inbox.js';

/** The folders and files of one content. */
export interface ContentFolder extends ContentPlace {
  folder: string;
  upload: string;
  text(key: string): string;
  pages(key: string): string;
  tokens(key: string): string;
  context(key: string): string;
}

/** Pages that are being drawn, and what is written under a name of its own first. */
const UNFINISHED = /^(pages-[0-9a-f]{32}\.work|.*\.partial(\.old)?)$/;

const MARKER = 'marker';

const TOKENS = /^tokens-([0-9a-f]{32})$/;

/** The tokens of a page while they are written, with the process that does. */
const UNFINISHED_TOKENS = new RegExp(`\\.(${PROCESS_TAG_PATTERN})\\.[0-9a-f]+\\.tmp$`);

export class FolderStore implements ContentStore {
  readonly kind = 'folder';
  readonly #root: string;

  constructor(
    dataFolder: string,
    readonly reserveBytes = RESERVE_BYTES,
  ) {
    this.#root = path.join(path.resolve(dataFolder), 'store');
  }

  get root(): string {
    return this.#root;
  }

  get name(): string {
    return this.#root;
  }

  place(tenant: string, hash: string): ContentFolder {
    checkContent(tenant, hash);
    const folder = path.join(this.#root, 'tenants', tenant, hash.slice(0, 2), hash);
    const named = (kind: string) => (key: string) => {
      checkKey(kind, key);
      return path.join(folder, `${kind}-${key}`);
    };
    const upload = path.join(folder, 'upload');
    return {
      name: folder,
      folder,
      upload,
      withUpload: (use) => use(upload),
      text: named('text'),
      pages: named('pages'),
      tokens: named('tokens'),
      context: named('context'),
    };
  }

  receive(source: Readable, maxBytes: number): Promise<Upload> {
    return receiveInto(this.#inbox, source, maxBytes, this.reserveBytes);
  }

  async prepare(): Promise<void> {}

  async adopt(tenant: string, { file, hash }: Upload): Promise<void> {
    const { folder, upload } = this.place(tenant, hash);
    await makeFolder(folder, 0o700);
    await rename(file, upload);
  }

  async discard({ file }: Upload): Promise<void> {
    await rm(file, { force: true });
  }

  async readUpload(tenant: string, hash: string): Promise<Readable> {
    return createReadStream(this.place(tenant, hash).upload);
  }

  async removeContent(tenant: string, hash: string): Promise<void> {
    await this.#throwAway(this.place(tenant, hash).folder);
  }

  async removeContext(tenant: string, hash: string, key: string): Promise<void> {
    await this.#throwAway(this.place(tenant, hash).context(key));
  }

  bytesOf(tenant: string, hash: string): Promise<number> {
    return bytesBelow(this.place(tenant, hash).folder, new Set());
  }

  async readMarker(): Promise<string | null> {
    return readFile(path.join(this.#root, MARKER), 'utf8').catch(() => null);
  }

  async writeMarker(marker: string): Promise<void> {
    await makeFolder(this.#root, 0o700);
    await writeFile(path.join(this.#root, MARKER), marker, { flag: 'wx' }).catch((error) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
  }

  async probe(): Promise<void> {
    await makeFolder(this.#inbox, 0o700);
    const file = path.join(this.#inbox, taggedName());
    await writeFile(file, '');
    await rm(file, { force: true });
  }

  async *contents(): AsyncGenerator<{ tenant: string; hash: string }> {
    const tenants = path.join(this.#root, 'tenants');
    for (const tenant of await namesIn(tenants)) {
      if (!isTenant(tenant)) continue;
      for (const start of await namesIn(path.join(tenants, tenant))) {
        for (const hash of await namesIn(path.join(tenants, tenant, start)))
          if (isContentHash(hash)) yield { tenant, hash };
      }
    }
  }

  async sweep(): Promise<number> {
    let removed = 0;
    const trash = path.join(this.#root, 'trash');
    for (const name of await namesIn(trash)) {
      await rm(path.join(trash, name), { recursive: true, force: true });
      removed++;
    }
    return removed + (await sweepInbox(this.#inbox));
  }

  async isYoung(tenant: string, hash: string): Promise<boolean> {
    const info = await stat(this.place(tenant, hash).upload).catch(() => null);
    return info !== null && Date.now() - info.mtimeMs < YOUNG_MS;
  }

  async mayBeUntidy(tenant: string, hash: string): Promise<boolean> {
    const names = await namesIn(this.place(tenant, hash).folder);
    return names.some((name) => UNFINISHED.test(name) || TOKENS.test(name));
  }

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

  async reach(): Promise<void> {}

  async check(): Promise<string[]> {
    return [];
  }

  close(): void {}

  get #inbox(): string {
    return path.join(this.#root, 'uploads');
  }

  async #throwAway(folder: string): Promise<void> {
    const trash = path.join(this.#root, 'trash');
    const doomed = path.join(trash, randomBytes(12).toString('hex'));
    try {
      await makeFolder(trash, 0o700);
      await rename(folder, doomed);
    } catch (error) {
      const { code } = ((error as GlyphpressError).cause ?? error) as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
      // A full disk takes no new name, and gives all of them up.
      await rm(folder, { recursive: true, force: true });
      return;
    }
    await rm(doomed, { recursive: true, force: true });
  }
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** @param seen files by their place on the disk */
async function bytesBelow(folder: string, seen: Set<string>): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      bytes += await bytesBelow(file, seen);
      continue;
    }
    const info = await stat(file).catch(() => null);
    const inode = info && `${info.dev}:${info.ino}`;
    if (!info || !inode || seen.has(inode)) continue;
    seen.add(inode);
    bytes += info.size;
  }
  return bytes;
}
