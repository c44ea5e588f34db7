/** Takes documents in, on their way to a store: into files of this machine, counted and hashed. */

import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GlyphpressError } from '../errors.js';
import { makeFolder } from '../output-folder.js';
import { isLeftover, PROCESS_TAG, PROCESS_TAG_PATTERN } from '../store/process-tag.js';
import { tooLarge, type Upload } from './content-store.js';
import { assertRoomForNew } from './disk-room.js';

/** A name that says which process writes the file. */
const TAGGED = new RegExp(`^(${PROCESS_TAG_PATTERN})\\.[0-9a-f]+\\.partial$`);

/** A name that {@link sweepInbox} clears away once this process is gone. */
export function taggedName(): string {
  return `${PROCESS_TAG}.${randomBytes(12).toString('hex')}.partial`;
}

/** @param folder made if need be */
export async function receiveInto(
  folder: string,
  source: Readable,
  maxBytes: number,
  reserveBytes?: number,
): Promise<Upload> {
  await makeFolder(folder, 0o700);
  assertRoomForNew(folder, reserveBytes);
  const file = path.join(folder, taggedName());
  const hash = createHash('sha256');
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        done(tooLarge(maxBytes));
        return;
      }
      hash.update(chunk);
      done(null, chunk);
    },
  });
  try {
    // What is too large must not end the connection that has to say so.
    const bytesOf = source.iterator({ destroyOnReturn: false });
    await pipeline(bytesOf, count, createWriteStream(file, { mode: 0o600 }));
    if (bytes === 0) {
      throw new GlyphpressError('GP_INPUT_EMPTY', {
        message: 'The document is empty',
        hint: 'Send a document with text.',
      });
    }
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  return { file, bytes, hash: hash.digest('hex') };
}

/** Removes what processes left that are gone. @returns how many files */
export function sweepInbox(folder: string): Promise<number> {
  return removeGivenUp(folder, TAGGED);
}

/** Files and folders whose process is gone, which their names tell. @returns how many */
export async function removeGivenUp(folder: string, tagged: RegExp): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const tag = tagged.exec(name)?.[1];
    if (tag === undefined) continue;
    const file = path.join(folder, name);
    const info = await stat(file).catch(() => null);
    if (!info || !isLeftover(tag, info.mtimeMs)) continue;
    await rm(file, { recursive: true, force: true });
    removed++;
  }
  return removed;
}
