/**
 * Fetches a model from the hub into the cache that huggingface_hub uses too: blobs by their checksum,
 * snapshots of links to them, refs that name snapshots. What was fetched before is not fetched again, and
 * what was cut off goes on where it stopped.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { copyFile, open, rename, rm, stat, statfs, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { ListFileEntry } from '@huggingface/hub';
import { GlyphpressError } from '../../errors.js';
import { makeFolder, unusableOutput } from '../../output-folder.js';
import { hubError, isConnectionError } from './hub-error.js';
import {
  type HubModel,
  type HubSettings,
  hubSettings,
  repositoryFolder,
  requireHubName,
} from './hub-settings.js';

export interface PullOptions {
  settings?: HubSettings;
  /** Bytes of all files, and how many of them are here. */
  onProgress?: (done: number, total: number, file: string) => void;
  signal?: AbortSignal;
}

export interface PulledModel {
  id: string;
  revision: string;
  commit: string;
  folder: string;
  files: number;
  bytes: number;
  /** Of them, what was here before. */
  cachedBytes: number;
}

/** Configs, tokenizer, template, weights and licence; the same weights in other formats are left out. */
const WANTED =
  /^([\w.-]+\.(json|jinja|txt)|(?!consolidated)[\w.-]+\.safetensors|LICENSE[\w.-]*|README\.md)$/;

/** How often a request whose connection broke is made by itself. */
const ATTEMPTS = 4;
const PAUSE_MS = 500;

/**
 * @param name `owner/name` or `owner/name@revision`
 * @throws GP_HUB_REFUSED (no such model, no access, not a model folder), GP_HUB_UNAVAILABLE (no
 *   connection, broken off, damaged on the way), GP_STORAGE and others where the disk refuses
 */
export async function pullModel(
  name: string,
  { settings = hubSettings(), onProgress, signal }: PullOptions = {},
): Promise<PulledModel> {
  const model = requireHubName(name);
  if (settings.offline) {
    throw new GlyphpressError('GP_HUB_REFUSED', {
      message: `HF_HUB_OFFLINE is set; ${model.id} cannot be fetched.`,
      hint: 'Unset HF_HUB_OFFLINE.',
    });
  }
  const folder = repositoryFolder(model, settings);
  const commit = await commitOf(model, settings);
  const files = await wantedFiles(model, commit, settings);
  await makeFolder(join(folder, 'blobs'));
  const unlock = lock(folder);
  try {
    const total = files.reduce((sum, { size }) => sum + size, 0);
    const states = await Promise.all(files.map((file) => stateOf(folder, file)));
    const cachedBytes = states.reduce((sum, { done }, n) => sum + (done ? files[n]!.size : 0), 0);
    const present = states.reduce((sum, { bytes }) => sum + bytes, 0);
    await checkSpace(folder, total - present);
    let done = cachedBytes;
    for (const [n, file] of files.entries()) {
      signal?.throwIfAborted();
      if (!states[n]!.done) {
        const from = done;
        await fetchBlob({ model, commit, file, folder, settings, signal }, (bytes) =>
          onProgress?.(from + bytes, total, file.path),
        );
        done += file.size;
      }
      await linkSnapshot(folder, commit, file);
      onProgress?.(done, total, file.path);
    }
    await nameRevision(folder, model.revision, commit);
    return {
      ...model,
      commit,
      folder: join(folder, 'snapshots', commit),
      files: files.length,
      bytes: total,
      cachedBytes,
    };
  } finally {
    unlock();
  }
}

/** Loaded here, since most of what imports this file fetches nothing. */
const hubClient = () => import('@huggingface/hub');

async function commitOf({ id, revision }: HubModel, settings: HubSettings): Promise<string> {
  const what = `${id} at ${revision}`;
  const { modelInfo } = await hubClient();
  const { sha } = await persistently(what, settings, () =>
    modelInfo({ ...access(settings), name: id, revision, additionalFields: ['sha'] }),
  );
  if (/^[0-9a-f]{40}$/.test(sha)) return sha;
  throw hubError(new Error('the answer names no commit'), what, settings);
}

async function wantedFiles(
  { id }: HubModel,
  commit: string,
  settings: HubSettings,
): Promise<ListFileEntry[]> {
  const { listFiles } = await hubClient();
  const files = await persistently(`the files of ${id}`, settings, async () => {
    const found: ListFileEntry[] = [];
    for await (const entry of listFiles({ ...access(settings), repo: id, revision: commit })) {
      if (entry.type === 'file' && WANTED.test(entry.path)) found.push(entry);
    }
    return found;
  });
  const has = (pattern: RegExp) => files.some(({ path }) => pattern.test(path));
  if (has(/^config\.json$/) && has(/\.safetensors$/)) return files;
  throw new GlyphpressError('GP_HUB_REFUSED', {
    message: `${id} holds no ${has(/^config\.json$/) ? 'safetensors weights' : 'config.json'}: it is not a model folder that can be read.`,
    hint: 'Look for the original upload of the model; quantised and GGUF uploads often hold one file only.',
    details: { id, commit },
  });
}

/** Tries again where the connection broke or the server is in trouble. */
async function persistently<T>(
  what: string,
  settings: HubSettings,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof GlyphpressError || signal?.aborted) throw cause;
      if (!isConnectionError(cause) || attempt === ATTEMPTS) throw hubError(cause, what, settings);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
    }
  }
}

interface BlobRequest {
  model: HubModel;
  commit: string;
  file: ListFileEntry;
  folder: string;
  settings: HubSettings;
  signal: AbortSignal | undefined;
}

async function fetchBlob(request: BlobRequest, onBytes: (done: number) => void): Promise<void> {
  const { file, folder, settings, model } = request;
  const target = join(folder, 'blobs', checksum(file));
  const incomplete = `${target}.incomplete`;
  const what = `${file.path} of ${model.id}`;
  const work = () => continueFile(request, incomplete, onBytes);
  await persistently(what, settings, work, request.signal);
  if ((await checksumOf(incomplete, file)) !== checksum(file)) {
    await rm(incomplete, { force: true });
    throw new GlyphpressError('GP_HUB_UNAVAILABLE', {
      message: `${what} came damaged: its checksum is not the one that the hub states. It was thrown away.`,
      hint: 'Run the command again; if it happens again, check the mirror or proxy.',
      details: { file: file.path, expected: checksum(file) },
    });
  }
  await rename(incomplete, target);
}

/** Appends what is missing. */
async function continueFile(
  { model, commit, file, settings, signal }: BlobRequest,
  incomplete: string,
  onBytes: (done: number) => void,
): Promise<void> {
  const before = await sizeOf(incomplete);
  // More than all of it is somebody else's file.
  if (before > file.size) await rm(incomplete);
  let done = before > file.size ? 0 : before;
  if (done === file.size && existsSync(incomplete)) return;
  const { downloadFile } = await hubClient();
  const blob = await downloadFile({
    ...access(settings),
    repo: model.id,
    path: file.path,
    revision: commit,
    // Plain ranges over HTTP: what was cut off can go on.
    xet: false,
  });
  if (!blob) throw hubError(new Error('it is not there'), `${file.path} of ${model.id}`, settings);
  const handle = await openBlob(incomplete);
  try {
    const rest = done === 0 ? blob : blob.slice(done, file.size);
    for await (const piece of rest.stream() as unknown as AsyncIterable<Uint8Array>) {
      signal?.throwIfAborted();
      await handle.appendFile(piece).catch((cause) => {
        throw unusableOutput(incomplete, cause, spaceHint(file.size - done));
      });
      done += piece.byteLength;
      onBytes(done);
    }
  } finally {
    await handle.close();
  }
  if (done < file.size) throw new TypeError('terminated');
}

async function openBlob(file: string) {
  try {
    return await open(file, 'a');
  } catch (cause) {
    throw unusableOutput(file, cause);
  }
}

/** Large files have the SHA-256 of their bytes, small ones the object name that git gives them. */
function checksum({ lfs, oid }: ListFileEntry): string {
  return lfs?.oid ?? oid!;
}

async function checksumOf(path: string, { lfs, size }: ListFileEntry): Promise<string> {
  const hash: Hash = lfs ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function stateOf(
  folder: string,
  file: ListFileEntry,
): Promise<{ done: boolean; bytes: number }> {
  const target = join(folder, 'blobs', checksum(file));
  if ((await sizeOf(target)) === file.size && existsSync(target)) {
    return { done: true, bytes: file.size };
  }
  return { done: false, bytes: Math.min(await sizeOf(`${target}.incomplete`), file.size) };
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** A link to the blob where the system has links, else a copy. */
async function linkSnapshot(folder: string, commit: string, file: ListFileEntry): Promise<void> {
  const link = join(folder, 'snapshots', commit, file.path);
  if (existsSync(link)) return;
  const blob = join(folder, 'blobs', checksum(file));
  await makeFolder(dirname(link));
  await rm(link, { force: true });
  try {
    await symlink(relative(dirname(link), blob), link);
  } catch {
    await copyFile(blob, link);
  }
}

async function nameRevision(folder: string, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  const file = join(folder, 'refs', revision);
  await makeFolder(dirname(file));
  await writeFile(file, commit);
}

async function checkSpace(folder: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new GlyphpressError('GP_STORAGE', {
    message: `The model needs ${megabytes(needed)} more in ${folder}; ${megabytes(free)} are free.`,
    hint: spaceHint(needed),
    details: { path: folder, needed, free },
  });
}

function spaceHint(bytes: number): string {
  return `Free ${megabytes(bytes)} there, or set HF_HOME to a folder with space.`;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`;
}

function access({ endpoint, token }: HubSettings) {
  return { hubUrl: endpoint, ...(token !== undefined && { accessToken: token }) };
}

/** Two processes must not append to one file. A lock whose process is gone is taken over. */
function lock(folder: string): () => void {
  const file = join(folder, '.glyphpress-pull');
  const holder = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  if (holder > 0 && holder !== process.pid && isRunning(holder)) {
    throw new GlyphpressError('GP_HUB_UNAVAILABLE', {
      message: `Process ${holder} is fetching this model already.`,
      hint: 'Wait until it is done.',
      details: { pid: holder, file },
    });
  }
  return takeLock(file);
}

function takeLock(file: string): () => void {
  writeFileSync(file, String(process.pid));
  return () => unlinkSync(file);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}
