/**
 * What other services may want to hear of, written down in the same script that makes it so: nothing
 * happens without being told, whatever process dies in between.
 */

import type { Redis } from 'ioredis';
import { KEY_PREFIX } from './key-prefix.js';

export interface OutboxEntry {
  /** Of the entry. */
  id: string;
  tenant: string;
  /** Such as `document.completed`. */
  type: string;
  /** Id of the document or response. */
  object: string;
  /** Unix ms. */
  at: number;
}

/** Webhooks of all tenants: nothing is written down while there are none. */
export const WEBHOOKS_KEY = `${KEY_PREFIX}:webhooks`;
export const OUTBOX_CHANNEL = `${KEY_PREFIX}:outbox:new`;

const OUTBOX = `${KEY_PREFIX}:outbox`;
const MAX_ENTRIES = 100_000;

/** Lua for the scripts that end something: `tell(kind, member, state)`, a member is `tenant id`. */
export const TELL = `
local function tell(kind, member, state)
  if redis.call('EXISTS', '${WEBHOOKS_KEY}') == 0 then return end
  redis.call('XADD', '${OUTBOX}', 'MAXLEN', '~', ${MAX_ENTRIES}, '*', 'member', member, 'type', kind .. '.' .. state)
  redis.call('PUBLISH', '${OUTBOX_CHANNEL}', member)
end
`;

export async function readOutbox(redis: Redis, count: number): Promise<OutboxEntry[]> {
  const entries = await redis.xrange(OUTBOX, '-', '+', 'COUNT', count);
  return entries.map(([id, [, member, , type]]) => {
    const [tenant, object] = member!.split(' ') as [string, string];
    return { id, tenant, object, type: type!, at: Number(id.split('-')[0]) };
  });
}

export async function removeFromOutbox(redis: Redis, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await redis.xdel(OUTBOX, ...ids);
}
