import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MANIFEST_FILE,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../../src/store/artifact-folder.js';
import { PROCESS_TAG } from '../../src/store/process-tag.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';

const scratch = sharedFolder();
const FORM = { kind: 'glyphpress-test', version: 3 };
const KEY = { document: 'abc', plan: 'none' };

interface Body {
  title: string;
}

/** An artifact of a few files, each filled with one letter. */
function write(folder: string, letter = 'a', files = ['one.bin', 'two.txt']) {
  return writeArtifact<Body>(folder, FORM, KEY, async (temporary) => {
    for (const name of files) await writeFile(path.join(temporary, name), letter.repeat(400));
    return { title: `letter ${letter} – ü` };
  });
}

/** Every byte is read and checked. */
async function readWhole(folder: string): Promise<Record<string, string>> {
  const manifest = (await readManifest<Body>(folder, FORM))!;
  const files: Record<string, string> = {};
  for (const name of Object.keys(manifest.files)) {
    files[name] = (await readArtifactFile(folder, manifest, name)).toString();
  }
  return files;
}

const whole = (letter: string) => ({
  'one.bin': letter.repeat(400),
  'two.txt': letter.repeat(400),
});

describe('an artifact', () => {
  it('is read back as it was written', async () => {
    const folder = path.join(temporaryFolder(), 'deep', 'down');
    const written = await write(folder);
    expect(await readManifest(folder, FORM)).toEqual(written);
    expect(written).toMatchObject({ ...FORM, key: KEY, body: { title: 'letter a – ü' } });
    expect(written.files['one.bin']!.bytes).toBe(400);
    expect(await readWhole(folder)).toEqual(whole('a'));
    expect(namesIn(folder)).toEqual([MANIFEST_FILE, 'one.bin', 'two.txt']);
    expect(namesIn(path.dirname(folder))).toEqual(['down']);
  });

  it('is absent until all of it is there', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'x');
    let during: unknown;
    await writeArtifact(folder, FORM, KEY, async (temporary) => {
      await writeFile(path.join(temporary, 'a'), 'a');
      during = [existsSync(folder), await readManifest(folder, FORM)];
      return {};
    });
    expect(during).toEqual([false, null]);
  });

  it('leaves nothing when its making fails', async () => {
    const parent = temporaryFolder();
    const failure = new Error('in the middle');
    const failing = writeArtifact(path.join(parent, 'x'), FORM, KEY, async (temporary) => {
      await writeFile(path.join(temporary, 'a'), 'a');
      throw failure;
    });
    await expect(failing).rejects.toBe(failure);
    expect(namesIn(parent)).toEqual([]);
  });

  it('is left as it was when the making of the next one fails', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'x');
    await write(folder, 'a');
    const failing = writeArtifact(folder, FORM, KEY, async () => {
      expect(await readWhole(folder)).toEqual(whole('a'));
      throw new Error('in the middle');
    });
    await expect(failing).rejects.toThrow('in the middle');
    expect(await readWhole(folder)).toEqual(whole('a'));
    expect(namesIn(parent)).toEqual(['x']);
  });

  it('is replaced whole: no file of the old one stays', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'x');
    await write(folder, 'a', ['one.bin', 'only-before.txt']);
    await write(folder, 'b');
    expect(await readWhole(folder)).toEqual(whole('b'));
    expect(namesIn(folder)).toEqual([MANIFEST_FILE, 'one.bin', 'two.txt']);
    expect(namesIn(parent)).toEqual(['x']);
  });

  it('fills a folder that is empty', async () => {
    const folder = temporaryFolder();
    await write(folder);
    expect(await readWhole(folder)).toEqual(whole('a'));
  });

  it('is one whole artifact after writers that finish together', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'x');
    for (let round = 0; round < 10; round++) {
      const letters = [...'abcdefgh'];
      await Promise.all(letters.map((letter) => write(folder, letter)));
      const files = await readWhole(folder);
      expect(letters.map(whole)).toContainEqual(files);
      expect(namesIn(parent)).toEqual(['x']);
    }
  });
});

describe('a folder of somebody else', () => {
  const foreign: [string, Record<string, string>][] = [
    ['any file', { 'holiday.jpg': 'x' }],
    ["another program's manifest.json", { 'manifest.json': '{"name":"My app"}', 'app.js': 'x' }],
    ['a manifest of two lines that is not ours', { 'manifest.json': '{"name":1}\n{"kind":"a"}\n' }],
  ];
  it.each(foreign)('is refused and not touched: %s', async (_, files) => {
    const folder = temporaryFolder();
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
    await expect(write(folder)).rejects.toMatchObject({ code: 'GP_OUTPUT_EXISTS' });
    for (const [name, text] of Object.entries(files))
      expect(readFileSync(path.join(folder, name), 'utf8')).toBe(text);
    expect(namesIn(folder)).toEqual(Object.keys(files).sort());
    expect(
      namesIn(path.dirname(folder)).filter((name) => name.startsWith(path.basename(folder))),
    ).toEqual([path.basename(folder)]);
  });

  it("is refused when somebody's file lies among ours", async () => {
    const folder = temporaryFolder();
    await write(folder);
    writeFileSync(path.join(folder, 'my-notes.txt'), 'keep me');
    await expect(write(folder, 'b')).rejects.toMatchObject({
      code: 'GP_OUTPUT_EXISTS',
      details: { foreign: ['my-notes.txt'] },
    });
    expect(readFileSync(path.join(folder, 'my-notes.txt'), 'utf8')).toBe('keep me');
    expect(await readWhole(folder)).toEqual(whole('a'));
  });

  it('is refused when it is a file, or below a file', async () => {
    const file = path.join(temporaryFolder(), 'file');
    writeFileSync(file, 'text');
    for (const folder of [file, path.join(file, 'below'), path.join(file, 'far', 'below')]) {
      await expect(write(folder)).rejects.toMatchObject({ code: 'GP_OUTPUT_EXISTS' });
    }
    expect(readFileSync(file, 'utf8')).toBe('text');
  });
});

describe('damage', () => {
  const folder = path.join(scratch, 'x');
  const pristine = async () => {
    rmSync(folder, { recursive: true, force: true });
    await write(folder);
  };

  /** Runs with one byte changed, and mends it. */
  async function withFlippedByte(name: string, at: number, mask: number, run: () => Promise<void>) {
    const file = path.join(folder, name);
    const bytes = readFileSync(file);
    const original = Buffer.from(bytes);
    bytes[at]! ^= mask;
    writeFileSync(file, bytes);
    try {
      await run();
    } finally {
      writeFileSync(file, original);
    }
  }

  const anywhere = fc.record({ at: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) });

  it.each(['one.bin', 'two.txt', MANIFEST_FILE])('of any byte of %s is found', async (name) => {
    await pristine();
    const { length } = readFileSync(path.join(folder, name));
    await fc.assert(
      fc.asyncProperty(anywhere, ({ at, mask }) =>
        withFlippedByte(name, at % length, mask, async () => {
          await expect(readWhole(folder)).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
        }),
      ),
      { numRuns: 150, examples: [[{ at: 0, mask: 1 }], [{ at: length - 1, mask: 128 }]] },
    );
    expect(await readWhole(folder)).toEqual(whole('a'));
  });

  it('of the manifest does not stand in the way of making it again', async () => {
    await pristine();
    const { length } = readFileSync(path.join(folder, MANIFEST_FILE));
    await fc.assert(
      fc.asyncProperty(anywhere, async ({ at, mask }) => {
        await pristine();
        const file = path.join(folder, MANIFEST_FILE);
        const bytes = readFileSync(file);
        bytes[at % length]! ^= mask;
        writeFileSync(file, bytes);
        await write(folder, 'b');
        expect(await readWhole(folder)).toEqual(whole('b'));
      }),
      { numRuns: 40, examples: [[{ at: 0, mask: 1 }], [{ at: length - 1, mask: 1 }]] },
    );
  });

  it.each([
    ['emptied', (bytes: Buffer) => bytes.subarray(0, 0)],
    ['cut in half', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['one byte longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('a')])],
  ])('of a file %s is found, and mended by making it again', async (_, change) => {
    for (const name of ['one.bin', MANIFEST_FILE]) {
      await pristine();
      const file = path.join(folder, name);
      writeFileSync(file, change(readFileSync(file)));
      await expect(readWhole(folder)).rejects.toMatchObject({
        code: 'GP_ARTIFACT_DAMAGED',
        details: { file },
      });
      await write(folder, 'b');
      expect(await readWhole(folder)).toEqual(whole('b'));
    }
  });

  it('is a file that is missing, is a folder, or was never part of it', async () => {
    await pristine();
    const manifest = (await readManifest(folder, FORM))!;
    const reading = (name: string) => readArtifactFile(folder, manifest, name);
    rmSync(path.join(folder, 'one.bin'));
    await expect(reading('one.bin')).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
    mkdirSync(path.join(folder, 'one.bin'));
    await expect(reading('one.bin')).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
    await expect(reading('../x/two.txt')).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
    await expect(reading('toString')).rejects.toMatchObject({ code: 'GP_ARTIFACT_DAMAGED' });
  });

  it('is told from another kind or version, and from nothing at all', async () => {
    await pristine();
    for (const form of [
      { ...FORM, version: 4 },
      { ...FORM, kind: 'glyphpress-other' },
    ]) {
      await expect(readManifest(folder, form)).rejects.toMatchObject({
        code: 'GP_ARTIFACT_MISMATCH',
        details: { kind: FORM.kind, version: FORM.version },
      });
    }
    expect(await readManifest(path.join(folder, 'nothing'), FORM)).toBeNull();
    expect(await readManifest(path.join(folder, 'two.txt'), FORM)).toBeNull();
  });
});

describe('what a killed process left behind', () => {
  const place = PROCESS_TAG.split('-')[0];
  const deadProcess = `${place}-${2 ** 22 + 12_345}`; // above the largest process id of Linux

  it('is cleared away by the next writer, but not what a living one works on', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'result');
    mkdirSync(`${folder}.${deadProcess}.0011aabb.partial`);
    mkdirSync(`${folder}.${PROCESS_TAG}.0011aabb.partial`);
    mkdirSync(`${folder}.0123abcd-1.0011aabb.partial`); // of another host, and young
    mkdirSync(`${folder}.notes.partial`);
    await write(folder);
    expect(namesIn(parent).sort()).toEqual(
      [
        'result',
        `result.${PROCESS_TAG}.0011aabb.partial`,
        'result.0123abcd-1.0011aabb.partial',
        'result.notes.partial',
      ].sort(),
    );
  });

  it('comes back when it was the only copy', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'result');
    await write(folder, 'a');
    renameSync(folder, `${folder}.${deadProcess}.0011aabb.partial.old`);
    const failing = writeArtifact(folder, FORM, KEY, async () => {
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(await readWhole(folder)).toEqual(whole('a'));
  });
});
