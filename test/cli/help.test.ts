import { describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';

/** The words before the arguments in a list of commands. */
function commandsIn(help: string): string[] {
  // Texts that stand behind the list may hold lists of their own.
  const list = (help.split('\nCommands:\n')[1] ?? '').split('\n\n')[0]!;
  return [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name!).filter((n) => n !== 'help');
}

describe('--help', () => {
  it('of every command shows an example that starts with the command', async () => {
    const pending: string[][] = [[]];
    const seen: string[] = [];
    while (pending.length > 0) {
      const words = pending.pop()!;
      const { code, stdout, stderr } = await glyphpress([...words, '--help']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/^Usage: glyphpress/);
      const below = commandsIn(stdout);
      pending.push(...below.map((name) => [...words, name]));
      if (below.length > 0) continue;
      seen.push(words.join(' '));
      expect(stdout, words.join(' ')).toContain(`\n  $ glyphpress ${words.join(' ')}`);
    }
    expect(seen).toEqual(
      expect.arrayContaining([
        'ask',
        'compress',
        'render',
        'doctor',
        'model inspect',
        'model compile',
        'model calibrate',
        'transcribe',
        'proofread',
      ]),
    );
  }, 180_000);

  it('is what a bare command prints, as a mistake', async () => {
    const { code, stdout, stderr } = await glyphpress([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: glyphpress/);
  });

  it('has a version beside it', async () => {
    const { code, stdout } = await glyphpress(['--version']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
