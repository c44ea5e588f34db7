import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';

describe('glyphpress completion', () => {
  it.each(['bash', 'zsh', 'fish'])('prints a script for %s that asks glyphpress', async (shell) => {
    const { code, stdout } = await glyphpress(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('complete --');
    if (shell === 'bash')
      expect(spawnSync('bash', ['-n'], { input: stdout, encoding: 'utf8' }).stderr).toBe('');
  });

  it('knows the commands, their options and what these may be', async () => {
    const offered = async (...words: string[]) =>
      (await glyphpress(['complete', '--', ...words])).stdout
        .split('\n')
        .map((l) => l.split('\t')[0]);
    expect(await offered('com')).toEqual(expect.arrayContaining(['compress', 'completion']));
    expect(await offered('cache', 'prune', '--')).toContain('--older-than');
    expect(await offered('ask', '--backend', '')).toEqual(
      expect.arrayContaining(['onnx', 'openai']),
    );
  });
});
