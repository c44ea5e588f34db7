/** Results by the hash of all that they depend on: one small file each, safe between processes. */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder } from '../output-folder.js';
import { sha256Hex } from '../sha256.js';
import { writeWhole } from '../store/write-whole.js';

export class ResultCache {
  /** @param folder holds nothing else */
  constructor(private readonly folder: string) {}

  /** The result under this key, else that of `work`, which is kept. */
  async get<Result>(key: unknown, work: () => Promise<Result>): Promise<Result> {
    const name = sha256Hex(JSON.stringify(key)).slice(0, 32);
    const file = path.join(this.folder, name.slice(0, 2), `${name}.json`);
    const known = await readResult<Result>(file);
    if (known !== null) return known;
    const result = await work();
    await makeFolder(path.dirname(file));
    await writeWhole(file, JSON.stringify({ key, result }));
    return result;
  }
}

/** @returns null if it is missing or damaged: then it is made again */
async function readResult<Result>(file: string): Promise<Result | null> {
  try {
    return (JSON.parse(await readFile(file, 'utf8')) as { result: Result }).result;
  } catch {
    return null;
  }
}
