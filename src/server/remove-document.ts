/** A document goes with all that was made from it. */

import { keysOfParts } from '../service/pieces.js';
import { placeName } from '../store/place.js';
import type { ServerParts } from './context.js';

/** Also out of the memory of this process. */
export async function removeDocument(
  { documents, engine, passages, store }: ServerParts,
  ref: { tenant: string; id: string },
): Promise<void> {
  const record = await documents.get(ref);
  await documents.remove(ref);
  const { tenant, contentHash, settingsKey } = record;
  const place = store.place(tenant, contentHash);
  passages.drop(placeName(place.context(settingsKey)));
  for (const key of keysOfParts(settingsKey, record))
    await engine.drop(placeName(place.context(key)));
}
