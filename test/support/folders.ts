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

const NOBODY = 65_534;

/** Runs as a user whom the rights of files hold for; only root has another one to become. */
export async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
