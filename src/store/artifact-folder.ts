/**
 * A result on disk: a folder of files and a manifest with their checksums. It appears whole or not
 * at all (written under a temporary name, then renamed), and damage is found when it is read.
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
import { sha256Hex } from '../sha256.js';
import { isLeftover, PROCESS_TAG, PROCESS_TAG_PATTERN } from './process-tag.js';

export const MANIFEST_FILE = 'manifest.json';

export interface Manifest<Body> {
  /** What kind of artifact, and in which version of its form. */
  kind: string;
  version: number;
  /** What it was made from and with; equal keys, equal artifacts. */
  key: Record<string, string>;
  body: Body;
  files: Record<string, { bytes: number; sha256: string }>;
}

export interface ArtifactForm {
  kind: string;
  version: number;
}

/**
 * @param fill writes the files into the folder that it is given, and returns the manifest's body
 * @throws {GlyphpressError} GP_OUTPUT_EXISTS if `folder` holds something that is no artifact
 */
export async function writeArtifact<Body>(
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
    const text = JSON.stringify(manifest);
    await writeFile(path.join(temporary, MANIFEST_FILE), signed(text));
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
 * @returns the manifest, or null if there is no artifact in the folder
 * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED, GP_ARTIFACT_MISMATCH (another kind or version)
 */
export async function readManifest<Body>(
  folder: string,
  form: ArtifactForm,
): Promise<Manifest<Body> | null> {
  const file = path.join(folder, MANIFEST_FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return null;
    throw error;
  }
  const manifest = parseManifest<Body>(text);
  if (!manifest) throw damaged(file, 'does not match its own checksum');
  if (manifest.kind !== form.kind || manifest.version !== form.version) {
    throw new GlyphpressError('GP_ARTIFACT_MISMATCH', {
      message: `${folder} holds ${manifest.kind} version ${manifest.version}, expected ${form.kind} version ${form.version}`,
      hint: 'Make it again with this version of glyphpress.',
      details: { folder, kind: manifest.kind, version: manifest.version },
    });
  }
  return manifest;
}

/** A manifest with its checksum on a line of its own. */
function signed(json: string): string {
  return `${json}\n${sha256Hex(json)}\n`;
}

/** Whether a folder holds an artifact, of any form; what is wrong with it shows when it is read. */
export async function isArtifactFolder(folder: string): Promise<boolean> {
  const text = await readFile(path.join(folder, MANIFEST_FILE), 'utf8').catch(() => '');
  return /^\{"kind":"glyphpress-/.test(text);
}

/** @returns null for anything but what {@link signed} wrote */
function parseManifest<Body>(text: string): Manifest<Body> | null {
  const json = text.slice(0, text.indexOf('\n'));
  return json !== '' && text === signed(json) ? (JSON.parse(json) as Manifest<Body>) : null;
}

/** The bytes of one file, checked. @throws {GlyphpressError} GP_ARTIFACT_DAMAGED */
export async function readArtifactFile(
  folder: string,
  manifest: Manifest<unknown>,
  name: string,
): Promise<Buffer> {
  const file = path.join(folder, name);
  const expected = Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;
  if (!expected) throw damaged(file, 'is not in the manifest');
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw damaged(file, `cannot be read: ${(cause as Error).message}`, cause);
  }
  if (bytes.length !== expected.bytes || sha256Hex(bytes) !== expected.sha256) {
    throw damaged(file, 'does not match its checksum');
  }
  return bytes;
}

/** Whether an artifact of this form is there with every byte that its manifest tells of. */
export async function isWholeArtifact(folder: string, form: ArtifactForm): Promise<boolean> {
  try {
    const manifest = await readManifest(folder, form);
    if (!manifest) return false;
    for (const name of Object.keys(manifest.files)) await readArtifactFile(folder, manifest, name);
    return true;
  } catch (error) {
    if (error instanceof GlyphpressError) return false;
    throw error;
  }
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

async function checksums(folder: string): Promise<Manifest<unknown>['files']> {
  const files: Manifest<unknown>['files'] = {};
  for (const name of (await readdir(folder)).sort()) {
    const file = path.join(folder, name);
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
    files[name] = { bytes: (await stat(file)).size, sha256: hash.digest('hex') };
  }
  return files;
}

function damaged(file: string, problem: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${file} ${problem}`,
    hint: 'It can be made again from its source: run the command that made it.',
    details: { file },
    cause,
  });
}
