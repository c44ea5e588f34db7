/** Inputs → one document: each file's text, found in a process of its own where it has to be parsed. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { GlyphpressError } from '../../errors.js';
import { type FileText, readFileText } from '../../extract/read-file.js';
import type { TextEncoding } from '../../extract/text-encoding.js';
import { sha256Hex } from '../../sha256.js';
import { documentId, type SourceDocument } from '../read-document.js';
import {
  type CollectedInputs,
  type CollectOptions,
  collectInputs,
  type InputFile,
} from './collect-inputs.js';
import { joinFiles } from './document-files.js';
import type { SkippedInput } from './walk-folder.js';

export interface ReadInputsOptions extends CollectOptions {
  encoding?: TextEncoding;
  onProgress?: (progress: InputProgress) => void;
}

export interface InputProgress {
  /** Files that are read, of how many. */
  done: number;
  total: number;
  /** The file that is read now, and where in it. */
  name: string;
  page?: { done: number; total: number };
}

/** An input that is part of the document. */
export interface TakenInput {
  name: string;
  mediaType: string;
  bytes: number;
  characters: number;
  /** Of plain text; null for formats that say it themselves. */
  encoding: TextEncoding | null;
  encodingGuessed: boolean;
  /** Pages of the file itself; null where it has none. */
  pages: number | null;
  /** What a reader should know: text that was lost, pages that are pictures. */
  notes: string[];
}

export interface Inputs {
  document: SourceDocument;
  taken: TakenInput[];
  skipped: SkippedInput[];
}

/** Who waits sees the progress, and may interrupt it: long PDFs take a while on a slow machine. */
const PARSER_TIMEOUT_MS = 15 * 60_000;
/** Parsers that run side by side. */
const CONCURRENCY = 2;
/** Characters of all files together. */
const MAX_CHARACTERS = 256 * 1024 ** 2;

/**
 * What is named must be readable; what a folder or a pattern finds is left out where it is not, and told.
 *
 * @throws {GlyphpressError} as {@link collectInputs} and {@link readFileText}; GP_INPUT_EMPTY when nothing is left
 */
export async function readInputs(
  inputs: readonly string[],
  options: ReadInputsOptions,
): Promise<Inputs> {
  const collected = await collectInputs(inputs, options);
  try {
    return await readCollected(inputs, collected, options);
  } finally {
    const spooled = collected.files.filter((file) => file.spooled);
    await Promise.all(spooled.map(({ path }) => rm(path, { force: true })));
  }
}

async function readCollected(
  inputs: readonly string[],
  { files, skipped }: CollectedInputs,
  options: ReadInputsOptions,
): Promise<Inputs> {
  const read = await readAll(files, options);
  const kept: { file: InputFile; content: FileText }[] = [];
  for (const { file, result } of read) {
    if (result instanceof GlyphpressError) {
      if (!file.found) throw result;
      skipped.push({ name: file.name, reason: reasonOf(result, file.name) });
    } else kept.push({ file, content: result });
  }
  if (kept.length === 0) throw nothing(inputs, skipped);
  const names = distinctNames(kept.map(({ file }) => file));
  const characters = kept.reduce((sum, { content }) => sum + content.text.length, 0);
  if (characters > MAX_CHARACTERS) throw tooMuch(characters);
  const { text, files: places } = joinFiles(
    kept.map(({ content }, n) => ({ ...content, name: names[n]! })),
  );
  const hash = kept.length === 1 ? await fileHash(kept[0]!.file.path) : sha256Hex(text);
  return {
    document: { id: documentId(hash), hash, text, files: places },
    taken: kept.map(({ file, content }, n) => ({
      name: names[n]!,
      mediaType: content.mediaType,
      bytes: file.bytes,
      characters: content.text.length,
      encoding: content.encoding,
      encodingGuessed: content.encodingGuessed,
      pages: content.pageStarts?.length ?? null,
      notes: content.notes.map(({ message }) => message),
    })),
    skipped,
  };
}

interface ReadResult {
  file: InputFile;
  result: FileText | GlyphpressError;
}

async function readAll(
  files: readonly InputFile[],
  { signal: given, encoding, onProgress }: ReadInputsOptions,
): Promise<ReadResult[]> {
  const failed = new AbortController();
  const signal = AbortSignal.any([given, failed.signal]);
  const results: ReadResult[] = [];
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < files.length) {
      signal.throwIfAborted();
      const index = next++;
      const file = files[index]!;
      const { name, mediaType } = file;
      const tell = (page?: { done: number; total: number }) =>
        onProgress?.({ done, total: files.length, name, ...(page && { page }) });
      tell();
      const result = await readFileText(file.path, {
        name,
        mediaType,
        signal,
        timeoutMs: PARSER_TIMEOUT_MS,
        ...(encoding && { encoding }),
        onProgress: (pages, total) => tell({ done: pages, total }),
      }).catch((error: Error) => asInputError(error, name));
      results[index] = { file, result };
      done++;
      // Nobody waits for the rest where one that was named cannot be read.
      if (result instanceof GlyphpressError && !file.found) {
        failed.abort();
        throw result;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, files.length) }, work));
  return results;
}

function asInputError(error: Error, name: string): GlyphpressError {
  if (error instanceof GlyphpressError) {
    const { code, message, hint, details } = error;
    // Parsers do not know what the file is called.
    return message.includes(name)
      ? error
      : new GlyphpressError(code, {
          message: `${name}: ${message}`,
          hint,
          details: { ...details, file: name },
          cause: error,
        });
  }
  if (error.name === 'AbortError') throw error;
  return new GlyphpressError('GP_INPUT_UNREADABLE', {
    message: `${name} cannot be read: ${error.message}`,
    hint: 'Give regular files that this user may read.',
    details: { file: name },
    cause: error,
  });
}

/** For the table, where the name stands beside it. */
function reasonOf({ message }: GlyphpressError, name: string): string {
  const short = message.startsWith(name) ? message.slice(name.length) : message;
  return short.replace(/^(: | is | cannot be read: )/, '').replace(/^holds no text$/, 'no text');
}

/** Files of one name are told apart by their paths. */
function distinctNames(files: readonly InputFile[]): string[] {
  const counts = new Map<string, number>();
  for (const { name } of files) counts.set(name, (counts.get(name) ?? 0) + 1);
  return files.map(({ name, path }) => (counts.get(name) === 1 ? name : path));
}

async function fileHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function nothing(inputs: readonly string[], skipped: readonly SkippedInput[]): GlyphpressError {
  const reasons = skipped.slice(0, 3).map(({ name, reason }) => `${name}: ${reason}`);
  const why =
    reasons.length > 0 ? ` (${reasons.join('; ')}${skipped.length > 3 ? '; …' : ''})` : '';
  return new GlyphpressError('GP_INPUT_EMPTY', {
    message: `There is no text in ${inputs.join(', ')}${why}`,
    hint: 'Give files with text, or name a file that was left out.',
    details: { skipped: skipped.slice(0, 100) },
  });
}

function tooMuch(characters: number): GlyphpressError {
  return new GlyphpressError('GP_INPUT_UNREADABLE', {
    message: `The inputs hold ${characters} characters; at most ${MAX_CHARACTERS} are taken`,
    hint: 'Give fewer of them.',
    details: { characters, limit: MAX_CHARACTERS },
  });
}
