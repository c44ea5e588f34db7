/** What `glyphpress.config.json` says, as defaults of a command's options. */

import type { Command } from 'commander';
import { readSettings, type Settings, type StatedSettings } from './settings-file.js';

/** Of commander's: where the value of an option comes from. */
const SOURCE = 'config';

/** Setting → option that it is the default of. */
const OPTIONS: Partial<Record<keyof Settings, string>> = {
  backend: 'backend',
  baseUrl: 'baseUrl',
  model: 'model',
  rendering: 'config',
  plan: 'plan',
  threads: 'threads',
};

/**
 * Fills in what was not given as an option, nor by the environment.
 *
 * A setting is left out where an option that was given speaks against it: a prune plan beside --keep or
 * before a model server, and a model of another backend.
 */
export function applySettings(
  command: Command,
  env: NodeJS.ProcessEnv = process.env,
  folder: string = process.cwd(),
): void {
  const settings = takenBy(command);
  if (settings.length === 0) return;
  const stated = readSettings(env, folder);
  for (const [setting, option] of settings) {
    const value = stated[setting]?.value;
    if (value === undefined || isGiven(command, option)) continue;
    if (isContradicted(command, setting, stated)) continue;
    command.setOptionValueWithSource(option, value, SOURCE);
  }
}

/** The options without what the files filled in: where a folder says how it was made, that holds. */
export function givenOptions<Flags extends object>(command: Command): Flags {
  const flags = Object.entries(command.opts()).filter(
    ([option]) => command.getOptionValueSource(option) !== SOURCE,
  );
  return Object.fromEntries(flags) as Flags;
}

/** Backend first: the others depend on it. */
function takenBy(command: Command): [setting: keyof Settings, option: string][] {
  const names = new Set(command.options.map((option) => option.attributeName()));
  return (Object.entries(OPTIONS) as [keyof Settings, string][]).filter(([, option]) =>
    names.has(option),
  );
}

function isGiven(command: Command, option: string): boolean {
  const source = command.getOptionValueSource(option);
  return source !== undefined && source !== 'default';
}

function isContradicted(
  command: Command,
  setting: keyof Settings,
  stated: StatedSettings,
): boolean {
  const { backend, keep } = command.opts() as { backend?: string; keep?: number };
  if (setting === 'plan') return keep !== undefined || backend === 'openai';
  if (setting === 'model' || setting === 'baseUrl')
    return backend !== undefined && backend !== (stated.backend?.value ?? 'onnx');
  return false;
}
