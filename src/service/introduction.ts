/**
 * Whether a worker may take jobs of a service: it must share its store, have its models, and be of a
 * version that makes the same of them. A worker with another folder or model would destroy what others do.
 */

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { GlyphpressError } from '../errors.js';
import { packageJson } from '../package-file.js';
import { KEY_PREFIX } from '../queue/key-prefix.js';
import type { ContentStore } from './content-store.js';
import type { ModelRegistry } from './models.js';

/** What a service says of itself to its workers. */
export interface Introduction {
  /** Name that its store has in itself. */
  store: string;
  /** Model → what it computes with: checkpoint and type of weights. */
  models: Record<string, string>;
  version: string;
}

const KEY = `${KEY_PREFIX}:service`;

export interface IntroductionParts {
  redis: Redis;
  store: ContentStore;
  models: ModelRegistry;
  /** @defaultValue that of this package */
  version?: string;
}

/**
 * Tells workers what they need. Another service on the same Redis must have the same store; its models
 * and its version are replaced, as when it is upgraded.
 *
 * @throws {GlyphpressError} GP_SERVICE for another store
 */
export async function introduceService(parts: IntroductionParts): Promise<void> {
  const { redis, store } = parts;
  const known = await introductionOf(redis);
  const marker = (await store.readMarker()) ?? (await mark(store));
  if (known && known.store !== marker) {
    throw new GlyphpressError('GP_SERVICE', {
      message: `${store.name} is not the store of the documents that this Redis knows of`,
      hint: 'Give the data folder or --store of before, or another Redis. Where the old store is gone for good, delete the key gp:service.',
      details: { store: store.name },
    });
  }
  await redis.set(KEY, JSON.stringify(own(parts, marker)));
}

/**
 * @returns why this worker must not take jobs of the service; null where it may, and where no service has
 *   introduced itself yet
 */
export async function problemOfWorker(parts: IntroductionParts): Promise<GlyphpressError | null> {
  const { redis, store } = parts;
  const service = await introductionOf(redis);
  if (!service) return null;
  const marker = await store.readMarker();
  if (marker !== service.store) {
    return unfit(
      marker === null
        ? `${store.name} is not the store of the service: nothing there says so`
        : `${store.name} is the store of another service`,
      'Give the data folder (--data) or the --store of the service.',
      { store: store.name },
    );
  }
  const mine = own(parts, marker);
  for (const [name, expected] of Object.entries(service.models)) {
    const got = mine.models[name];
    if (got === expected) continue;
    return unfit(
      got === undefined
        ? `The service has a model ${name}, which is not here`
        : `The model ${name} here is another than that of the service`,
      'Give the same --model folders, with the same --dtype and --kv-dtype.',
      { model: name, expected, got: got ?? null },
    );
  }
  if (releaseOf(mine.version) !== releaseOf(service.version)) {
    return unfit(
      `The service is glyphpress ${service.version}, this worker ${mine.version}`,
      `Install glyphpress ${releaseOf(service.version)}.x here.`,
      { expected: service.version, got: mine.version },
    );
  }
  return writeProblem(store);
}

/** Versions that differ behind it make the same of a document. */
function releaseOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

async function writeProblem(store: ContentStore): Promise<GlyphpressError | null> {
  try {
    await store.probe();
    return null;
  } catch (cause) {
    return unfit(
      `${store.name} takes no files: ${(cause as Error).message}`,
      'Let this worker write there.',
      { store: store.name },
    );
  }
}

function own({ models, version }: IntroductionParts, marker: string): Introduction {
  const entries = models.names.map((name) => {
    const { checkpointHash, dtype, kvDtype } = models.info(name);
    return [name, `${checkpointHash} ${dtype} ${kvDtype}`] as const;
  });
  return {
    store: marker,
    models: Object.fromEntries(entries),
    version: version ?? packageJson().version,
  };
}

async function mark(store: ContentStore): Promise<string> {
  await store.writeMarker(randomBytes(12).toString('hex'));
  // Another process may have been faster.
  return (await store.readMarker())!;
}

async function introductionOf(redis: Redis): Promise<Introduction | null> {
  const json = await redis.get(KEY);
  return json === null ? null : (JSON.parse(json) as Introduction);
}

function unfit(message: string, hint: string, details: Record<string, unknown>): GlyphpressError {
  return new GlyphpressError('GP_WORKER', { message, hint, details });
}
