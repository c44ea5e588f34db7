/** Where a service keeps its documents; `serve` hands these on to the workers that it starts. */

import { type Command, Option } from 'commander';
import { parseStoreUrl, type StoreOptions } from '../service/open-store.js';
import { wholeNumber } from './options.js';

export interface StoreFlags {
  store?: string;
  storeEndpoint?: string;
  storeCacheMb: number;
}

export function withStoreOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--store <url>',
        's3://bucket/prefix for documents instead of the data folder; credentials as the AWS tools find them',
      ).env('GLYPHPRESS_STORE'),
    )
    .addOption(
      new Option(
        '--store-endpoint <url>',
        'address of an S3-compatible store (default: AWS_ENDPOINT_URL, else Amazon S3)',
      ).env('GLYPHPRESS_STORE_ENDPOINT'),
    )
    .addOption(
      new Option('--store-cache-mb <n>', 'disk for copies of what the store holds')
        .argParser(wholeNumber(16, 1e6))
        .default(2_048)
        .env('GLYPHPRESS_STORE_CACHE_MB'),
    );
}

/** @param patienceMs how long a store that does not respond is waited for */
export function storeOptionsOf(
  { store, storeEndpoint, storeCacheMb }: StoreFlags,
  patienceMs: number,
): StoreOptions {
  if (store !== undefined) parseStoreUrl(store);
  const cacheBytes = storeCacheMb * 1024 ** 2;
  return { url: store, endpoint: storeEndpoint, cacheBytes, patienceMs };
}

/** The same options for a worker that is started as a child. */
export function storeArguments({ store, storeEndpoint, storeCacheMb }: StoreFlags): string[] {
  return [
    ...(store === undefined ? [] : ['--store', store]),
    ...(storeEndpoint === undefined ? [] : ['--store-endpoint', storeEndpoint]),
    ...['--store-cache-mb', String(storeCacheMb)],
  ];
}
