/**
 * Copies of what lies elsewhere, in a folder of this machine that is kept within a bound: what was
 * used longest ago goes first. Several processes may share the folder.
 */

import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../output-folder.js';
import { linkOrCopy } from './folder-files.js';
import { PROCESS_TAG } from './process-tag.js';

/** Writes the file. @returns 'gone' where there is nothing, 'once' for what must not be kept */
export type Fetch = (file: string) => Promise<'keep' | 'once' | 'gone'>;

/** The folder is looked through after this share of the bound was added. */
const LOOK_AFTER = 1 / 8;

const isEntry = (name: string) => !name.endsWith('.partial');

export class FileCache {
  readonly #folder: string;
  readonly #maxBytes: number;
  #addedBytes = Number.POSITIVE_INFINITY; // what is there from before is not known
  #trimming: Promise<void> | null = null;

  /**
   * @param maxBytes of all entries together; each process that adds to the folder may exceed it by an
   *   eighth and one entry, until it looks again
   */
  constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** @returns null where there is nothing */
  async read(name: string, fetch: Fetch): Promise<Buffer | null> {
    const known = await readFile(this.#entry(name)).catch(() => null);
    if (known) {
      await this.#touch(name);
      return known;
    }
    return this.#fetched(name, fetch, (file) => readFile(file));
  }

  /** Brings the file to a path, as a link where possible. @returns false where there is nothing */
  async copyTo(name: string, target: string, fetch: Fetch): Promise<boolean> {
    const known = await stat(this.#entry(name)).catch(() => null);
    if (known) {
      await this.#touch(name);
      // It may have gone meanwhile.
      const linked = await linkOrCopy(this.#entry(name), target).then(
        () => true,
        () => false,
      );
      if (linked) return true;
    }
    const done = await this.#fetched(name, fetch, async (file) => {
      await linkOrCopy(file, target);
      return true;
    });
    return done ?? false;
  }

  async put(name: string, bytes: string | Buffer): Promise<void> {
    await this.#withPartial(async (file) => {
      await writeFile(file, bytes);
      await this.#keep(name, file);
    });
  }

  /** Takes a file that is at hand: as a link where possible. */
  async adopt(name: string, file: string): Promise<void> {
    await this.#withPartial(async (partial) => {
      await linkOrCopy(file, partial);
      await this.#keep(name, partial);
    });
  }

  async forget(name: string): Promise<void> {
    await rm(this.#entry(name), { force: true });
  }

  #entry(name: string): string {
    return path.join(this.#folder, name);
  }

  #fetched<T>(name: string, fetch: Fetch, use: (file: string) => Promise<T>): Promise<T | null> {
    return this.#withPartial(async (file) => {
      const outcome = await fetch(file);
      if (outcome === 'gone') return null;
      const result = await use(file);
      if (outcome === 'keep') await this.#keep(name, file);
      return result;
    });
  }

  async #withPartial<T>(use: (file: string) => Promise<T>): Promise<T> {
    await makeFolder(this.#folder, 0o700);
    const file = this.#entry(`${PROCESS_TAG}.${randomBytes(12).toString('hex')}.partial`);
    try {
      return await use(file);
    } finally {
      await rm(file, { force: true });
    }
  }

  async #keep(name: string, file: string): Promise<void> {
    const { size } = await stat(file);
    await rename(file, this.#entry(name));
    await this.#touch(name);
    this.#addedBytes += size;
    if (this.#addedBytes > this.#maxBytes * LOOK_AFTER) {
      this.#addedBytes = 0;
      this.#trimming ??= this.#trim().finally(() => {
        this.#trimming = null;
      });
    }
    await this.#trimming;
  }

  async #touch(name: string): Promise<void> {
    const now = new Date();
    await utimes(this.#entry(name), now, now).catch(() => {});
  }

  async #trim(): Promise<void> {
    const names = (await readdir(this.#folder)).filter(isEntry);
    const entries = await Promise.all(
      names.map(async (name) => ({ name, info: await stat(this.#entry(name)).catch(() => null) })),
    );
    const known = entries.flatMap(({ name, info }) =>
      info ? [{ name, bytes: info.size, usedMs: info.mtimeMs }] : [],
    );
    let left = known.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { name, bytes } of known.sort((a, b) => a.usedMs - b.usedMs)) {
      if (left <= this.#maxBytes) return;
      await this.forget(name);
      left -= bytes;
    }
  }
}
