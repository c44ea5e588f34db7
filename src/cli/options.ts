/** Options that several commands share. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { TEXT_ENCODINGS } from '../pipeline/read-document.js';
import {
  allowedValues,
  CONFIG_KEYS,
  DEFAULT_PRESET,
  loadRenderConfig,
  PRESETS,
  parseOverrides,
  type RenderConfig,
} from '../render/index.js';

export interface RenderFlags {
  config: string;
  set: string[];
  reflow?: boolean;
  encoding?: (typeof TEXT_ENCODINGS)[number];
  browsers?: number;
}

export function withRenderOptions(command: Command): Command {
  return command
    .option(
      '--config <name|file>',
      `render config: ${Object.keys(PRESETS).join(', ')}, or a JSON file`,
      DEFAULT_PRESET,
    )
    .option('--set <key=value>', 'replace one key of the config (repeatable)', collect, [])
    .option('--reflow', 'join the lines of hard-wrapped paragraphs')
    .addOption(new Option('--encoding <name>', 'encoding of the text').choices(TEXT_ENCODINGS))
    .option('--browsers <n>', 'browsers that draw side by side', wholeNumber(1, 64));
}

export function renderConfigOf(flags: RenderFlags): RenderConfig {
  return loadRenderConfig(flags.config, {
    ...parseOverrides(flags.set),
    ...(flags.reflow && { reflow: true }),
  });
}

/** The table of render config keys for `--help`. */
export function configKeysHelp(): string {
  const rows = Object.entries(CONFIG_KEYS).map(
    ([key, spec]) => `  ${key.padEnd(20)} ${allowedValues(spec)}\n  ${''.padEnd(20)} ${spec.about}`,
  );
  return `\nRender config keys:\n${rows.join('\n')}`;
}

export function wholeNumber(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
