/** Files that appear whole or not at all: written under a temporary name, then renamed. */

import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';

/** A reader never sees half of it; of several writers at once the last one counts. */
export async function writeWhole(file: string, data: string | Buffer): Promise<void> {
  const temporary = temporaryName(file);
  await writeFile(temporary, data);
  await rename(temporary, file);
}

/** As {@link writeWhole}, before it returns. */
export function writeWholeSync(file: string, data: string): void {
  const temporary = temporaryName(file);
  writeFileSync(temporary, data);
  renameSync(temporary, file);
}

const temporaryName = (file: string) => `${file}.${randomBytes(4).toString('hex')}.tmp`;
