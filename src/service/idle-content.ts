/** What is done to a content while no document of it is under way, and none comes. */

import { GlyphpressError } from '../errors.js';
import { type DocumentRecord, isAtRest } from '../queue/document-record.js';
import type { DocumentRecords } from '../queue/document-records.js';
import type { ContentStore } from './content-store.js';
import { parseSettings, readingOf } from './document-settings.js';
import type { ModelRegistry } from './models.js';
import { keysOfParts } from './pieces.js';

export interface ContentParts {
  records: DocumentRecords;
  models: ModelRegistry;
}

export function contentLock(tenant: string, hash: string): string {
  return `content:${tenant}:${hash}`;
}

/**
 * Does something with a content unless a document of it is unfinished; none comes meanwhile.
 *
 * @param work gets the number of documents that hold the content, and the names of the visual tokens
 *   of those that are completed; null where a model that is not here made them
 */
export async function whileIdle(
  { records, models }: ContentParts,
  tenant: string,
  hash: string,
  work: (documents: number, tokensKeys: ReadonlySet<string> | null) => Promise<void>,
): Promise<void> {
  await records.exclusively(contentLock(tenant, hash), async () => {
    const ids = Object.keys(await records.siblings(tenant, hash));
    const all = await Promise.all(ids.map((id) => records.get({ tenant, id })));
    const known = all.filter((record) => record !== null);
    if (!known.every(isAtRest)) return;
    const completed = known.filter(({ state }) => state === 'completed');
    await work(ids.length, tokensKeysOf(models, completed));
  });
}

/** Visual tokens and half-made pages of a document that came to nothing, unless another one needs them. */
export async function removeLeftovers(
  parts: ContentParts & { store: ContentStore },
  { tenant, contentHash: hash }: Pick<DocumentRecord, 'tenant' | 'contentHash'>,
): Promise<void> {
  const { records, store } = parts;
  await whileIdle(parts, tenant, hash, async (documents, tokensKeys) => {
    if (documents === 0) return;
    await store.removeUnfinished(tenant, hash, tokensKeys);
    await records.noteStored(tenant, hash, await store.bytesOf(tenant, hash));
  });
}

function tokensKeysOf(
  models: ModelRegistry,
  records: readonly DocumentRecord[],
): ReadonlySet<string> | null {
  try {
    return new Set(
      records.flatMap((record) => {
        const settings = parseSettings(record.settings);
        const { tokensKey } = readingOf(settings, models.info(settings.model), record.mediaType);
        return keysOfParts(tokensKey, record);
      }),
    );
  } catch (error) {
    if (error instanceof GlyphpressError) return null;
    throw error;
  }
}
