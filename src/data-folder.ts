import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The folder for what cannot be made again: GLYPHPRESS_DATA, else the user's data folder. */
export function dataFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.GLYPHPRESS_DATA) return resolve(env.GLYPHPRESS_DATA);
  return join(env.XDG_DATA_HOME || join(env.HOME || homedir(), '.local', 'share'), 'glyphpress');
}
