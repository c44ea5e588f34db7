import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONTEXT_FILE } from '../../../src/pipeline/artifacts/context-file.js';
import { ContextLibrary } from '../../../src/pipeline/artifacts/context-library.js';
import { CONTEXT_FORM } from '../../../src/pipeline/artifacts/stored-context.js';
import { writeArtifact } from '../../../src/store/artifact-folder.js';
import { temporaryFolder } from '../../support/folders.js';

const key = { document: 'a', plan: 'b' };
const put = (folder: string, made = key) =>
  writeArtifact(folder, CONTEXT_FORM, made, async (temporary) => {
    writeFileSync(path.join(temporary, CONTEXT_FILE), 'keys and values');
    return {};
  });

describe('the context library', () => {
  it('keeps each context in a folder of its own', async () => {
    const library = new ContextLibrary(temporaryFolder());
    expect(await library.locate(key)).toBe(await library.locate({ plan: 'b', document: 'a' }));
    expect(await library.locate(key)).not.toBe(await library.locate({ ...key, plan: 'c' }));
  });

  it('knows where compress put one, as long as it is there', async () => {
    const root = temporaryFolder();
    const folder = path.join(root, 'contract.gp');
    const library = new ContextLibrary(path.join(root, 'cache'));
    await put(folder);
    await library.remember(key, folder);
    expect(await library.locate(key)).toBe(folder);

    await put(folder, { ...key, plan: 'c' });
    expect(await library.locate(key)).not.toBe(folder);

    await put(folder);
    writeFileSync(path.join(folder, CONTEXT_FILE), 'damaged');
    expect(await library.locate(key)).not.toBe(folder);

    await put(folder);
    writeFileSync(path.join(folder, 'manifest.json'), '{');
    expect(await library.locate(key)).not.toBe(folder);

    rmSync(folder, { recursive: true });
    expect(await library.locate(key)).not.toBe(folder);
  });
});
