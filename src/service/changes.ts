/** Wakes those who wait for something that another process may change. */

import type { Redis } from 'ioredis';

export interface Watch {
  /** Ask before looking, so that nothing goes unheard in between. */
  next(): Promise<void>;
  stop(): void;
}

export class Changes {
  readonly #watchers = new Map<string, Set<() => void>>();

  /**
   * @param subscriber in subscriber mode; may serve several channels
   * @param channel on which changed members are published
   */
  static async open(subscriber: Redis, channel: string): Promise<Changes> {
    const changes = new Changes();
    subscriber.on('message', (from, member) => {
      if (from !== channel) return;
      for (const wake of changes.#watchers.get(member) ?? []) wake();
    });
    await subscriber.subscribe(channel);
    return changes;
  }

  watch(member: string): Watch {
    let wake = () => {};
    const watcher = () => wake();
    const watchers = this.#watchers.get(member) ?? new Set();
    this.#watchers.set(member, watchers.add(watcher));
    return {
      next: () =>
        new Promise<void>((resolve) => {
          wake = resolve;
        }),
      stop: () => {
        watchers.delete(watcher);
        if (watchers.size === 0) this.#watchers.delete(member);
      },
    };
  }
}

export function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
