/**
 * A result on disk: a folder of files and a manifest with their checksums. It appears whole or not
 * at all (written under a temporary name, then renamed), and damage is found when it is read.
 *
 * The functions take artifacts in other places, too.
 */

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  cp,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { makeFolder, unusableOutput } from '../output-folder.js';
import { FolderFiles, readIfThere } from './folder-files.js';
import {
  type ArtifactForm,
  damaged,
  type FileSum,
  MANIFEST_FILE,
  type Manifest,
  manifestText,
  matchesSum,
  parseManifest,
} from './manifest.js';
import type { AnyPlace, ArtifactPlace, FileSet } from './place.js';
import { isLeftover, PROCESS_TAG, PROCESS_TAG_PATTERN } from './process-tag.js';

export { type ArtifactForm, MANIFEST_FILE, type Manifest };

/** The folder in which an artifact lies until all of it is there. */
export function workFolderOf(folder: string): string {
  return `${folder}.work`;
}

export class ArtifactFolder implements ArtifactPlace {
  /** @param name the folder */
  constructor(readonly name: string) {}

  async readManifest(): Promise<string | null> {
    return (await readIfThere(path.join(this.name, MANIFEST_FILE)))?.toString('utf8') ?? null;
  }

  readFile(file: string, _: FileSum): Promise<Buffer | null> {
    return readIfThere(path.join(this.name, file));
  }

  async holds({ files }: Manifest<unknown>): Promise<boolean> {
    for (const [name, expected] of Object.entries(files)) {
      const bytes = await this.readFile(name, expected).catch(() => null);
      if (!bytes || !matchesSum(bytes, expected)) return false;
    }
    return true;
  }

  write<Body>(
    form: ArtifactForm,
    key: Record<string, string>,
    fill: (folder: string) => Promise<Body>,
  ): Promise<Manifest<Body>> {
    return writeFolder(this.name, form, key, fill);
  }

  async remove(): Promise<void> {
    await rm(this.name, { recursive: true, force: true });
  }

  unfinished(): FileSet {
    return new FolderFiles(workFolderOf(this.name));
  }

  pathOf(file: string): string {
    return path.join(this.name, file);
  }
}

export function artifactAt(place: AnyPlace): ArtifactPlace {
  return typeof place === 'string' ? new ArtifactFolder(place) : place;
}

/**
 * @param fill writes the files into the folder that it is given, and returns the manifest's body
 * @throws {GlyphpressError} GP_OUTPUT_EXISTS if a folder holds something that is no artifact
 */
export function writeArtifact<Body>(
  place: AnyPlace,
  form: ArtifactForm,
  key: Record<string, string>,
  fill: (folder: string) => Promise<Body>,
): Promise<Manifest<Body>> {
  return artifactAt(place).write(form, key, fill);
}

async function writeFolder<Body>(
  folder: string,
  form: ArtifactForm,
  key: Record<string, string>,
  fill: (folder: string) => Promise<Body>,
): Promise<Manifest<Body>> {
  await assertReplaceable(folder);
  // Through links: what they point to is written, they stay.
  const target = await realpath(folder).catch(() => path.resolve(folder));
  await sweepPartials(target);
  const temporary = `${target}.${PROCESS_TAG}.${randomBytes(4).toString('hex')}.partial`;
  await makeFolder(path.dirname(target));
  await mkdir(temporary).catch((error) => {
    // It lies beside the folder: what cannot be written is what holds both.
    throw unusableOutput(path.dirname(target), error);
  });
  try {
    const body = await fill(temporary);
    const manifest: Manifest<Body> = { ...form, key, body, files: await checksums(temporary) };
    await writeFile(path.join(temporary, MANIFEST_FILE), manifestText(manifest));
    await replaceFolder(temporary, target);
    return manifest;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Clears away what a killed process left of its try at the same folder; what it replaced comes back. */
async function sweepPartials(target: string): Promise<void> {
  const prefix = `${path.basename(target)}.`;
  const names = await readdir(path.dirname(target)).catch(() => []);
  for (const name of names) {
    if (!name.startsWith(prefix)) continue;
    const owner = LEFTOVER.exec(name.slice(prefix.length))?.[1];
    if (owner === undefined) continue;
    const leftover = path.join(path.dirname(target), name);
    const info = await stat(leftover).catch(() => null);
    if (!info || !isLeftover(owner, info.mtimeMs)) continue;
    // Killed between its two renames: the target is away, and this is what it held. Renaming fails
    // where the target is there.
    const restored =
      name.endsWith('.old') &&
      (await rename(leftover, target).then(
        () => true,
        () => false,
      ));
    if (!restored) await rm(leftover, { recursive: true, force: true });
  }
}

/**
 * @returns the manifest, or null if there is no artifact
 * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED, GP_ARTIFACT_MISMATCH (another kind or version)
 */
export async function readManifest<Body>(
  place: AnyPlace,
  form: ArtifactForm,
): Promise<Manifest<Body> | null> {
  const artifact = artifactAt(place);
  const { name } = artifact;
  const text = await artifact.readManifest();
  if (text === null) return null;
  const manifest = parseManifest<Body>(text);
  if (!manifest) throw damaged(`${name}/${MANIFEST_FILE}`, 'does not match its own checksum');
  if (manifest.kind !== form.kind || manifest.version !== form.version) {
    throw new GlyphpressError('GP_ARTIFACT_MISMATCH', {
      message: `${name} holds ${manifest.kind} version ${manifest.version}, expected ${form.kind} version ${form.version}`,
      hint: 'Make it again with this version of glyphpress.',
      details: { folder: name, kind: manifest.kind, version: manifest.version },
    });
  }
  return manifest;
}

/** Whether a folder holds an artifact, of any form; what is wrong with it shows when it is read. */
export async function isArtifactFolder(folder: string): Promise<boolean> {
  const text = await readFile(path.join(folder, MANIFEST_FILE), 'utf8').catch(() => '');
  return /^\{"kind":"glyphpress-/.test(text);
}

/** The bytes of one file, checked. @throws {GlyphpressError} GP_ARTIFACT_DAMAGED */
export async function readArtifactFile(
  place: AnyPlace,
  manifest: Manifest<unknown>,
  name: string,
): Promise<Buffer> {
  const artifact = artifactAt(place);
  const file = `${artifact.name}/${name}`;
  const expected = Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;
  if (!expected) throw damaged(file, 'is not in the manifest');
  let bytes: Buffer | null;
  try {
    bytes = await artifact.readFile(name, expected);
  } catch (cause) {
    if (cause instanceof GlyphpressError) throw cause;
    throw damaged(file, `cannot be read: ${(cause as Error).message}`, cause);
  }
  if (!bytes) throw damaged(file, 'is missing');
  if (!matchesSum(bytes, expected)) throw damaged(file, 'does not match its checksum');
  return bytes;
}

/** Whether an artifact of this form is there with all that its manifest tells of. */
export async function isWholeArtifact(place: AnyPlace, form: ArtifactForm): Promise<boolean> {
  try {
    const manifest = await readManifest(place, form);
    return manifest !== null && (await artifactAt(place).holds(manifest));
  } catch (error) {
    if (isArtifactProblem(error)) return false;
    throw error;
  }
}

/** What makes an artifact useless, but not what keeps it from being looked at. */
export function isArtifactProblem(error: unknown): error is GlyphpressError {
  return (
    error instanceof GlyphpressError &&
    (error.code === 'GP_ARTIFACT_DAMAGED' || error.code === 'GP_ARTIFACT_MISMATCH')
  );
}

async function assertReplaceable(folder: string): Promise<void> {
  let entries: string[];
  try {
    entries = await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw unusableOutput(folder, error);
  }
  const foreign = await foreignEntries(folder, entries);
  if (foreign.length === 0) return;
  throw new GlyphpressError('GP_OUTPUT_EXISTS', {
    message: `${folder} holds something that is no glyphpress result: ${foreign.slice(0, 3).join(', ')}`,
    hint: 'Give a new folder, or move those files away.',
    details: { folder, foreign: foreign.slice(0, 20) },
  });
}

/** What would be lost with the folder although glyphpress did not write it. */
async function foreignEntries(folder: string, entries: string[]): Promise<string[]> {
  if (!entries.includes(MANIFEST_FILE)) return entries;
  const text = await readFile(path.join(folder, MANIFEST_FILE), 'utf8').catch(() => null);
  if (text === null) return entries;
  const manifest = parseManifest<unknown>(text);
  if (!manifest) return isDamagedManifest(text) ? [] : entries;
  return entries.filter((name) => name !== MANIFEST_FILE && !Object.hasOwn(manifest.files, name));
}

/** Other programs call files manifest.json too; even a damaged one of ours shows its form. */
function isDamagedManifest(text: string): boolean {
  return /^[\0\s]*$|^\{"kind":"glyphpress-|\n[0-9a-f]{64}\n$/.test(text);
}

/** Writers that finish at the same time replace each other; more than this many in a row is a fault. */
const REPLACE_ATTEMPTS = 20;

const LEFTOVER = new RegExp(`^(${PROCESS_TAG_PATTERN})\\.[0-9a-f]{8}\\.partial(?:\\.old)?$`);

/** Swaps folders; a reader sees the old or the new one, for an instant none, never a mixture. */
async function replaceFolder(from: string, to: string): Promise<void> {
  if (await isHeldInPlace(to)) return fillFolder(from, to);
  const old = `${from}.old`;
  for (let attempt = 1; ; attempt++) {
    const replaced = await renameIfPresent(to, old);
    try {
      await rename(from, to);
    } catch (error) {
      const overtaken = ['ENOTEMPTY', 'EEXIST'].includes(errorCode(error));
      if (overtaken) await rm(old, { recursive: true, force: true });
      else if (replaced) await rename(old, to);
      if (overtaken && attempt < REPLACE_ATTEMPTS) continue;
      throw error;
    }
    if (replaced) await rm(old, { recursive: true, force: true });
    return;
  }
}

/** A mount point cannot be renamed, and the working directory should not be pulled from under the user. */
async function isHeldInPlace(folder: string): Promise<boolean> {
  if (folder === process.cwd()) return true;
  const deviceOf = (name: string) => stat(name).catch(() => null);
  const [own, parent] = await Promise.all([deviceOf(folder), deviceOf(path.dirname(folder))]);
  return own !== null && parent !== null && own.dev !== parent.dev;
}

/** The manifest goes first and comes last: in between there is no artifact, never a mixture. */
async function fillFolder(from: string, to: string): Promise<void> {
  const names = await readdir(from);
  for (const name of [MANIFEST_FILE, ...(await readdir(to))]) {
    await rm(path.join(to, name), { recursive: true, force: true });
  }
  for (const name of [...names.filter((name) => name !== MANIFEST_FILE), MANIFEST_FILE]) {
    await cp(path.join(from, name), path.join(to, name));
  }
  await rm(from, { recursive: true, force: true });
}

async function renameIfPresent(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

/** Of all files in a folder, by name. */
export async function checksums(folder: string): Promise<Manifest<unknown>['files']> {
  const files: Manifest<unknown>['files'] = {};
  for (const name of (await readdir(folder)).sort()) {
    const file = path.join(folder, name);
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
    files[name] = { bytes: (await stat(file)).size, sha256: hash.digest('hex') };
  }
  return files;
}
