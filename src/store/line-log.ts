/** A log of JSON, one line each, only ever added to: a process that is killed loses its last line at most. */

import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  truncateSync,
  writeSync,
} from 'node:fs';

/** Opened to be added to. */
export class LineLog {
  readonly #file: number;

  /** @param path made if there is nothing */
  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  add(entry: unknown): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }
}

/**
 * What a log holds, ready to be added to: a last line without an end is cut off.
 *
 * @param parse is given a line and its number, from 1; what it throws leaves the file as it is
 * @returns nothing for a log that does not exist
 */
export function recoverLines<Entry>(
  path: string,
  parse: (line: string, number: number) => Entry,
): Entry[] {
  if (!existsSync(path)) return [];
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf('\n') + 1;
  const lines = bytes.subarray(0, end).toString('utf8').split('\n').slice(0, -1);
  const entries = lines.map((line, i) => parse(line, i + 1));
  if (end < bytes.length) truncateSync(path, end);
  return entries;
}
