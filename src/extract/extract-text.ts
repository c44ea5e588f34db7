/**
 * Bytes of a document → its text. Formats with a parser are read in a child process that has limits
 * of time and memory, writes nothing and starts nothing.
 */

import { fork } from 'node:child_process';
import { tmpdir } from 'node:os';
import { type ErrorCode, GlyphpressError } from '../errors.js';
import { builtFile } from '../package-file.js';
import type { ChildMessage, ChildReply } from './child.js';
import type { Extraction } from './extraction.js';
import type { Format } from './formats.js';

export interface ExtractLimits {
  /** @defaultValue 120,000 */
  timeoutMs?: number;
  /** Of the child's heap. @defaultValue 1,024 */
  memoryMb?: number;
  /** Pages or chapters that are read, of how many; for formats that have them. */
  onProgress?: (done: number, total: number) => void;
}

/** Codes that the child may answer with; anything else it says is a format that cannot be read. */
const CHILD_CODES: readonly ErrorCode[] = ['GP_INPUT_ENCRYPTED', 'GP_INPUT_SCANNED'];

/**
 * @throws {GlyphpressError} GP_INPUT_FORMAT; GP_INPUT_EMPTY for a document without text, GP_INPUT_SCANNED
 *   for one of pictures, GP_INPUT_ENCRYPTED for one that is locked
 */
export async function extractFormat(
  file: string,
  format: Format,
  signal: AbortSignal,
  limits: ExtractLimits = {},
): Promise<Extraction> {
  const reply = await ask(file, format, signal, limits);
  if ('text' in reply) {
    if (reply.text.trim() !== '') return reply;
    throw new GlyphpressError('GP_INPUT_EMPTY', {
      message: 'The document holds no text',
      hint: 'Scanned pages are pictures: run them through text recognition first.',
      details: { format },
    });
  }
  const { error, problem } = reply;
  throw new GlyphpressError(CHILD_CODES.find((code) => code === error?.code) ?? 'GP_INPUT_FORMAT', {
    message: error?.message ?? `The document cannot be read: ${problem}`,
    hint: error?.hint ?? 'Save it again with the program that made it, or hand it in as text.',
    details: { format },
  });
}

function ask(
  file: string,
  format: Format,
  signal: AbortSignal,
  { timeoutMs = 120_000, memoryMb = 1_024, onProgress }: ExtractLimits,
): Promise<ChildReply> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = fork(entry(), [format, file], {
      execArgv: [`--max-old-space-size=${memoryMb}`, permissionFlag(), '--allow-fs-read=*'],
      // Nothing of ours is for it to know.
      env: { TMPDIR: tmpdir() },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced',
      detached: false,
    });
    let ended = false;
    const end = (finish: () => void) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      child.kill('SIGKILL');
      finish();
    };
    const abort = () => end(() => reject(signal.reason));
    const timer = setTimeout(
      () => end(() => resolve(gaveUp(`it takes longer than ${timeoutMs / 1000} s`))),
      timeoutMs,
    );
    signal.addEventListener('abort', abort, { once: true });
    child.on('message', (message: ChildMessage) => {
      if (!('progress' in message)) end(() => resolve(message));
      else if (!ended) onProgress?.(message.progress.done, message.progress.total);
    });
    child.once('error', (error) => end(() => reject(error)));
    child.once('exit', (code, by) =>
      end(() => resolve(gaveUp(`its reader ended (${by ?? code}), perhaps out of memory`))),
    );
  });
}

function gaveUp(problem: string): ChildReply {
  return { error: null, problem };
}

/** The flag's name changed when it became stable. */
function permissionFlag(): string {
  return process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
}

/** @throws {GlyphpressError} GP_SERVICE */
function entry(): string {
  const file = builtFile('src/extract/child.ts');
  if (file !== null) return file;
  throw new GlyphpressError('GP_SERVICE', {
    message: 'The document reader src/extract/child.ts is not built',
    hint: 'Run npm run build.',
  });
}
