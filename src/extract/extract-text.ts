/**
 * Bytes of a document → its text. Formats with a parser are read in a child process that has limits
 * of time and memory, writes nothing and starts nothing.
 */

import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { GlyphpressError } from '../errors.js';
import type { ChildReply } from './child.js';
import type { Format } from './formats.js';

export interface ExtractLimits {
  /** @defaultValue 120,000 */
  timeoutMs?: number;
  /** Of the child's heap. @defaultValue 1,024 */
  memoryMb?: number;
}

/** @throws {GlyphpressError} GP_INPUT_FORMAT; GP_INPUT_EMPTY for a document without text */
export async function extractFormat(
  file: string,
  format: Format,
  signal: AbortSignal,
  { timeoutMs = 120_000, memoryMb = 1_024 }: ExtractLimits = {},
): Promise<string> {
  const reply = await ask(file, format, signal, timeoutMs, memoryMb);
  if ('text' in reply) {
    if (reply.text.trim() !== '') return reply.text;
    throw new GlyphpressError('GP_INPUT_EMPTY', {
      message: 'The document holds no text',
      hint: 'Scanned pages are pictures: run them through text recognition first.',
      details: { format },
    });
  }
  throw new GlyphpressError('GP_INPUT_FORMAT', {
    message: reply.error?.message ?? `The document cannot be read: ${reply.problem}`,
    hint:
      reply.error?.hint ?? 'Save it again with the program that made it, or hand it in as text.',
    details: { format },
  });
}

function ask(
  file: string,
  format: Format,
  signal: AbortSignal,
  timeoutMs: number,
  memoryMb: number,
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
    child.once('message', (reply) => end(() => resolve(reply as ChildReply)));
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

/** Tests run the sources, but a process needs JavaScript: then the built file is taken. */
function entry(): string {
  const here = import.meta.url;
  const url = here.endsWith('.ts')
    ? new URL('../../dist/extract/child.js', here)
    : new URL('./child.js', here);
  const file = fileURLToPath(url);
  if (existsSync(file)) return file;
  throw new GlyphpressError('GP_SERVICE', {
    message: `The document reader ${file} is not built`,
    hint: 'Run npm run build.',
  });
}
