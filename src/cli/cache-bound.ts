/** The bound of the cache, and keeping to it: what was used longest ago goes first. */

import { cacheFolder } from '../cache-folder.js';
import { GlyphpressError } from '../errors.js';
import { BOUNDED_KINDS, pruneCache } from '../store/cache-entries.js';
import { bytesText, parseBytes } from './amounts.js';
import { readSettings } from './settings-file.js';

/** A context takes about 650 bytes for each byte of text with the reader that ships: some 7 MB of text. */
const DEFAULT_BOUND_BYTES = 5e9;

/** @throws {GlyphpressError} GP_CONFIG_VALUE for a bound that is no size, GP_CONFIG_* for a bad file */
export function cacheBound(env: NodeJS.ProcessEnv = process.env): number {
  const stated = env.GLYPHPRESS_CACHE_MAX_BYTES;
  if (!stated) return readSettings(env).cacheMaxBytes?.value ?? DEFAULT_BOUND_BYTES;
  const bytes = parseBytes(stated);
  if (bytes !== null) return bytes;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: `GLYPHPRESS_CACHE_MAX_BYTES is ${JSON.stringify(stated)}, which is not a valid size`,
    hint: 'Write for example 500MB, 5GB or 2GiB.',
    details: { key: 'GLYPHPRESS_CACHE_MAX_BYTES', actual: stated },
  });
}

/**
 * To be called when something was stored. A cache that cannot be tidied is no reason to fail: that is
 * said, and the command goes on.
 */
export async function keepCacheBounded(): Promise<void> {
  try {
    const bound = cacheBound();
    const removed = await pruneCache(cacheFolder(), { kinds: BOUNDED_KINDS, maxBytes: bound });
    if (removed.length === 0) return;
    const bytes = removed.reduce((sum, entry) => sum + entry.bytes, 0);
    process.stderr.write(
      `cache: removed ${removed.length} stored ${removed.length === 1 ? 'document' : 'documents'} used longest ago, ${bytesText(bytes)} (bound ${bytesText(bound)}; glyphpress cache --help)\n`,
    );
  } catch (error) {
    process.stderr.write(
      `warning: the cache is not kept in its bound: ${(error as Error).message}\n`,
    );
  }
}
