/** What happened to a document, as it is told to clients. */

import type { TerminalState } from './document-record.js';

/** One thing that happened to a document; ids grow with time. */
export interface DocumentEvent {
  /** `ms-n`: n-th of its millisecond. */
  id: string;
  type: 'queued' | 'stage' | 'progress' | 'retry' | TerminalState;
  data: Record<string, unknown>;
}

/** Of a stream in Redis: id, and names and values in turn. */
type StreamEntry = [id: string, fields: string[]];

/**
 * @param kept entries of the stream of a document that is under way; of one that is over, the text that is
 *   kept of it, null when not even that is there any more
 * @param after only those behind this id; null for all
 */
export function parseEvents(
  kept: readonly StreamEntry[] | string | null,
  after: string | null,
): DocumentEvent[] {
  if (typeof kept !== 'string') {
    return (kept ?? []).map(([id, [, type, , data]]) => ({
      id,
      type: type as DocumentEvent['type'],
      data: JSON.parse(data!),
    }));
  }
  const all = JSON.parse(kept) as [string, DocumentEvent['type'], DocumentEvent['data']][];
  return all
    .filter(([id]) => after === null || isBehind(id, after))
    .map(([id, type, data]) => ({ id, type, data }));
}

function isBehind(id: string, after: string): boolean {
  const [ms = 0, n = 0] = id.split('-').map(Number);
  const [afterMs = 0, afterN = 0] = after.split('-').map(Number);
  return ms > afterMs || (ms === afterMs && n > afterN);
}
