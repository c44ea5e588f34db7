/**
 * Room on the disk. Part of it is held back from all work, so that Redis can write and documents can be
 * deleted; as much again is kept for documents that were taken already.
 */

import { statfsSync } from 'node:fs';
import { GlyphpressError } from '../errors.js';

/** @defaultValue of `--reserve-mb` */
export const RESERVE_BYTES = 64 * 1024 ** 2;

/** @returns null where it cannot be told, as before anything was stored */
export function freeBytes(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** Whether new documents are taken; the readiness of a service and its refusals ask this one function. */
export function hasRoomForNew(folder: string, reserveBytes = RESERVE_BYTES): boolean {
  const free = freeBytes(folder);
  return free === null || free >= 2 * reserveBytes;
}

/** @throws {GlyphpressError} GP_STORAGE */
export function assertRoomForNew(folder: string, reserveBytes = RESERVE_BYTES): void {
  if (!hasRoomForNew(folder, reserveBytes))
    throw nearlyFull(freeBytes(folder) ?? 0, 2 * reserveBytes);
}

/**
 * For work under way, before it writes.
 *
 * @param needBytes what it is about to write, so far as that is known
 * @throws {GlyphpressError} GP_STORAGE
 */
export function assertRoomForWork(
  folder: string,
  needBytes = 0,
  reserveBytes = RESERVE_BYTES,
): void {
  const free = freeBytes(folder);
  if (free === null || free - needBytes >= reserveBytes) return;
  if (needBytes === 0) throw nearlyFull(free, reserveBytes);
  throw new GlyphpressError('GP_STORAGE', {
    message: `The document needs about ${needBytes} bytes; the disk has ${free} left, of which ${reserveBytes} are held back`,
    hint: 'Free space, or delete documents.',
    details: { needBytes, freeBytes: free, reservedBytes: reserveBytes },
  });
}

function nearlyFull(free: number, kept: number): GlyphpressError {
  return new GlyphpressError('GP_STORAGE', {
    message: `The disk of the data folder has ${free} bytes left; ${kept} are kept for work under way`,
    hint: 'Free space, or delete documents.',
    details: { freeBytes: free, reservedBytes: kept },
  });
}
