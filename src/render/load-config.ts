/** Finds a render config by preset name or file, with overrides on top. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { didYouMean } from '../did-you-mean.js';
import { GlyphpressError } from '../errors.js';
import { CONFIG_KEYS, type ConfigKey, type RenderConfig } from './config-schema.js';
import { DEFAULT_PRESET, PRESETS } from './presets.js';
import { parseRenderConfig, type RawRenderConfig } from './render-config.js';

/**
 * @param base a preset name, the path of a JSON file, or the keys themselves
 * @param overrides keys that replace the config's own
 */
export function loadRenderConfig(
  base: string | RawRenderConfig = DEFAULT_PRESET,
  overrides: RawRenderConfig = {},
): RenderConfig {
  if (typeof base !== 'string') return parseRenderConfig(merge(base, overrides));
  if (Object.hasOwn(PRESETS, base)) return parseRenderConfig(merge(PRESETS[base]!, overrides));
  const raw = readJson(base);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return parseRenderConfig(raw);
  return parseRenderConfig(merge(raw, overrides), path.dirname(path.resolve(base)));
}

/**
 * `["dpi=96", "reflow=true"]` → overrides. Values are read as JSON where they are JSON, else as text.
 * @throws {GlyphpressError} GP_USAGE for an entry without `=`
 */
export function parseOverrides(settings: readonly string[]): RawRenderConfig {
  const overrides: Record<string, unknown> = {};
  for (const setting of settings) {
    const at = setting.indexOf('=');
    if (at < 1) {
      throw new GlyphpressError('GP_USAGE', {
        message: `Expected --set key=value, got "${setting}"`,
        hint: 'For example --set dpi=96 --set reflow=true.',
      });
    }
    const key = setting.slice(0, at).trim();
    const isText =
      Object.hasOwn(CONFIG_KEYS, key) && CONFIG_KEYS[key as ConfigKey].form.kind === 'string';
    overrides[key] = isText ? setting.slice(at + 1) : jsonOrText(setting.slice(at + 1));
  }
  return overrides;
}

/** An override of the font replaces the other way of naming it. */
function merge(base: RawRenderConfig, overrides: RawRenderConfig): RawRenderConfig {
  const merged = { ...base, ...overrides };
  if ('font-family' in overrides && !('font-path' in overrides)) delete merged['font-path'];
  if ('font-path' in overrides && !('font-family' in overrides)) delete merged['font-family'];
  return merged;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `No render config "${file}".${didYouMean(file, Object.keys(PRESETS))}`,
      hint: `Give a JSON file or a preset: ${Object.keys(PRESETS).join(', ')}.`,
      details: { file },
      cause,
    });
  }
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new GlyphpressError('GP_CONFIG_SYNTAX', {
      message: `${file} is not valid JSON: ${(cause as Error).message}`,
      hint: 'Compare with the config files of docs/rendering.md.',
      details: { file },
      cause,
    });
  }
}
