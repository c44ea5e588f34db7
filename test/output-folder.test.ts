import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeFolder, makeFolderSync, unusableOutput } from '../src/output-folder.js';
import { asOrdinaryUser, temporaryFolder } from './support/folders.js';
import { filesBelow } from './support/repository.js';

const waysToMake: [name: string, make: (folder: string) => Promise<void>][] = [
  ['makeFolder', makeFolder],
  ['makeFolderSync', async (folder) => makeFolderSync(folder)],
];

describe.each(waysToMake)('%s', (_, make) => {
  it('makes the folders above it too, and leaves one that is there', async () => {
    const folder = path.join(temporaryFolder(), 'a', 'b', 'c');
    await make(folder);
    writeFileSync(path.join(folder, 'kept'), '');
    await make(folder);
    expect(existsSync(path.join(folder, 'kept'))).toBe(true);
    await make('/');
  });

  it('makes a folder once when many ask for it at the same time', async () => {
    const folder = path.join(temporaryFolder(), 'a', 'b');
    await Promise.all(Array.from({ length: 20 }, () => make(folder)));
    expect(statSync(folder).isDirectory()).toBe(true);
  });

  it('goes through links to folders', async () => {
    const parent = temporaryFolder();
    mkdirSync(path.join(parent, 'real'));
    symlinkSync(path.join(parent, 'real'), path.join(parent, 'link'));
    await make(path.join(parent, 'link', 'below'));
    expect(existsSync(path.join(parent, 'real', 'below'))).toBe(true);
  });

  it('says that a file stands in the way', async () => {
    const parent = temporaryFolder();
    const file = path.join(parent, 'file');
    writeFileSync(file, '');
    symlinkSync(path.join(parent, 'nowhere'), path.join(parent, 'dangling'));
    for (const folder of [file, path.join(file, 'below'), path.join(parent, 'dangling')]) {
      await expect(make(folder)).rejects.toMatchObject({
        code: 'GP_OUTPUT_EXISTS',
        message: expect.stringContaining(folder),
      });
    }
  });

  it('says that the user may not write there', async () => {
    const parent = temporaryFolder();
    chmodSync(parent, 0o555);
    await asOrdinaryUser(() =>
      expect(make(path.join(parent, 'new', 'below'))).rejects.toMatchObject({
        code: 'GP_OUTPUT_UNWRITABLE',
        message: `${path.join(parent, 'new', 'below')} cannot be written: permission denied (EACCES)`,
        details: { systemCode: 'EACCES' },
      }),
    );
  });

  it.skipIf(!existsSync('/proc/self'))(
    'returns where the file system has no place for folders',
    async () => {
      for (const folder of ['/proc/x', '/proc/self/x/y']) {
        await expect(make(folder)).rejects.toMatchObject({ code: 'GP_OUTPUT_UNWRITABLE' });
      }
    },
    5_000,
  );
});

describe('what the system refuses', () => {
  const named = (code: string) => unusableOutput('/out', Object.assign(new Error(code), { code }));

  it.each(['EACCES', 'EPERM', 'EROFS', 'ENAMETOOLONG'])('is a place: %s', (code) => {
    expect(named(code)).toMatchObject({ code: 'GP_OUTPUT_UNWRITABLE', retryable: false });
  });

  it.each(['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE'])('is the disk: %s', (code) => {
    expect(named(code)).toMatchObject({ code: 'GP_STORAGE', retryable: true });
  });
});

describe('the sources', () => {
  it('make folders in no other way', () => {
    const others = filesBelow(['src', 'workers'], /\.ts$/)
      .filter(
        ({ path, text }) =>
          path !== 'src/output-folder.ts' && /mkdir(Sync)?\([^)]*recursive/.test(text),
      )
      .map(({ path }) => path);
    expect(others).toEqual([]);
  });
});
