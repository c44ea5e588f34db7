import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ArtifactFolderIndex } from '../../src/store/artifact-folder-index.js';
import { listCache, pruneCache, touchEntry } from '../../src/store/cache-entries.js';
import { namesIn, temporaryFolder } from '../support/folders.js';

const HOUR_MS = 3_600_000;

/** An entry of so many bytes that was used so many hours ago. */
function put(root: string, entry: string, bytes: number, hoursAgo: number): string {
  const folder = path.join(root, entry);
  mkdirSync(path.join(folder, 'below'), { recursive: true });
  writeFileSync(path.join(folder, 'below', 'data'), Buffer.alloc(bytes));
  const used = new Date(Date.now() - hoursAgo * HOUR_MS);
  utimesSync(folder, used, used);
  return folder;
}

function cacheOf(...entries: [entry: string, bytes: number, hoursAgo: number][]): string {
  const root = temporaryFolder();
  for (const [entry, bytes, hoursAgo] of entries) put(root, entry, bytes, hoursAgo);
  return root;
}

describe('the cache', () => {
  it('lists what was used longest ago first, with the bytes of all its files', async () => {
    const root = cacheOf(['contexts/a', 10, 1], ['pages/b', 20, 3], ['models/c', 30, 2]);
    const entries = await listCache(root);
    expect(entries.map(({ kind, name, bytes }) => [kind, name, bytes])).toEqual([
      ['pages', 'b', 20],
      ['models', 'c', 30],
      ['contexts', 'a', 10],
    ]);
    expect(await listCache(path.join(root, 'nothing'))).toEqual([]);
  });

  it('keeps to a bound: what was used longest ago goes, and no more than must', async () => {
    const root = cacheOf(
      ['contexts/new', 40, 1],
      ['contexts/old', 40, 9],
      ['pages/older', 40, 10],
      ['models/oldest', 400, 99],
    );
    const removed = await pruneCache(root, { kinds: ['contexts', 'pages'], maxBytes: 90 });
    expect(removed.map(({ name }) => name)).toEqual(['older']);
    expect(namesIn(path.join(root, 'contexts'))).toEqual(['new', 'old']);
    expect(namesIn(path.join(root, 'pages'))).toEqual([]);
    expect(namesIn(path.join(root, 'models'))).toEqual(['oldest']);
  });

  it('counts a use: what was touched goes last', async () => {
    const root = cacheOf(['contexts/a', 40, 9], ['contexts/b', 40, 8]);
    await touchEntry(path.join(root, 'contexts/a'));
    await touchEntry(path.join(root, 'contexts/missing'));
    await pruneCache(root, { maxBytes: 40 });
    expect(namesIn(path.join(root, 'contexts'))).toEqual(['a']);
  });

  it('removes what is older than asked, and keeps what may be read right now', async () => {
    const root = cacheOf(['contexts/a', 1, 50], ['contexts/b', 1, 20], ['contexts/c', 1, 0]);
    await pruneCache(root, { olderThanMs: 24 * HOUR_MS });
    expect(namesIn(path.join(root, 'contexts'))).toEqual(['b', 'c']);
    await pruneCache(root, { maxBytes: 0 });
    expect(namesIn(path.join(root, 'contexts'))).toEqual(['c']);
  });

  it('only says what would go, on a dry run', async () => {
    const root = cacheOf(['contexts/a', 1, 50]);
    expect(await pruneCache(root, { maxBytes: 0, dryRun: true })).toHaveLength(1);
    expect(namesIn(path.join(root, 'contexts'))).toEqual(['a']);
  });

  it('forgets where contexts lay that the user has removed', async () => {
    const root = temporaryFolder();
    const known = new ArtifactFolderIndex(path.join(root, 'known'));
    const [there, gone] = [put(root, 'user/there', 1, 1), path.join(root, 'user/gone')];
    await known.remember({ text: 'a' }, there);
    await known.remember({ text: 'b' }, gone);
    await pruneCache(root, {});
    expect(await known.recall({ text: 'a' })).toBe(there);
    expect(await known.recall({ text: 'b' })).toBeNull();
    expect(existsSync(there)).toBe(true);
  });
});
