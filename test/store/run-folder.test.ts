import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openRunFolder, RUN_FILE, type RunForm } from '../../src/store/run-folder.js';
import { namesIn, temporaryFolder } from '../support/folders.js';

const FORM: RunForm = {
  form: 'glyphpress-test-1',
  name: 'experiment',
  article: 'an',
  run: 'trial',
};

describe('the folder of a run', () => {
  it('is made, and takes the same run again', () => {
    const folder = path.join(temporaryFolder(), 'runs', 'one');
    openRunFolder(folder, FORM, { seed: '1' });
    const written = readFileSync(path.join(folder, RUN_FILE), 'utf8');
    expect(JSON.parse(written)).toEqual({ form: FORM.form, key: { seed: '1' } });
    openRunFolder(folder, FORM, { seed: '1' });
    expect(readFileSync(path.join(folder, RUN_FILE), 'utf8')).toBe(written);
    expect(namesIn(folder)).toEqual([RUN_FILE]);
  });

  it('names all in which another run differs', () => {
    const folder = temporaryFolder();
    openRunFolder(folder, FORM, { seed: '1', model: 'a', text: 'same' });
    expect(() => openRunFolder(folder, FORM, { seed: '2', text: 'same', plan: 'p' })).toThrow(
      expect.objectContaining({
        code: 'GP_ARTIFACT_MISMATCH',
        message: `${folder} holds a trial with another seed, plan, model`,
      }),
    );
  });

  it('holds nothing else, and is left as it was', () => {
    const folder = temporaryFolder();
    mkdirSync(path.join(folder, 'letters'));
    expect(() => openRunFolder(folder, FORM, {})).toThrow(
      expect.objectContaining({
        code: 'GP_OUTPUT_EXISTS',
        message: `${folder} holds something that is no experiment`,
      }),
    );
    expect(namesIn(folder)).toEqual(['letters']);
  });

  it.each([
    '',
    '{',
    'null',
    '{"form":"glyphpress-test-0","key":{}}',
    '{"form":"glyphpress-test-1"}',
  ])('with %j in place of its description is damaged', (text) => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, RUN_FILE), text);
    expect(() => openRunFolder(folder, FORM, {})).toThrow(
      expect.objectContaining({
        code: 'GP_ARTIFACT_DAMAGED',
        message: expect.stringContaining('does not describe an experiment of this version'),
      }),
    );
  });
});
