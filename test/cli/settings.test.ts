import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { applySettings, givenOptions } from '../../src/cli/setting-defaults.js';
import { readSettings, SETTING_KEYS, SETTINGS_FILE } from '../../src/cli/settings-file.js';
import { glyphpress } from '../support/cli.js';
import { temporaryFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';

/** A user's folder and a project with a folder below it, each with what it says. */
function files(user: unknown, project: unknown) {
  const root = temporaryFolder();
  const [userFolder, projectFolder] = [path.join(root, 'user'), path.join(root, 'project')];
  const below = path.join(projectFolder, 'texts');
  mkdirSync(userFolder);
  mkdirSync(below, { recursive: true });
  for (const [folder, content] of [
    [userFolder, user],
    [projectFolder, project],
  ] as const) {
    if (content === undefined) continue;
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileSync(path.join(folder, SETTINGS_FILE), text);
  }
  return {
    env: { GLYPHPRESS_CONFIG_DIR: userFolder },
    below,
    userFile: path.join(userFolder, SETTINGS_FILE),
    projectFile: path.join(projectFolder, SETTINGS_FILE),
    projectFolder,
  };
}

describe('glyphpress.config.json', () => {
  it('of a project goes before that of the user, key by key, from any folder below', () => {
    const { env, below, userFile, projectFile } = files(
      { threads: 2, plan: 'lossless', cacheMaxBytes: '2GB' },
      { threads: 4 },
    );
    expect(readSettings(env, below)).toEqual({
      threads: { value: 4, file: projectFile },
      plan: { value: 'lossless', file: userFile },
      cacheMaxBytes: { value: 2e9, file: userFile },
    });
  });

  it('says nothing where there is none', () => {
    const { env, below } = files(undefined, undefined);
    expect(readSettings(env, below)).toEqual({});
  });

  it('names files from the folder that it lies in, and leaves names as they are', () => {
    const { env, below, projectFolder } = files(undefined, {
      rendering: 'render.json',
      plan: 'balanced',
      model: 'texts',
    });
    const { rendering, plan, model } = readSettings(env, below);
    expect(rendering?.value).toBe(path.join(projectFolder, 'render.json'));
    expect(plan?.value).toBe('balanced');
    expect(model?.value).toBe(path.join(projectFolder, 'texts'));
    const remote = files({ model: 'zai-org/Glyph' }, undefined);
    expect(readSettings(remote.env, remote.below).model?.value).toBe('zai-org/Glyph');
  });

  it.each([
    [{ treads: 2 }, 'GP_CONFIG_UNKNOWN_KEY', /Unknown key "treads".*Did you mean "threads"\?/],
    [{ zzz: 2 }, 'GP_CONFIG_UNKNOWN_KEY', /Unknown key "zzz" in \S+\.$/],
    [{ threads: 0 }, 'GP_CONFIG_VALUE', /threads .* from 1 to 256, got 0/],
    [{ backend: 'cuda' }, 'GP_CONFIG_VALUE', /"onnx" or "openai"/],
    [{ cacheMaxBytes: 'much' }, 'GP_CONFIG_VALUE', /size/],
    ['[1]', 'GP_CONFIG_SYNTAX', /JSON object/],
    ['{', 'GP_CONFIG_SYNTAX', /cannot be read as JSON/],
  ])('that is wrong is a clear error: %j', (content, code, message) => {
    const { env, below } = files(undefined, content);
    expect(() => readSettings(env, below)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('of a project does not say where documents and keys are sent', () => {
    const baseUrl = 'http://127.0.0.1:8000/v1';
    const ofUser = files({ baseUrl }, undefined);
    expect(readSettings(ofUser.env, ofUser.below).baseUrl?.value).toBe(baseUrl);
    const ofProject = files(undefined, { baseUrl });
    expect(() => readSettings(ofProject.env, ofProject.below)).toThrow(
      expect.objectContaining({ code: 'GP_CONFIG_VALUE' }),
    );
  });
});

describe('what it says', () => {
  /** The options of a command as the action gets them, in the folder of the project. */
  function run(settings: unknown, args: string[]) {
    const { env, below } = files(undefined, settings);
    let seen: { flags: object; given: object } | null = null;
    const command = new Command('ask')
      .argument('[file]')
      .option('--model <dir>')
      .option('--config <file>')
      .option('--plan <name>')
      .option('--keep <share>', '', Number)
      .option('--threads <n>', '', Number)
      .option('--backend <kind>', '', 'onnx')
      .hook('preAction', (_, action) => applySettings(action, env, below))
      .action((_, flags, action) => {
        seen = { flags: { ...flags }, given: givenOptions(action) };
      });
    command.parse(args, { from: 'user' });
    return seen as unknown as { flags: Record<string, unknown>; given: Record<string, unknown> };
  }

  it('is the default of options, which go before it', () => {
    const { flags } = run({ threads: 4, plan: 'balanced' }, ['--threads', '8']);
    expect(flags).toMatchObject({ threads: 8, plan: 'balanced', backend: 'onnx' });
  });

  it('is told from what was given', () => {
    const { flags, given } = run({ threads: 4, plan: 'balanced' }, ['--threads', '8']);
    expect(flags).toMatchObject({ plan: 'balanced' });
    expect(given).toEqual({ threads: 8, backend: 'onnx' });
  });

  it('gives way where an option speaks against it', () => {
    expect(run({ plan: 'balanced' }, ['--keep', '0.5']).flags).not.toHaveProperty('plan');
    const local = { model: TINY_MODEL, plan: 'balanced' };
    const remote = run(local, ['--backend', 'openai']).flags;
    expect(remote).not.toHaveProperty('plan');
    expect(remote).not.toHaveProperty('model');
  });

  it('is shown by doctor with the file that says it, also what is wrong with it', async () => {
    const { env, below, projectFile } = files(undefined, { threads: 3 });
    const settings = async (cwd: string) => {
      const { stdout } = await glyphpress(['doctor', '--json'], { env, cwd });
      const { checks } = JSON.parse(stdout);
      return checks.find(({ name }: { name: string }) => name === 'settings');
    };
    expect(await settings(below)).toMatchObject({
      status: 'ok',
      detail: `threads 3 (${projectFile})`,
      facts: { threads: { value: 3, file: projectFile } },
    });
    writeFileSync(projectFile, '{"thread": 3}');
    expect(await settings(below)).toMatchObject({
      status: 'missing',
      detail: expect.stringContaining('Did you mean "threads"?'),
    });
  });

  it('is documented key by key', async () => {
    const { readFileSync } = await import('node:fs');
    const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8');
    for (const key of SETTING_KEYS) expect(page).toContain(`\`${key}\``);
  });
});
