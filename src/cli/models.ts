/** `glyphpress models`: the open models that are read, and what they take. */

import type { Command } from 'commander';
import { DTYPES, KNOWN_MODELS, type KnownModelSizes, knownModelSizes } from '../vlm/index.js';

interface Flags {
  known?: boolean;
  json?: boolean;
}

export function registerModels(program: Command): void {
  program
    .command('models')
    .description('open models that are read: tested how, size, memory in each type, render preset')
    .option('--known', 'every known model (the default)')
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
Other models of these families are read too: glyphpress model inspect tells about a folder, a .gguf file or
a pulled model. Memory is that of the loaded weights; pages, contexts and scratch come on top.

Examples:
  $ glyphpress models --known
  $ glyphpress models --json`,
    )
    .action(({ json }: Flags) => {
      const models = KNOWN_MODELS.map(knownModelSizes);
      process.stdout.write(json ? `${JSON.stringify(models)}\n` : `${table(models)}\n`);
    });
}

function table(models: readonly KnownModelSizes[]): string {
  const header = ['family', 'model', 'parameters', ...DTYPES, 'KB a token', 'cell', 'preset'];
  const rows = models.map(({ family, id, parameters, memory, kvBytesPerToken, cellPx, preset }) => [
    family,
    id,
    `${(parameters / 1e9).toFixed(2)} B`,
    ...DTYPES.map((dtype) => gigabytes(memory[dtype])),
    String(Math.round(kvBytesPerToken / 1024)),
    cellPx === null ? 'text only' : `${cellPx} px`,
    preset ?? '-',
  ]);
  const widths = header.map((name, n) =>
    Math.max(name.length, ...rows.map((row) => row[n]!.length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, n) => cell.padEnd(widths[n]!))
      .join('  ')
      .trimEnd();
  const tested = [...new Set(models.map(({ tested }) => tested))].map(
    (text) =>
      `${[...new Set(models.filter((model) => model.tested === text).map(({ family }) => family))].join(', ')}: ${text}`,
  );
  return [line(header), ...rows.map(line), '', 'Tested:', ...tested].join('\n');
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
