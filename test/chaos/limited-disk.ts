/** A folder on a file system of its own with little room, so that it can be filled to the last byte. */

import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

const BALLAST = 'ballast';

export class LimitedDisk {
  readonly folder: string;
  /** Null where it can be filled; else why not. */
  readonly problem: string | null;

  /** @param megabytes size of the file system, where this user may mount one */
  constructor(folder: string, megabytes: number) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    const { status, stderr, error } = spawnSync(
      'mount',
      ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'glyphpress-chaos', folder],
      { encoding: 'utf8' },
    );
    this.problem =
      status === 0 ? null : `no file system of limited size: ${error?.message ?? stderr.trim()}`;
  }

  /** Takes all room that is left. */
  fill(): void {
    const file = openSync(path.join(this.folder, BALLAST), 'a');
    try {
      for (const size of [1024 ** 2, 4_096]) {
        const piece = Buffer.alloc(size);
        try {
          for (;;) if (writeSync(file, piece) < size) break;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(path.join(this.folder, BALLAST), { force: true });
  }

  close(): void {
    if (this.problem === null) spawnSync('umount', ['-l', this.folder]);
  }
}
