/** The files of a folder, by names that were read once: no request leads to another file. */

import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
};

export interface StaticFile {
  type: string;
  bytes: Buffer;
}

export class StaticFolder {
  readonly #folder: string;
  readonly #names: ReadonlySet<string>;

  constructor(folder: string) {
    this.#folder = folder;
    this.#names = new Set(
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && path.extname(entry.name) in TYPES)
        .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
        .map((name) => name.split(path.sep).join('/')),
    );
  }

  get names(): string[] {
    return [...this.#names];
  }

  /** @returns null for a name that is not one of the folder's */
  async read(name: string): Promise<StaticFile | null> {
    if (!this.#names.has(name)) return null;
    const bytes = await readFile(path.join(this.#folder, name));
    return { bytes, type: TYPES[path.extname(name)]! };
  }
}
