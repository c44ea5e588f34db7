/** Marks unfinished files with the process that writes them, so that others can tell work from leftovers. */

import { readlinkSync } from 'node:fs';
import os from 'node:os';
import { sha256Hex } from '../sha256.js';

/** Process ids mean something within one host and one process namespace only. */
const PLACE = sha256Hex(`${os.hostname()} ${processNamespace()}`).slice(0, 8);

/** For file names: where this process runs, and which one it is. */
export const PROCESS_TAG = `${PLACE}-${process.pid}`;

/** Matches a tag inside a regular expression. */
export const PROCESS_TAG_PATTERN = '[0-9a-f]{8}-\\d+';

/** Age at which a temporary file of another machine counts as abandoned. */
const FOREIGN_LEFTOVER_MS = 7 * 24 * 3600 * 1000;

/** @param modifiedMs when the file was last changed; decides for processes that cannot be looked up from here */
export function isLeftover(tag: string, modifiedMs: number): boolean {
  const [place, pid] = tag.split('-') as [string, string];
  if (place !== PLACE) return Date.now() - modifiedMs > FOREIGN_LEFTOVER_MS;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EPERM';
  }
}

function processNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return ''; // not Linux
  }
}
