/**
 * Defaults that a user, or a project, writes down: `glyphpress.config.json`.
 *
 * Two files may speak: that of the user in the configuration folder, and that of the project, in the
 * working folder or the nearest one above it. What a project says goes before what the user says, and
 * options before both.
 */

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { didYouMean } from '../did-you-mean.js';
import { GlyphpressError } from '../errors.js';
import { NAMED_PLANS } from '../prune/index.js';
import { PRESETS } from '../render/index.js';
import { parseBytes } from './amounts.js';

export const SETTINGS_FILE = 'glyphpress.config.json';

export interface Settings {
  /** A model folder; with the backend openai, the server's name of the model. */
  model: string;
  backend: 'onnx' | 'openai';
  baseUrl: string;
  /** As --config. */
  rendering: string;
  plan: string;
  threads: number;
  cacheMaxBytes: number;
}

export interface Stated<T> {
  value: T;
  file: string;
}

export type StatedSettings = { [Key in keyof Settings]?: Stated<Settings[Key]> };

interface KeyForm<T> {
  expected: string;
  /** @returns null for a value that does not fit */
  parse: (value: unknown, file: string) => T | null;
}

/** A name stays a name; a path starts from the file that it stands in. */
const nameOrPath =
  (isName: (text: string) => boolean) =>
  (value: unknown, file: string): string | null => {
    if (typeof value !== 'string' || value === '') return null;
    return isName(value) ? value : path.resolve(path.dirname(file), value);
  };

/** A folder that is there is a path; anything else may be a server's name of a model. */
const modelName = (value: unknown, file: string): string | null => {
  if (typeof value !== 'string' || value === '') return null;
  const folder = path.resolve(path.dirname(file), value);
  return existsSync(folder) ? folder : value;
};

const FORMS: { [Key in keyof Settings]: KeyForm<Settings[Key]> } = {
  model: { expected: "a model folder, or a server's name of a model", parse: modelName },
  backend: {
    expected: '"onnx" or "openai"',
    parse: (value) => (value === 'onnx' || value === 'openai' ? value : null),
  },
  baseUrl: {
    expected: 'an address, for example "http://127.0.0.1:8000/v1"',
    parse: (value) =>
      typeof value === 'string' && /^https?:/.test(value) && URL.canParse(value) ? value : null,
  },
  rendering: {
    expected: 'a preset, or a JSON file of a render config',
    parse: nameOrPath((text) => Object.hasOwn(PRESETS, text)),
  },
  plan: {
    expected: 'the name of a prune plan, or a JSON file of one',
    parse: nameOrPath((text) => Object.hasOwn(NAMED_PLANS, text)),
  },
  threads: {
    expected: 'a whole number from 1 to 256',
    parse: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 256
        ? value
        : null,
  },
  cacheMaxBytes: {
    expected: 'bytes, or a size such as "5GB"',
    parse: (value) =>
      typeof value === 'number' || typeof value === 'string' ? parseBytes(String(value)) : null,
  },
};

export const SETTING_KEYS = Object.keys(FORMS) as (keyof Settings)[];

/** Where documents and keys are sent is not for a folder to choose that came from elsewhere. */
const USER_ONLY: ReadonlySet<string> = new Set(['baseUrl'] satisfies (keyof Settings)[]);

/** The user's file: in GLYPHPRESS_CONFIG_DIR, else in the folder of the user's configuration. */
export function userSettingsFile(env: NodeJS.ProcessEnv = process.env): string {
  const folder =
    env.GLYPHPRESS_CONFIG_DIR ||
    path.join(env.XDG_CONFIG_HOME || path.join(env.HOME || homedir(), '.config'), 'glyphpress');
  return path.join(folder, SETTINGS_FILE);
}

/** @returns the file in the folder or the nearest one above it; null if there is none */
export function projectSettingsFile(folder: string): string | null {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    const file = path.join(at, SETTINGS_FILE);
    if (existsSync(file)) return file;
    if (path.dirname(at) === at) return null;
  }
}

/**
 * What holds, and which file said so.
 *
 * @throws {GlyphpressError} GP_CONFIG_SYNTAX, GP_CONFIG_UNKNOWN_KEY, GP_CONFIG_VALUE
 */
export function readSettings(
  env: NodeJS.ProcessEnv = process.env,
  folder: string = process.cwd(),
): StatedSettings {
  const user = userSettingsFile(env);
  const project = projectSettingsFile(folder);
  return {
    ...(existsSync(user) && readFile(user, false)),
    ...(project !== null && project !== user && readFile(project, true)),
  };
}

function readFile(file: string, isOfProject: boolean): StatedSettings {
  const stated: Record<string, Stated<unknown>> = {};
  for (const [key, value] of Object.entries(readObject(file))) {
    if (key === '$schema') continue;
    if (!Object.hasOwn(FORMS, key)) throw unknownKey(key, file);
    if (isOfProject && USER_ONLY.has(key)) throw notOfProject(key, file);
    const { expected, parse } = FORMS[key as keyof Settings];
    const parsed = parse(value, file);
    if (parsed === null) throw badValue(key, value, expected, file);
    stated[key] = { value: parsed, file };
  }
  return stated as StatedSettings;
}

function readObject(file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new GlyphpressError('GP_CONFIG_SYNTAX', {
      message: `${file} cannot be read as JSON: ${(cause as Error).message}`,
      hint: 'Write for example {"model": "models/mine", "threads": 4}, or remove the file.',
      details: { file },
      cause,
    });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new GlyphpressError('GP_CONFIG_SYNTAX', {
    message: `Expected ${file} to hold a JSON object`,
    hint: 'Write for example {"model": "models/mine", "threads": 4}.',
    details: { file },
  });
}

function unknownKey(key: string, file: string): GlyphpressError {
  return new GlyphpressError('GP_CONFIG_UNKNOWN_KEY', {
    message: `Unknown key "${key}" in ${file}.${didYouMean(key, SETTING_KEYS)}`,
    hint: `Known keys: ${SETTING_KEYS.join(', ')}.`,
    details: { file, key },
  });
}

function badValue(key: string, value: unknown, expected: string, file: string): GlyphpressError {
  return new GlyphpressError('GP_CONFIG_VALUE', {
    message: `Expected ${key} in ${file} to be ${expected}, got ${JSON.stringify(value)}`,
    hint: 'Correct the file.',
    details: { file, key, actual: value },
  });
}

function notOfProject(key: string, file: string): GlyphpressError {
  return new GlyphpressError('GP_CONFIG_VALUE', {
    message: `${key} is not for the file of a project, ${file}: it says where documents and keys are sent`,
    hint: `Put it into ${userSettingsFile()}, or give it as an option.`,
    details: { file, key },
  });
}
