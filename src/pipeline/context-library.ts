/** Finds the context of a document again, whichever command made it. */

import path from 'node:path';
import { readManifest } from '../store/artifact-folder.js';
import { KnownFolders, keyName } from '../store/known-folders.js';
import { CONTEXT_FORM, type CompressedBody, differingParts } from './compress.js';

export class ContextLibrary {
  readonly #contexts: string;
  readonly #known: KnownFolders;

  /** @param root folder for contexts that were made for a question, and for notes of where others lie */
  constructor(root: string) {
    this.#contexts = path.join(root, 'contexts');
    this.#known = new KnownFolders(path.join(root, 'known'));
  }

  /** Notes that the context with this key lies in a folder of the user's. */
  remember(key: Record<string, string>, folder: string): Promise<void> {
    return this.#known.remember(key, folder);
  }

  /** A folder of the user's that holds the context with this key, else the library's own for it. */
  async locate(key: Record<string, string>): Promise<string> {
    const own = path.join(this.#contexts, keyName(key));
    const known = await this.#known.recall(key);
    if (known === null) return own;
    // The note may be old: the folder may be gone, damaged, or hold something else by now.
    const manifest = await readManifest<CompressedBody>(known, CONTEXT_FORM).catch(() => null);
    return manifest && differingParts(manifest.key, key).length === 0 ? known : own;
  }
}
