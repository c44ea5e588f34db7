/** What the file system refuses, as an error of ours. */

import { GlyphpressError } from '../errors.js';

const STORAGE_CODES = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EMFILE', 'EIO']);

/** @returns GP_STORAGE for a disk that is full, read-only, forbidden or broken; null for all else */
export function storageFailure(error: unknown): GlyphpressError | null {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (syscall === undefined || !STORAGE_CODES.has(code ?? '')) return null;
  return new GlyphpressError('GP_STORAGE', {
    // What it says names paths of the machine; `cause` has it for the log.
    message: `The disk refused a file (${code})`,
    hint: 'Free space, or let the service write to its data folder.',
    details: { systemCode: code },
    cause: error,
  });
}
