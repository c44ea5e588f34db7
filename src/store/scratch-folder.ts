/** A folder for what a process writes while it works, gone with the process, also when it is killed. */

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isLeftover, PROCESS_TAG, PROCESS_TAG_PATTERN } from './process-tag.js';

const NAME = new RegExp(`^glyphpress-(${PROCESS_TAG_PATTERN})-[A-Za-z0-9]{6}$`);

let own: string | null = null;

/** The folder of this process; what killed processes left beside it goes on the way. */
export function scratchFolder(): string {
  if (own !== null) return own;
  const parent = os.tmpdir();
  sweepScratch(parent);
  const folder = mkdtempSync(path.join(parent, `glyphpress-${PROCESS_TAG}-`));
  process.once('exit', () => remove(folder));
  own = folder;
  return folder;
}

/** Removes the folders of processes that have exited. @returns how many */
export function sweepScratch(parent: string): number {
  let removed = 0;
  for (const name of readdirSync(parent)) {
    const tag = NAME.exec(name)?.[1];
    if (tag === undefined) continue;
    const folder = path.join(parent, name);
    const info = statSync(folder, { throwIfNoEntry: false });
    if (info && isLeftover(tag, info.mtimeMs) && remove(folder)) removed++;
  }
  return removed;
}

/** @returns false where it belongs to another user, or somebody still writes into it */
function remove(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}
