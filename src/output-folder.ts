/** Output folders: how they are created, and the errors if they cannot be. */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from './errors.js';

/**
 * Makes a folder with those above it; one that exists is left as it is.
 *
 * In the place of `mkdir(…, { recursive: true })`, which never returns on file systems that answer
 * ENOENT below a folder that is there, as `/proc` does (Node 20.20, 22.23 and 24.21 on Linux).
 *
 * @param mode of the folders that are made; the process's umask applies
 * @throws {GlyphpressError} as {@link unusableOutput}
 */
export async function makeFolder(folder: string, mode?: number): Promise<void> {
  for (const missing of missingFolders(folder)) {
    try {
      await mkdir(missing, { mode });
    } catch (cause) {
      // Another process may have made it meanwhile.
      if (!(await isFolder(missing))) throw unusableOutput(folder, cause);
    }
  }
}

/** As {@link makeFolder}, before it returns. */
export function makeFolderSync(folder: string, mode?: number): void {
  for (const missing of missingFolders(folder)) {
    try {
      mkdirSync(missing, { mode });
    } catch (cause) {
      if (!isFolderSync(missing)) throw unusableOutput(folder, cause);
    }
  }
}

/** From the top down. The folder itself is always among them: making it tells a file from a folder. */
function missingFolders(folder: string): string[] {
  let next = path.resolve(folder);
  const missing = [next];
  for (;;) {
    const parent = path.dirname(next);
    if (parent === next || existsSync(parent)) return missing;
    missing.unshift(parent);
    next = parent;
  }
}

const isFolder = (name: string) =>
  stat(name).then(
    (info) => info.isDirectory(),
    () => false,
  );

function isFolderSync(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch {
    return false;
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? 'unknown';

/** Nothing goes there, whatever space there is. */
const FORBIDDEN: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOENT: 'the file system does not allow new files there',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
};

/** Something else stands in the way. */
const OCCUPIED = new Set(['ENOTDIR', 'EEXIST', 'EISDIR']);

/**
 * @param folder or file that was to be written
 * @param cause what the system said
 * @param hint in the place of a general one
 * @returns GP_OUTPUT_UNWRITABLE (no right to write there), GP_OUTPUT_EXISTS (a file stands in the
 *   way), else GP_STORAGE (a full or broken disk)
 */
export function unusableOutput(folder: string, cause: unknown, hint?: string): GlyphpressError {
  const systemCode = codeOf(cause);
  const details = { path: folder, systemCode };
  const forbidden = FORBIDDEN[systemCode];
  if (forbidden !== undefined) {
    return new GlyphpressError('GP_OUTPUT_UNWRITABLE', {
      message: `${folder} cannot be written: ${forbidden} (${systemCode})`,
      hint: hint ?? 'Choose a place that this user may write to, or change its permissions.',
      details,
      cause,
    });
  }
  if (OCCUPIED.has(systemCode)) {
    return new GlyphpressError('GP_OUTPUT_EXISTS', {
      message: `${folder} cannot be used as a folder: ${(cause as Error).message}`,
      hint: hint ?? 'Give another output folder.',
      details,
      cause,
    });
  }
  return new GlyphpressError('GP_STORAGE', {
    message: `${folder} cannot be written: ${(cause as Error).message}`,
    hint: hint ?? 'Free space on that disk, or choose another folder.',
    details,
    cause,
  });
}
