/**
 * What lies in the cache folder, entry by entry, and how it is kept within a bound: what was used
 * longest ago goes first.
 *
 * An entry is used when it is made and at each {@link touchEntry}: the time is the
 * modification time of its folder, so no index can disagree with what is there.
 */

import type { Dirent } from 'node:fs';
import { readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { PROCESS_TAG } from './process-tag.js';

/** Folders of the cache whose folders are entries, and what an entry is. */
export const CACHE_KINDS = {
  contexts: 'compressed context of a document',
  pages: 'pages drawn for a model server',
  models: 'weights of a model in float32, and its graphs',
  evals: 'answers of an evaluation',
  calibrations: 'answers of a calibration',
} as const;

export type CacheKind = keyof typeof CACHE_KINDS;

/** These grow with every document that is asked; the others are few, or hold hours of work. */
export const BOUNDED_KINDS: readonly CacheKind[] = ['contexts', 'pages'];

export interface CacheEntry {
  kind: CacheKind;
  name: string;
  folder: string;
  bytes: number;
  /** When it was last used, in ms since the epoch. */
  usedAtMs: number;
}

export interface PruneOptions {
  kinds?: readonly CacheKind[];
  /** Entries go until the rest takes no more. */
  maxBytes?: number | undefined;
  /** Entries that were not used for so long go. */
  olderThanMs?: number | undefined;
  /** Only say what would go. @defaultValue false */
  dryRun?: boolean | undefined;
}

/** Somebody may be reading what was used a moment ago. */
const IN_USE_MS = 60_000;

/** @returns every entry, the one that was used longest ago first */
export async function listCache(
  root: string,
  kinds: readonly CacheKind[] = Object.keys(CACHE_KINDS) as CacheKind[],
): Promise<CacheEntry[]> {
  const entries = await Promise.all(kinds.map((kind) => entriesOf(root, kind)));
  return entries.flat().sort((a, b) => a.usedAtMs - b.usedAtMs);
}

/** Marks an entry as used now; one that was removed meanwhile is ignored. */
export async function touchEntry(folder: string): Promise<void> {
  const now = new Date();
  await utimes(folder, now, now).catch(() => {});
}

/**
 * Removes entries. What was used within the last minute stays, since somebody may be reading it.
 *
 * @returns what was removed, or would be
 */
export async function pruneCache(root: string, options: PruneOptions): Promise<CacheEntry[]> {
  const { kinds, maxBytes = Number.POSITIVE_INFINITY, olderThanMs, dryRun = false } = options;
  const now = Date.now();
  const entries = await listCache(root, kinds);
  let left = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const doomed: CacheEntry[] = [];
  for (const entry of entries) {
    const idleMs = now - entry.usedAtMs;
    if (idleMs < IN_USE_MS) continue;
    if (left <= maxBytes && !(olderThanMs !== undefined && idleMs >= olderThanMs)) continue;
    doomed.push(entry);
    left -= entry.bytes;
  }
  if (!dryRun) {
    for (const entry of doomed) await removeEntry(entry);
    await forgetMissing(path.join(root, 'known'));
  }
  return doomed;
}

/** Renamed first, so that no reader finds half an entry. */
async function removeEntry({ folder }: CacheEntry): Promise<void> {
  const away = `${folder}.${PROCESS_TAG}.pruned`;
  await rename(folder, away).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rm(away, { recursive: true, force: true });
}

async function entriesOf(root: string, kind: CacheKind): Promise<CacheEntry[]> {
  const parent = path.join(root, kind);
  const found: CacheEntry[] = [];
  for (const { name } of (await list(parent)).filter((entry) => entry.isDirectory())) {
    const folder = path.join(parent, name);
    const info = await stat(folder).catch(() => null);
    if (info)
      found.push({ kind, name, folder, bytes: await bytesIn(folder), usedAtMs: info.mtimeMs });
  }
  return found;
}

/** Files that are linked from elsewhere too count here as well. */
async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await list(folder)) {
    const place = path.join(folder, entry.name);
    if (entry.isDirectory()) bytes += await bytesIn(place);
    else bytes += (await stat(place).catch(() => null))?.size ?? 0;
  }
  return bytes;
}

/** Notes of where contexts lie in folders of the user's go with these folders. */
async function forgetMissing(notes: string): Promise<void> {
  for (const { name } of await list(notes)) {
    const note = path.join(notes, name);
    const folder = await readFile(note, 'utf8').then(
      (text) => folderIn(text),
      () => null,
    );
    if (folder === null || (await stat(folder).catch(() => null))) continue;
    await rm(note, { force: true });
  }
}

function folderIn(note: string): string | null {
  try {
    const { folder } = JSON.parse(note) as { folder?: unknown };
    return typeof folder === 'string' ? folder : null;
  } catch {
    return null;
  }
}

async function list(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
}
