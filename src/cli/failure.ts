/** How a command ends when it fails: one clear message, JSON where JSON was asked for, an exit code. */

import { CommanderError } from 'commander';
import { GlyphpressError } from '../errors.js';
import { unusableOutput } from '../output-folder.js';

/** Exit codes: 1 the work failed, 2 the command line is off, 130 interrupted. */
export function reportFailure(error: unknown, json: boolean): number {
  // Commander has printed its own message by now; --help and --version end here with 0.
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (json) process.stdout.write(`${JSON.stringify({ error: usageError(error) })}\n`);
    return 2;
  }
  if (error instanceof Error && error.name === 'AbortError') {
    process.stderr.write('interrupted\n');
    return 130;
  }
  if (isStorageFailure(error)) {
    return reportFailure(unusableOutput(error.path ?? 'A file', error), json);
  }
  if (error instanceof GlyphpressError) {
    if (json) process.stdout.write(`${JSON.stringify({ error })}\n`);
    process.stderr.write(`error ${error.code}: ${error.message}\n  ${error.hint}\n`);
    return error.code === 'GP_USAGE' ? 2 : 1;
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (json)
    process.stdout.write(`${JSON.stringify({ error: { code: 'GP_INTERNAL', message } })}\n`);
  process.stderr.write(`internal error: ${message}\n`);
  return 1;
}

function usageError({ message }: CommanderError): GlyphpressError {
  return new GlyphpressError('GP_USAGE', {
    message: message.replace(/^error: /, ''),
    hint: 'glyphpress COMMAND --help shows what the command takes.',
  });
}

const STORAGE_CODES = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'EIO']);

function isStorageFailure(error: unknown): error is NodeJS.ErrnoException {
  return (
    !(error instanceof GlyphpressError) &&
    STORAGE_CODES.has((error as NodeJS.ErrnoException)?.code ?? '')
  );
}
