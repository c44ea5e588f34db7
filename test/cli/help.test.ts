import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { makeProgram } from '../../src/cli/program.js';
import { glyphpress } from '../support/cli.js';

/** Every command that does something, with the words that call it. */
function commands(program: Command): { words: string; command: Command; help: string }[] {
  const found: { words: string; command: Command; help: string }[] = [];
  const walk = (command: Command, words: readonly string[]) => {
    for (const below of command.createHelp().visibleCommands(command)) {
      if (below.name() !== 'help') walk(below, [...words, below.name()]);
    }
    // A command without work of its own only shows the commands below it.
    if (words.length === 0 || isGroup(command)) return;
    let help = '';
    command.configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
    command.outputHelp();
    found.push({ words: words.join(' '), command, help });
  };
  walk(program, []);
  return found;
}

const isGroup = (command: Command) =>
  command.commands.length > 0 && !command.options.some(({ long }) => long === '--json');

const all = commands(await makeProgram());

describe('--help', () => {
  it('is looked at for every command', () => {
    expect(all.map(({ words }) => words)).toEqual(
      expect.arrayContaining([
        'ask',
        'compress',
        'render',
        'transcribe',
        'proofread',
        'eval',
        'eval curve',
        'model inspect',
        'model compile',
        'model attention',
        'model calibrate',
        'plans',
        'search',
        'search apply',
        'search compare',
        'search worker',
        'serve',
        'worker',
        'keys create',
        'keys list',
        'keys revoke',
        'cache ls',
        'cache prune',
        'doctor',
        'completion',
      ]),
    );
  });

  it.each(all.map(({ words, help }) => [words, help]))(
    'of %s shows an example that starts with the command',
    (words, help) => {
      expect(help).toMatch(/^Usage: glyphpress/);
      expect(help).toMatch(/\nExamples?:\n/);
      expect(help).toContain(`\n  $ glyphpress ${words}`);
    },
  );

  // What completion prints is a script for a shell.
  it.each(all.map(({ words, command }) => [words, command] as const))(
    'of %s offers JSON',
    (words, command) => {
      const hasJson = command.options.some(({ long }) => long === '--json');
      expect(hasJson).toBe(words !== 'completion');
    },
  );

  it('is what the process prints', async () => {
    const { code, stdout, stderr } = await glyphpress(['cache', 'prune', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('$ glyphpress cache prune --older-than 30d');
  });

  it('is what a bare command prints, as a mistake', async () => {
    const { code, stdout, stderr } = await glyphpress([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: glyphpress/);
  });

  it('has a version beside it, under both of its names', async () => {
    for (const flag of ['--version', '-v']) {
      const { code, stdout } = await glyphpress([flag]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    }
  });

  it('does not depend on what else is loaded', async () => {
    const names = [...new Set(all.map(({ words }) => words.split(' ')[0]!))];
    expect(names.length).toBeGreaterThan(10);
    const alone = [];
    for (const name of names) alone.push(...commands(await makeProgram(name)));
    // `glyphpress completion` is loaded after all others.
    const own = alone.filter(({ words }) => words !== 'completion').slice(0, all.length - 1);
    expect(own.map(({ words, help }) => ({ words, help }))).toEqual(
      all.filter(({ words }) => words !== 'completion').map(({ words, help }) => ({ words, help })),
    );
  });
});
