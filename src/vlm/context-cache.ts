/**
 * Contexts kept ready for questions, least recently asked out first. An answer writes its own rows
 * behind the context's and takes them back afterwards; a second answer at the same time gets a copy.
 */
import type { LayerCache } from './kv-cache.js';

interface Entry {
  caches: LayerCache[];
  /** Rows of the context itself, by layer: an answer under way has its own behind them. */
  lengths: readonly number[];
  busy: boolean;
}

export interface ContextLease {
  caches: LayerCache[];
  release(): void;
}

export class ContextCache {
  readonly #entries = new Map<number, Entry>();
  #nextHandle = 1;

  /** @param maxBytes kept in all; the newest context stays whatever its size */
  constructor(private readonly maxBytes: number) {}

  get size(): number {
    return this.#entries.size;
  }

  add(caches: LayerCache[]): number {
    const handle = this.#nextHandle++;
    const lengths = caches.map((cache) => cache.length);
    this.#entries.set(handle, { caches, lengths, busy: false });
    this.#evict();
    return handle;
  }

  delete(handle: number): void {
    this.#entries.delete(handle);
  }

  /** The context with room for `rows` more, or undefined when it is no longer here. */
  lease(handle: number, rows: number): ContextLease | undefined {
    const entry = this.#entries.get(handle);
    if (!entry) return undefined;
    this.#entries.delete(handle);
    this.#entries.set(handle, entry);
    const { lengths } = entry;
    if (entry.busy) {
      const caches = entry.caches.map((cache, layer) => cache.clone(lengths[layer]!, rows));
      return { caches, release: () => {} };
    }
    entry.busy = true;
    for (const cache of entry.caches) cache.reserve(cache.length + rows);
    return {
      caches: entry.caches,
      release: () => {
        for (const [layer, cache] of entry.caches.entries()) cache.truncate(lengths[layer]!);
        entry.busy = false;
      },
    };
  }

  #evict(): void {
    const size = (entry: Entry) => entry.caches.reduce((sum, cache) => sum + cache.byteLength, 0);
    let total = [...this.#entries.values()].reduce((sum, entry) => sum + size(entry), 0);
    for (const [handle, entry] of this.#entries) {
      if (total <= this.maxBytes || this.#entries.size === 1) return;
      this.#entries.delete(handle);
      total -= size(entry);
    }
  }
}
