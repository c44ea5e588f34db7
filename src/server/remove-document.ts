/** A document goes with all that was made from it. */

import { placeName } from '../store/place.js';
import type { ServerParts } from './context.js';

/** Also out of the memory of this process. */
export async function removeDocument(
  { documents, engine, store }: ServerParts,
  ref: { tenant: string; id: string },
): Promise<void> {
  const record = await documents.get(ref);
  await documents.remove(ref);
  const { tenant, contentHash, settingsKey } = record;
  await engine.drop(placeName(store.place(tenant, contentHash).context(settingsKey)));
}
