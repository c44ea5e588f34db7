/** Named files in a folder of the disk. */

import { copyFile, link, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../output-folder.js';
import type { FileSet } from './place.js';
import { writeWhole } from './write-whole.js';

export class FolderFiles implements FileSet {
  /** @param name the folder */
  constructor(readonly name: string) {}

  read(file: string): Promise<Buffer | null> {
    return readIfThere(path.join(this.name, file));
  }

  async put(file: string, bytes: string | Buffer): Promise<void> {
    await makeFolder(this.name);
    await writeWhole(path.join(this.name, file), bytes);
  }

  async make(file: string, write: (path: string) => Promise<void>): Promise<void> {
    if (await this.#isThere()) await write(path.join(this.name, file));
  }

  copyTo(file: string, target: string): Promise<void> {
    return linkOrCopy(path.join(this.name, file), target);
  }

  names(): Promise<string[]> {
    return readdir(this.name).catch(() => []);
  }

  async remove(): Promise<void> {
    await rm(this.name, { recursive: true, force: true });
  }

  /** Made if need be, but in no folder that is gone: then the document was deleted meanwhile. */
  async #isThere(): Promise<boolean> {
    try {
      await mkdir(this.name);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return true;
      if (code === 'ENOENT') return false;
      throw error;
    }
  }
}

/** Where the file system has no hard links, or no more of them, the bytes are copied. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

/** The file as it is; null where there is none. */
export async function readIfThere(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
