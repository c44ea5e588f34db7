/** Remembers in which folder an artifact was written, so that its key leads back to it. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../output-folder.js';
import { keyName } from './artifact-key.js';
import { writeWhole } from './write-whole.js';

export class ArtifactFolderIndex {
  readonly #index: string;

  /** @param index folder of the notes, one file a key */
  constructor(index: string) {
    this.#index = index;
  }

  async remember(key: Record<string, string>, folder: string): Promise<void> {
    await makeFolder(this.#index);
    await writeWhole(this.#note(key), JSON.stringify({ folder: path.resolve(folder) }));
  }

  /** @returns the folder last remembered; whether it still holds the artifact is for the caller to check */
  async recall(key: Record<string, string>): Promise<string | null> {
    try {
      const note = JSON.parse(await readFile(this.#note(key), 'utf8')) as { folder?: unknown };
      return typeof note.folder === 'string' ? note.folder : null;
    } catch {
      return null; // no note, or one that cannot be read: the artifact is made anew
    }
  }

  #note(key: Record<string, string>): string {
    return path.join(this.#index, `${keyName(key)}.json`);
  }
}
