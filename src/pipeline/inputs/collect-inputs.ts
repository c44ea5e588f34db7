/** What the command line names → files to read: files, folders, patterns, standard input, addresses. */

import { randomUUID } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import picomatch from 'picomatch';
import { GlyphpressError } from '../../errors.js';
import { mediaTypeOf } from '../../extract/media-types.js';
import { scratchFolder } from '../../store/scratch-folder.js';
import { fetchUrl } from './fetch-url.js';
import { spoolStdin } from './spool-stdin.js';
import { type FolderFiles, type SkippedInput, walkFolder } from './walk-folder.js';

export interface CollectOptions {
  signal: AbortSignal;
  /** Whether documents may be read from the net. @defaultValue false */
  allowUrl?: boolean;
  /** Hosts that may be reached though they are not public. */
  privateHosts?: readonly string[];
  /** @defaultValue process.stdin */
  stdin?: Readable;
  /** Of one document. @defaultValue 256 MiB */
  maxBytes?: number;
}

export interface InputFile {
  /** As citations name it. */
  name: string;
  path: string;
  bytes: number;
  /** Media type declared by the sender; null if only the file name indicates it. */
  mediaType: string | null;
  /** Found in a folder or by a pattern: it may be left out where it cannot be read. */
  found: boolean;
  /** Spooled to a file that whoever reads it removes. */
  spooled?: true;
}

export interface CollectedInputs {
  files: InputFile[];
  skipped: SkippedInput[];
}

/** JavaScript strings end at 2^29 − 24 units; a document stays well below. */
export const MAX_DOCUMENT_BYTES = 256 * 1024 ** 2;

export const STDIN = '-';
export const isUrl = (argument: string) => /^https?:\/\//i.test(argument);

/**
 * In the order that they are named; what is named twice is taken once.
 *
 * @throws {GlyphpressError} GP_INPUT_NOT_FOUND, GP_INPUT_UNREADABLE, GP_INPUT_URL, GP_INPUT_FETCH, GP_USAGE
 */
export async function collectInputs(
  inputs: readonly string[],
  options: CollectOptions,
): Promise<CollectedInputs> {
  const files = new Map<string, InputFile>();
  const skipped: SkippedInput[] = [];
  const add = (file: InputFile) => {
    const key = path.resolve(file.path);
    if (!files.has(key)) files.set(key, file);
  };
  for (const input of inputs) {
    if (input === STDIN) add(await stdinFile(options));
    else if (isUrl(input)) add(await urlFile(input, options));
    else {
      const { files: named, skipped: left } = await localFiles(input, options);
      named.forEach(add);
      skipped.push(...left);
    }
  }
  return { files: [...files.values()], skipped };
}

async function localFiles(input: string, options: CollectOptions): Promise<CollectedInputs> {
  const info = await stat(input).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return null;
    throw unreadable(input, cause.message, cause);
  });
  const { maxBytes = MAX_DOCUMENT_BYTES, signal } = options;
  if (info?.isFile()) {
    if (info.size > maxBytes)
      throw unreadable(input, `it has ${info.size} bytes; at most ${maxBytes} are taken`);
    const name = shownName(input);
    return {
      files: [{ name, path: input, bytes: info.size, mediaType: null, found: false }],
      skipped: [],
    };
  }
  if (info?.isDirectory()) {
    const found = await walkFolder(path.resolve(input), undefined, signal);
    return below(input, shownName(input), found, maxBytes);
  }
  // A device may never end, a pipe cannot be read again.
  if (info) throw unreadable(input, 'it is no regular file; write the text to a file first');
  const { base, glob, isGlob } = picomatch.scan(input);
  if (!isGlob) throw missing(input);
  const folder = base === '' ? '.' : base;
  if (!(await stat(folder).catch(() => null))?.isDirectory()) throw missing(input);
  const found = await walkFolder(path.resolve(folder), picomatch(glob), signal);
  if (found.files.length === 0) throw missing(input);
  return below(folder, shownName(folder), found, maxBytes);
}

async function below(
  folder: string,
  shown: string,
  { files, skipped }: FolderFiles,
  maxBytes: number,
): Promise<CollectedInputs> {
  const nameOf = (relative: string) => (shown === '.' ? relative : `${shown}/${relative}`);
  const taken: InputFile[] = [];
  const left = skipped.map(({ name, reason }) => ({ name: nameOf(name), reason }));
  for (const relative of files) {
    const name = nameOf(relative);
    const file = path.join(folder, relative);
    const bytes = (await stat(file).catch(() => null))?.size ?? 0;
    if (bytes === 0) left.push({ name, reason: 'empty' });
    else if (bytes > maxBytes) left.push({ name, reason: `larger than ${maxBytes} bytes` });
    else taken.push({ name, path: file, bytes, mediaType: null, found: true });
  }
  return { files: taken, skipped: left };
}

/** As it was typed, where that says no more than it must: else the last part of the path. */
function shownName(input: string): string {
  const normal = path
    .normalize(input)
    .split(path.sep)
    .join('/')
    .replace(/(?<=.)\/$/, '');
  return path.isAbsolute(input) || normal.startsWith('..')
    ? path.basename(path.resolve(input))
    : normal;
}

/** @param fill writes the file, which goes again if that fails */
async function spool<Result>(
  fill: (target: string) => Promise<Result>,
): Promise<[file: string, result: Result]> {
  const file = path.join(scratchFolder(), `input-${randomUUID()}`);
  try {
    return [file, await fill(file)];
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
}

async function stdinFile(options: CollectOptions): Promise<InputFile> {
  const { stdin = process.stdin, maxBytes = MAX_DOCUMENT_BYTES, signal } = options;
  const [file] = await spool((target) => spoolStdin(stdin, target, maxBytes, signal));
  const bytes = (await stat(file)).size;
  return { name: 'stdin', path: file, bytes, mediaType: null, found: false, spooled: true };
}

async function urlFile(url: string, options: CollectOptions): Promise<InputFile> {
  if (!options.allowUrl) {
    throw new GlyphpressError('GP_USAGE', {
      message: `${url} is a URL, and URLs are not fetched by default`,
      hint: 'Add --allow-url.',
      details: { url },
    });
  }
  const { privateHosts = [], signal } = options;
  const [file, { mediaType, filename }] = await spool((target) =>
    fetchUrl(url, target, { privateHosts, signal }),
  );
  const bytes = (await stat(file)).size;
  const stated = mediaTypeOf(mediaType ?? undefined, filename === '' ? null : filename);
  return { name: url, path: file, bytes, mediaType: stated, found: false, spooled: true };
}

function missing(input: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_NOT_FOUND', {
    message: /[*?{[]/.test(input) ? `Nothing matches ${input}` : `No file or folder ${input}`,
    hint: 'Check the path. Several inputs may be given; "-" reads standard input.',
    details: { file: input },
  });
}

function unreadable(input: string, why: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_INPUT_UNREADABLE', {
    message: `${input} cannot be read: ${why}`,
    hint: 'Give regular files that this user may read.',
    details: { file: input },
    ...(cause !== undefined && { cause }),
  });
}
