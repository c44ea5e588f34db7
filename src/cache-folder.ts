import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The folder for what can be made again: GLYPHPRESS_CACHE, else the user's cache folder. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.GLYPHPRESS_CACHE) return resolve(env.GLYPHPRESS_CACHE);
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'glyphpress');
}
