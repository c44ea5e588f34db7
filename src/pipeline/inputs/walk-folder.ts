/** The files of a folder in the order of their names, and what is left out, with the reason. */

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { isArtifactFolder, MANIFEST_FILE } from '../../store/artifact-folder.js';
import { IgnoreRules } from './ignore-rules.js';

export interface SkippedInput {
  name: string;
  reason: string;
}

export interface FolderFiles {
  /** Paths below the folder. */
  files: string[];
  skipped: SkippedInput[];
}

/** More is no folder of documents but a disk. */
const MAX_ENTRIES = 50_000;

/** Folders written by package managers: they contain no documents. */
const INSTALLED = new Set(['node_modules', '__pycache__', 'venv']);

/**
 * Hidden files, what .gitignore names, and installed packages are left out; links are not followed.
 *
 * @param matches which files are wanted, by their path below the folder with `/` between
 * @throws {GlyphpressError} GP_INPUT_UNREADABLE for a folder of more than 50,000 entries
 */
export async function walkFolder(
  folder: string,
  matches: (relative: string) => boolean = () => true,
  signal?: AbortSignal,
): Promise<FolderFiles> {
  const found: FolderFiles = { files: [], skipped: [] };
  let entries = 0;
  const walk = async (at: string, rules: IgnoreRules): Promise<void> => {
    signal?.throwIfAborted();
    const names = await readdir(at, { withFileTypes: true });
    if (names.some(({ name }) => name === MANIFEST_FILE) && (await isArtifactFolder(at))) {
      found.skipped.push({
        name: `${path.relative(folder, at).split(path.sep).join('/') || '.'}/`,
        reason: 'made by glyphpress; ask it by itself',
      });
      return;
    }
    entries += names.length;
    if (entries > MAX_ENTRIES) throw tooMany(folder);
    names.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of names) {
      const file = path.join(at, entry.name);
      const relative = path.relative(folder, file).split(path.sep).join('/');
      const isFolder = entry.isDirectory();
      if (!isFolder && !matches(relative)) continue;
      const reason = reasonToSkip(entry, isFolder, rules.ignores(file, isFolder));
      if (reason !== null)
        found.skipped.push({ name: isFolder ? `${relative}/` : relative, reason });
      else if (isFolder) await walk(file, await rules.below(file));
      else found.files.push(relative);
    }
  };
  await walk(folder, await IgnoreRules.of(folder));
  return found;
}

function reasonToSkip(
  entry: { name: string; isSymbolicLink(): boolean; isFile(): boolean },
  isFolder: boolean,
  isIgnored: boolean,
): string | null {
  if (entry.name.startsWith('.')) return 'hidden';
  if (isFolder && INSTALLED.has(entry.name)) return 'installed packages';
  if (isIgnored) return 'ignored by .gitignore';
  if (entry.isSymbolicLink()) return 'a symbolic link';
  if (!isFolder && !entry.isFile()) return 'no regular file';
  return null;
}

function tooMany(folder: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_UNREADABLE', {
    message: `${folder} holds more than ${MAX_ENTRIES} entries`,
    hint: "Name what you mean, for example 'docs/**/*.md'.",
    details: { folder, limit: MAX_ENTRIES },
  });
}
