/** Options that several commands share. */

import { type Command, InvalidArgumentError } from 'commander';
import { type AskedRendering, resolveRendering } from '../pipeline/settings.js';
import {
  allowedValues,
  CONFIG_KEYS,
  DEFAULT_PRESET,
  PRESETS,
  parseOverrides,
  type RawRenderConfig,
  type RenderConfig,
} from '../render/index.js';
import { appliedRendering } from './applied-rendering.js';

export interface RenderFlags {
  config?: string;
  set: string[];
  reflow?: boolean;
  browsers?: number | undefined;
}

export function withRenderOptions(command: Command): Command {
  return command
    .option(
      '--config <name|file>',
      `render config: ${Object.keys(PRESETS).join(', ')}, or a JSON file (default: what the model was trained to read, else "${DEFAULT_PRESET}")`,
    )
    .option('--set <key=value>', 'replace one key of the config (repeatable)', collect, [])
    .option('--reflow', 'join the lines of hard-wrapped paragraphs')
    .option('--browsers <n>', 'browsers that draw side by side', wholeNumber(1, 64));
}

/** What the flags say about rendering; undefined for nothing. */
export function askedRendering(flags: RenderFlags): AskedRendering | undefined {
  if (!givesRenderConfig(flags)) return undefined;
  return {
    config: flags.config,
    keys: { ...parseOverrides(flags.set), ...(flags.reflow && { reflow: true }) },
  };
}

/** The rendering that the flags ask for, of a model that was trained to read `trained`. */
export function renderConfigOf(
  flags: RenderFlags,
  trained: RawRenderConfig | null = null,
): RenderConfig {
  return resolveRendering(askedRendering(flags), defaultRendering(trained));
}

/** What the model was trained to read, or what `search apply` put in its place. */
export function defaultRendering(trained: RawRenderConfig | null): RawRenderConfig | null {
  return appliedRendering(trained) ?? trained;
}

export function givesRenderConfig(flags: RenderFlags): boolean {
  return flags.config !== undefined || flags.reflow === true || flags.set.length > 0;
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

/** Lengths of documents, for example "1,2,4". */
export const pageCounts = (text: string) => numberList(text, 1, 1_000, true);

/** Numbers separated by commas: each once, ascending. */
export function numberList(text: string, min: number, max: number, whole: boolean): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!values.every((n) => n >= min && n <= max && (!whole || Number.isInteger(n)))) {
    throw new InvalidArgumentError(
      `Expected ${whole ? 'whole numbers' : 'numbers'} from ${min} to ${max}, separated by commas.`,
    );
  }
  return [...new Set(values)].sort((a, b) => a - b);
}

export function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
