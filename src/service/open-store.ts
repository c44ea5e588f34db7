/** The store that the options of a service name. */

import { GlyphpressError } from '../errors.js';
import type { ContentStore } from './content-store.js';
import { FolderStore } from './folder-store.js';

export interface StoreOptions {
  /** `s3://bucket/prefix`; absent for the data folder. */
  url?: string | undefined;
  /** Of an S3-compatible store that is not Amazon's. @defaultValue AWS_ENDPOINT_URL */
  endpoint?: string | undefined;
  /** Held back of the disk of the data folder. @defaultValue 64 MiB */
  reserveBytes?: number | undefined;
  /** Bound of the copies on this machine. @defaultValue 2 GiB */
  cacheBytes?: number | undefined;
  /** How long a store that does not respond is waited for, in ms. */
  patienceMs?: number | undefined;
}

const CACHE_BYTES = 2 * 1024 ** 3;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PREFIX = /^[\w.!*'()-]+(?:\/[\w.!*'()-]+)*$/;

export interface StoreAddress {
  bucket: string;
  /** Without slashes at its ends; may be empty. */
  prefix: string;
}

/** @throws {GlyphpressError} GP_USAGE for anything but s3://bucket or s3://bucket/prefix */
export function parseStoreUrl(url: string): StoreAddress {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/]*)(?:\/(.*))?$/.exec(url) ?? [];
  const prefix = path.replace(/\/+$/, '');
  const isPrefix = prefix === '' || (PREFIX.test(prefix) && !/(^|\/)\.{1,2}(\/|$)/.test(prefix));
  if (BUCKET.test(bucket) && isPrefix) return { bucket, prefix };
  throw new GlyphpressError('GP_USAGE', {
    message: `${JSON.stringify(url)} is no object store`,
    hint: 'Give s3://bucket or s3://bucket/prefix; without --store documents lie in the data folder.',
    details: { store: url },
  });
}

/** A set-up that is wrong shows sooner than work gives up. */
const CHECK_PATIENCE_MS = 15_000;

/**
 * As {@link openStore}, with proof that the store can be used.
 *
 * @param warn is told what is not as it should be, though it works
 * @throws {GlyphpressError} GP_STORE_UNAVAILABLE, GP_STORE_REFUSED, and what {@link parseStoreUrl} throws
 */
export async function openCheckedStore(
  dataFolder: string,
  options: StoreOptions = {},
  warn: (warning: string) => void = () => {},
): Promise<ContentStore> {
  const trial = await openStore(dataFolder, { ...options, patienceMs: CHECK_PATIENCE_MS });
  try {
    for (const warning of await trial.check()) warn(warning);
  } finally {
    trial.close();
  }
  return openStore(dataFolder, options);
}

/** Nothing is asked of the store yet. */
export async function openStore(
  dataFolder: string,
  { url, endpoint, cacheBytes = CACHE_BYTES, patienceMs, reserveBytes }: StoreOptions = {},
): Promise<ContentStore> {
  if (url === undefined) return new FolderStore(dataFolder, reserveBytes);
  const address = parseStoreUrl(url);
  // Loaded late: a folder needs no client.
  const { S3Store } = await import('../store/objects/s3-store.js');
  const { ObjectContentStore } = await import('./object-content-store.js');
  const objects = await S3Store.open({ ...address, endpoint, patienceMs });
  return new ObjectContentStore({ objects, dataFolder, cacheBytes, reserveBytes });
}
