import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { modelArguments, modelsOf } from '../../src/cli/service-options.js';
import { ModelRegistry } from '../../src/service/models.js';
import { sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';

const folder = sharedFolder();
const TEXT_ONLY = path.resolve(import.meta.dirname, '../fixtures/vlm/llama/model');

afterEach(() => {
  vi.unstubAllEnvs();
});

/** As a pull leaves it: a name, a commit, links. */
function pulled(): string {
  const cache = path.join(folder, 'hub');
  const repository = path.join(cache, 'models--tiny--glm');
  mkdirSync(path.join(repository, 'refs'), { recursive: true });
  mkdirSync(path.join(repository, 'snapshots'));
  cpSync(TINY_MODEL, path.join(repository, 'blobs'), { recursive: true });
  writeFileSync(path.join(repository, 'refs/main'), 'c0ffee');
  symlinkSync(path.join(repository, 'blobs'), path.join(repository, 'snapshots/c0ffee'));
  return cache;
}

describe('the models of a service', () => {
  it('are called as their folders, or as on the hub', async () => {
    vi.stubEnv('HF_HUB_CACHE', pulled());
    const flags = { model: [TINY_MODEL, 'tiny/glm'], kvDtype: 'int8' as const };
    const models = await modelsOf(flags);
    expect(models.names).toEqual([path.basename(TINY_MODEL), 'glm']);
    expect(models.defaultName).toBe(path.basename(TINY_MODEL));
    expect(models.info('glm')).toMatchObject({ family: 'glm4v', kvDtype: 'int8' });
    // Workers find them the same way, wherever they start.
    expect(modelArguments({ model: [path.relative('', TINY_MODEL), 'tiny/glm'] })).toEqual([
      '--model',
      TINY_MODEL,
      '--model',
      'tiny/glm',
    ]);
    await models.close();
  });

  it('that were not pulled are refused with the way to get them', async () => {
    vi.stubEnv('HF_HUB_CACHE', path.join(folder, 'empty'));
    await expect(modelsOf({ model: ['tiny/other'] })).rejects.toMatchObject({
      code: 'GP_CHECKPOINT',
      hint: expect.stringContaining('glyphpress model pull tiny/other'),
    });
  });

  it('read pages', () => {
    expect(() => new ModelRegistry([{ name: 'words', dir: TEXT_ONLY }])).toThrow(
      expect.objectContaining({
        code: 'GP_MODEL_NO_VISION',
        message: expect.stringContaining('The model words reads text only'),
      }),
    );
  });
});
