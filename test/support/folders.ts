/** Folders for tests, gone when the test or the file ends. */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, onTestFinished } from 'vitest';

function newFolder(): string {
  return mkdtempSync(path.join(os.tmpdir(), 'glyphpress-test-'));
}

const remove = (folder: string) => rmSync(folder, { recursive: true, force: true });

/** For one test; call it inside the test. */
export function temporaryFolder(): string {
  const folder = newFolder();
  onTestFinished(() => remove(folder));
  return folder;
}

/** For all tests of a file; call it at the top of the file. */
export function sharedFolder(): string {
  const folder = newFolder();
  afterAll(() => remove(folder));
  return folder;
}

export function namesIn(folder: string): string[] {
  return readdirSync(folder).sort();
}
