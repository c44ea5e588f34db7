/**
 * Puts right what a crash left: documents without jobs get new ones, documents whose jobs are dead
 * are told so, what has expired goes.
 */

import { GlyphpressError } from '../errors.js';
import type { CompressionQueue } from '../queue/compression-queue.js';
import type { DocumentRef } from '../queue/document-record.js';
import type { DocumentRecords } from '../queue/document-records.js';
import type { ContentStore } from './content-store.js';
import type { DocumentService } from './documents.js';

export interface SweeperParts {
  documents: DocumentService;
  records: DocumentRecords;
  queue: CompressionQueue;
  store: ContentStore;
  onError?: (error: unknown) => void;
}

export interface SweeperOptions {
  /** @defaultValue 15,000 */
  everyMs?: number;
  /** A document that nothing happened to for so long is looked at. @defaultValue 10,000 */
  quietMs?: number;
}

/** The store is walked through this much less often. */
const STORE_EVERY = 40;
const BATCH = 200;

/** Jobs of a document that vanish this often are not put back again. */
const MAX_GENERATIONS = 5;

export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #quietMs: number;
  readonly #timer: NodeJS.Timeout;
  #rounds = 0;
  #running: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(parts: SweeperParts, { everyMs = 15_000, quietMs = 10_000 }: SweeperOptions = {}) {
    this.#parts = parts;
    this.#quietMs = quietMs;
    this.#timer = setInterval(() => {
      if (this.#busy) return;
      this.#busy = true;
      this.#running = this.sweep()
        .catch((error) => this.#parts.onError?.(error))
        .finally(() => {
          this.#busy = false;
        });
    }, everyMs);
    this.#timer.unref();
  }

  /** Several processes may sweep at once: each change is guarded by the state it starts from. */
  async sweep(): Promise<void> {
    const { records, queue, store } = this.#parts;
    const now = Date.now();
    for (const ref of await records.expired(now, BATCH)) await this.#removeExpired(ref);
    for (const ref of await records.quietSince(now - this.#quietMs, BATCH)) await this.#mend(ref);
    if (this.#rounds++ % STORE_EVERY === 0) {
      await queue.clean();
      // One that was being worked on when its document was deleted.
      for (const job of await queue.ended()) if (!(await records.get(job))) await queue.remove(job);
      await store.sweep();
      for await (const { tenant, hash } of store.contents()) await this.#tidy(tenant, hash);
    }
  }

  /**
   * Removes contents without an owner, and abandoned work of a content without a running worker. Visual
   * tokens stay as long as a finished document may be asked with others.
   */
  async #tidy(tenant: string, hash: string): Promise<void> {
    const { documents, records, store } = this.#parts;
    const owned = await records.holdsContent(tenant, hash);
    if (owned && !(await store.mayBeUntidy(tenant, hash))) return;
    await documents.whileIdle(tenant, hash, async (documentsLeft, tokensKeys) => {
      if (documentsLeft > 0) await store.removeUnfinished(tenant, hash, tokensKeys);
      else if (!(await store.isYoung(tenant, hash))) await store.removeContent(tenant, hash);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #removeExpired(ref: DocumentRef): Promise<void> {
    await this.#parts.documents.remove(ref).catch((error) => {
      const gone = error instanceof GlyphpressError && error.code === 'GP_DOCUMENT_UNKNOWN';
      if (!gone) throw error;
    });
  }

  async #mend(ref: DocumentRef): Promise<void> {
    const { records, queue } = this.#parts;
    const record = await records.get(ref);
    if (!record) return;
    const state = await queue.state({ ...ref, generation: record.generation });
    if (state.kind === 'alive') return;
    if (state.kind === 'failed' || record.generation >= MAX_GENERATIONS) {
      await records.finish(ref, 'failed', {
        failure: {
          code: 'GP_INTERNAL',
          message: 'The work on this document ended without a result',
          hint: 'Submit it again, and report it if it stays.',
          stage: state.kind === 'failed' ? state.stage : record.stage,
          details: {},
        },
      });
      return;
    }
    const generation = await records.requeue(ref, record.generation);
    if (generation !== null) await queue.add({ ...ref, generation }, record.priority);
  }
}
