/** Where a model is: a folder, a GGUF file, or a name of the hub that was pulled before. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { GlyphpressError } from '../errors.js';
import { importGguf } from './gguf/import-gguf.js';
import { findCachedModel } from './hub/cached-models.js';
import { type HubSettings, hubSettings, parseHubName } from './hub/hub-settings.js';

export interface LocateOptions {
  /** For a GGUF file, which is turned into a folder once. */
  cacheDir?: string | undefined;
  settings?: HubSettings;
}

/**
 * The checkpoint folder of a model. What exists on disk goes before names of the hub.
 *
 * @param model folder, FILE.gguf, `owner/name` or `owner/name@revision`
 * @throws GP_CHECKPOINT if there is none of them, and what importing a GGUF file throws
 */
export async function locateModel(
  model: string,
  { cacheDir, settings = hubSettings() }: LocateOptions = {},
): Promise<string> {
  const path = resolve(model);
  if (existsSync(path)) {
    return statSync(path).isFile() && /\.gguf$/i.test(path) ? importGguf(path, cacheDir) : path;
  }
  const name = parseHubName(model);
  const pulled = name && findCachedModel(name, settings);
  if (pulled) return pulled;
  throw new GlyphpressError('GP_CHECKPOINT', {
    message: name
      ? `There is no folder ${path}, and no model ${model} in ${settings.cacheDir}.`
      : `The model folder ${path} does not exist.`,
    hint: name
      ? `Fetch it with "glyphpress model pull ${model}", or give the path of a model folder.`
      : 'Give the path of a Hugging Face checkpoint folder, the one that holds config.json, a .gguf file, or owner/name of a model that was pulled.',
    details: { file: path },
  });
}
