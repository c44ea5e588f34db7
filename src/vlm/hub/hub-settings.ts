/**
 * Where the hub is, who asks and where its files are kept, from the variables that huggingface_hub reads.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { GlyphpressError } from '../../errors.js';

export interface HubSettings {
  /** HF_ENDPOINT, a mirror for example. */
  endpoint: string;
  /** HF_TOKEN, else what `hf auth login` stored. */
  token: string | undefined;
  /** HF_HUB_CACHE, else `hub` in HF_HOME, else in the user's cache folder. */
  cacheDir: string;
  /** HF_HUB_OFFLINE */
  offline: boolean;
}

export function hubSettings(env: NodeJS.ProcessEnv = process.env): HubSettings {
  const userCache = env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache');
  const home = env.HF_HOME || join(userCache, 'huggingface');
  return {
    endpoint: (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, ''),
    token: env.HF_TOKEN || storedToken(env.HF_TOKEN_PATH || join(home, 'token')),
    cacheDir: env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, 'hub'),
    offline: ['1', 'true', 'yes', 'on'].includes((env.HF_HUB_OFFLINE ?? '').toLowerCase()),
  };
}

function storedToken(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() || undefined : undefined;
}

/** A repository of the hub at some revision. */
export interface HubModel {
  /** `owner/name` */
  id: string;
  /** Branch, tag or commit. */
  revision: string;
}

const NAME = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const REVISION = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)*$/;

/** @returns undefined for what is no `owner/name[@revision]` */
export function parseHubName(text: string): HubModel | undefined {
  const at = text.indexOf('@');
  const id = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? 'main' : text.slice(at + 1);
  const isSafe = NAME.test(id) && REVISION.test(revision) && !`${id}/${revision}`.includes('..');
  return isSafe ? { id, revision } : undefined;
}

/** @throws GP_USAGE for what is no `owner/name[@revision]` */
export function requireHubName(text: string): HubModel {
  const model = parseHubName(text);
  if (model) return model;
  throw new GlyphpressError('GP_USAGE', {
    message: `"${text}" is not the name of a model on the hub.`,
    hint: 'Give owner/name, or owner/name@revision, for example zai-org/Glyph.',
    details: { name: text },
  });
}

/** The folder of a repository in the cache: `models--owner--name`. */
export function repositoryFolder({ id }: HubModel, { cacheDir }: HubSettings): string {
  return join(cacheDir, `models--${id.replace('/', '--')}`);
}
