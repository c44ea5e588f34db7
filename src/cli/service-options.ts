/** Options that the commands of the service share, and their way to Redis. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { dataFolder } from '../data-folder.js';
import { privateRedisSocket, startPrivateRedis } from '../environment/private-redis.js';
import { pingRedis } from '../environment/redis.js';
import { GlyphpressError } from '../errors.js';
import { DEFAULT_MODEL } from '../package-file.js';
import { ModelRegistry } from '../service/models.js';
import { type KvDtype, locateModel } from '../vlm/index.js';
import { dtypeOption, kvDtypeOption } from './model-options.js';
import { wholeNumber } from './options.js';

export interface DataFlags {
  data?: string;
}

export interface ServiceModelFlags {
  model: string[];
  threads?: number;
  dtype?: string;
  kvDtype?: KvDtype;
}

export function withDataOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--data <dir>',
      'folder for documents and the private Redis (default: the user’s data folder)',
    ).env('GLYPHPRESS_DATA'),
  );
}

export function withServiceModelOptions(command: Command): Command {
  return command
    .option(
      '--model <model>',
      'model folder, or owner/name that was pulled (repeatable, the first is the default; default: the reader that ships with glyphpress)',
      (value: string, previous: string[]) => [...previous, value],
      [],
    )
    .option('--threads <n>', 'threads for each model', wholeNumber(1, 256))
    .addOption(dtypeOption().env('GLYPHPRESS_DTYPE'))
    .addOption(kvDtypeOption().env('GLYPHPRESS_KV_DTYPE'));
}

export function dataFolderOf({ data }: DataFlags): string {
  return path.resolve(data ?? dataFolder());
}

/** As another process of the service is told, wherever it starts. */
export function modelArguments({ model }: ServiceModelFlags): string[] {
  return model.flatMap((given) => {
    const dir = path.resolve(given);
    return ['--model', existsSync(dir) ? dir : given];
  });
}

/** @param contextCacheBytes memory of each model for contexts that were asked */
export async function modelsOf(
  flags: ServiceModelFlags,
  contextCacheBytes?: number,
): Promise<ModelRegistry> {
  const { model, threads, dtype, kvDtype } = flags;
  const given = model.length > 0 ? model : [DEFAULT_MODEL];
  const models = await Promise.all(
    given.map(async (asked) => ({ name: modelName(asked), dir: await locateModel(asked) })),
  );
  return new ModelRegistry(models, {
    ...(threads !== undefined && { threads }),
    ...(dtype !== undefined && { dtype }),
    ...(kvDtype !== undefined && { kvDtype }),
    ...(contextCacheBytes !== undefined && { contextCacheBytes }),
  });
}

/** The folder's name, the name on the hub without owner and revision, or the file's. */
function modelName(asked: string): string {
  const base = path.basename(path.resolve(asked));
  return existsSync(asked) ? base.replace(/\.gguf$/i, '') : base.replace(/@.*$/, '');
}

/** Some Redis to work with, and how to let go of it. */
export interface RedisAccess {
  url: string;
  /** Rejects when it cannot be kept alive. */
  lost: Promise<never>;
  stop(): Promise<void>;
}

const elsewhere = (url: string): RedisAccess => ({
  url,
  lost: new Promise(() => {}),
  stop: async () => {},
});

/** REDIS_URL, else one of our own for as long as we run. */
export async function ownRedis(
  flags: DataFlags,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RedisAccess> {
  if (env.REDIS_URL) return elsewhere(await checkedUrl(env.REDIS_URL));
  return startPrivateRedis(dataFolderOf(flags), env);
}

/** REDIS_URL, else the private one of a `serve` that runs on the same data folder. */
export async function runningRedis(
  flags: DataFlags,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RedisAccess | null> {
  if (env.REDIS_URL) return elsewhere(await checkedUrl(env.REDIS_URL));
  const socket = privateRedisSocket(dataFolderOf(flags));
  return (await pingRedis(socket, 2_000)).ok ? elsewhere(socket) : null;
}

async function checkedUrl(url: string): Promise<string> {
  const ping = await pingRedis(url);
  if (!ping.ok) {
    throw new GlyphpressError('GP_REDIS_UNAVAILABLE', {
      message: `REDIS_URL does not answer: ${ping.problem}`,
      hint: 'Start that server, correct REDIS_URL, or unset it to let glyphpress start its own.',
    });
  }
  if (ping.evictionPolicy && ping.evictionPolicy !== 'noeviction') {
    process.stderr.write(
      `warning: Redis evicts keys when it is full (maxmemory-policy ${ping.evictionPolicy}): documents may be lost. Set it to noeviction.\n`,
    );
  }
  return url;
}
