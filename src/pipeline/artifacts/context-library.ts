/** Finds the context of a document again, whichever command made it. */

import path from 'node:path';
import { readArtifactFile, readManifest } from '../../store/artifact-folder.js';
import { ArtifactFolderIndex } from '../../store/artifact-folder-index.js';
import { differingParts, keyName } from '../../store/artifact-key.js';
import { touchEntry } from '../../store/cache-entries.js';
import { CONTEXT_FILE } from './context-file.js';
import type { Key } from './keys.js';
import { CONTEXT_FORM, type CompressedBody } from './stored-context.js';

export class ContextLibrary {
  readonly #contexts: string;
  readonly #known: ArtifactFolderIndex;

  /** @param root folder for contexts that were made for a question, and for notes of where others lie */
  constructor(root: string) {
    this.#contexts = path.join(root, 'contexts');
    this.#known = new ArtifactFolderIndex(path.join(root, 'known'));
  }

  /** Notes that the context with this key lies in a folder of the user's. */
  remember(key: Key, folder: string): Promise<void> {
    return this.#known.remember(key, folder);
  }

  /** A folder of the user's that holds the context with this key, else the library's own for it. */
  async locate(key: Key): Promise<string> {
    const own = path.join(this.#contexts, keyName(key));
    const known = await this.#known.recall(key);
    if (known !== null && (await holds(known, key))) return known;
    await touchEntry(own);
    return own;
  }
}

/** A note may be old: the folder may be gone, damaged, or hold something else by now. */
async function holds(folder: string, key: Key): Promise<boolean> {
  try {
    const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM);
    if (!manifest || differingParts(manifest.key, key).length > 0) return false;
    await readArtifactFile(folder, manifest, CONTEXT_FILE);
    return true;
  } catch {
    return false;
  }
}
