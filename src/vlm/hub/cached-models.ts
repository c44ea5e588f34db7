/** Models of the hub that are on this machine. */
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { openCheckpoint } from '../checkpoint.js';
import { modelCacheDir } from '../weights/placement.js';
import { type HubModel, type HubSettings, hubSettings, repositoryFolder } from './hub-settings.js';

export interface CachedModel extends HubModel {
  commit: string;
  folder: string;
  /** Bytes of its files. */
  bytes: number;
  /** What was derived from it here: weights in other types, graphs. */
  compiled: { folder: string; bytes: number } | null;
  /** Why it cannot be used; null if it can. */
  problem: string | null;
}

/** The folder of a model that was pulled before, or undefined. */
export function findCachedModel(
  model: HubModel,
  settings: HubSettings = hubSettings(),
): string | undefined {
  const folder = repositoryFolder(model, settings);
  const ref = join(folder, 'refs', model.revision);
  const commit = existsSync(ref) ? readFileSync(ref, 'utf8').trim() : model.revision;
  const snapshot = join(folder, 'snapshots', commit);
  return existsSync(join(snapshot, 'config.json')) ? snapshot : undefined;
}

/** Every pulled model, by name; those of other kinds with what keeps them from being used. */
export async function listCachedModels({
  cacheDir = undefined as string | undefined,
  settings = hubSettings(),
} = {}): Promise<CachedModel[]> {
  const models: CachedModel[] = [];
  for (const name of (await entriesOf(settings.cacheDir)).sort()) {
    if (!name.startsWith('models--')) continue;
    const id = name.slice('models--'.length).replace('--', '/');
    const repository = join(settings.cacheDir, name);
    const revisions = await namedRevisions(repository);
    for (const commit of await entriesOf(join(repository, 'snapshots'))) {
      const folder = join(repository, 'snapshots', commit);
      const revision = revisions.get(commit) ?? commit;
      const files = await entriesOf(folder);
      const sizes = await Promise.all(files.map((file) => sizeOf(join(folder, file))));
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      models.push({ id, revision, commit, folder, bytes, ...(await describe(folder, cacheDir)) });
    }
  }
  return models;
}

/**
 * Removes a model with what was compiled from it.
 *
 * @returns what was removed
 * @throws GP_INPUT_NOT_FOUND if there is no such model
 */
export async function removeCachedModel(
  model: HubModel,
  { cacheDir = undefined as string | undefined, settings = hubSettings() } = {},
): Promise<{ folders: string[]; bytes: number }> {
  const snapshots = (await listCachedModels({ cacheDir, settings })).filter(
    ({ id }) => id === model.id,
  );
  const repository = repositoryFolder(model, settings);
  if (!existsSync(repository)) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `There is no model ${model.id} in ${settings.cacheDir}.`,
      hint: 'See glyphpress model list.',
      details: { id: model.id },
    });
  }
  const compiled = snapshots.flatMap((snapshot) => snapshot.compiled ?? []);
  const folders = [repository, ...new Set(compiled.map(({ folder }) => folder))];
  const bytes = await Promise.all(folders.map(bytesBelow));
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
  return { folders, bytes: bytes.reduce((sum, size) => sum + size, 0) };
}

async function describe(
  folder: string,
  cacheDir: string | undefined,
): Promise<Pick<CachedModel, 'compiled' | 'problem'>> {
  try {
    const checkpoint = openCheckpoint(folder);
    const compiled = modelCacheDir(checkpoint, cacheDir);
    checkpoint.close();
    const bytes = existsSync(compiled) ? await bytesBelow(compiled) : 0;
    return { compiled: bytes > 0 ? { folder: compiled, bytes } : null, problem: null };
  } catch (error) {
    if (!(error instanceof GlyphpressError)) throw error;
    return { compiled: null, problem: error.message };
  }
}

/** Commit → the branch or tag that it was pulled under. */
async function namedRevisions(repository: string): Promise<Map<string, string>> {
  const revisions = new Map<string, string>();
  const refs = join(repository, 'refs');
  for (const name of await entriesOf(refs, true)) {
    const file = join(refs, name);
    if ((await stat(file)).isFile()) revisions.set(readFileSync(file, 'utf8').trim(), name);
  }
  return revisions;
}

async function entriesOf(folder: string, recursive = false): Promise<string[]> {
  return readdir(folder, { recursive }).catch(() => []);
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (info) => (info.isFile() ? info.size : 0),
    () => 0,
  );
}

/** Files only, links not followed twice: blobs are counted where they lie. */
async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map((entry) => sizeOf(join(entry.parentPath, entry.name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
