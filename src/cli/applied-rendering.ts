/**
 * The rendering that `search apply` made the default, for whom the default was what it replaces: a
 * rendering found for one reader is no default for models that are drawn otherwise.
 */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { dataFolder } from '../data-folder.js';
import { GlyphpressError } from '../errors.js';
import { makeFolderSync } from '../output-folder.js';
import {
  DEFAULT_PRESET,
  loadRenderConfig,
  type RawRenderConfig,
  renderConfigId,
} from '../render/index.js';
import { writeWholeSync } from '../store/write-whole.js';

export interface AppliedRendering {
  config: RawRenderConfig;
  /** Folder and point of the search that found it. */
  from: string;
}

type Applied = Record<string, AppliedRendering>;

export function appliedFile(env: NodeJS.ProcessEnv = process.env): string {
  return path.join(dataFolder(env), 'default-rendering.json');
}

/** @param defaultConfig the model's own rendering; null for the default preset */
export function appliedRendering(defaultConfig: RawRenderConfig | null): RawRenderConfig | null {
  return read()[idOf(defaultConfig)]?.config ?? null;
}

export function applyRendering(
  defaultConfig: RawRenderConfig | null,
  applied: AppliedRendering,
): void {
  write({ ...read(), [idOf(defaultConfig)]: applied });
}

/** @returns whether there was something to take back */
export function resetRenderings(): boolean {
  const was = existsSync(appliedFile());
  rmSync(appliedFile(), { force: true });
  return was;
}

const idOf = (defaultConfig: RawRenderConfig | null) =>
  renderConfigId(loadRenderConfig(defaultConfig ?? DEFAULT_PRESET));

function read(): Applied {
  const file = appliedFile();
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Applied;
  } catch (cause) {
    throw new GlyphpressError('GP_CONFIG_SYNTAX', {
      message: `${file} is not valid JSON: ${(cause as Error).message}`,
      hint: 'Run glyphpress search apply --reset, or mend the file.',
      details: { file },
      cause,
    });
  }
}

function write(applied: Applied): void {
  const file = appliedFile();
  makeFolderSync(path.dirname(file));
  writeWholeSync(file, `${JSON.stringify(applied, null, 2)}\n`);
}
