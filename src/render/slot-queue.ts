/** Shares tasks out over browsers: the next task goes to the one with the least to do. */

import type { PageSlot } from './chromium.js';

/** Tasks a browser holds at the same time: while one deflates, the next is painted. */
const TASKS_PER_SLOT = 2;

export class SlotQueue {
  readonly #slots: readonly PageSlot[];
  readonly #load: number[];
  readonly #waiting: (() => void)[] = [];

  constructor(slots: readonly PageSlot[]) {
    this.#slots = slots;
    this.#load = slots.map(() => 0);
  }

  /** Tasks that can be under way at once. */
  get capacity(): number {
    return this.#slots.length * TASKS_PER_SLOT;
  }

  /** Runs a task as soon as a browser has room; tasks start in the order in which they came. */
  async run<T>(task: (slot: PageSlot) => Promise<T>): Promise<T> {
    while (Math.min(...this.#load) >= TASKS_PER_SLOT) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#runOn(this.#load.indexOf(Math.min(...this.#load)), task);
  }

  /** Runs a task on the first browser at once: layout must not wait for drawing. */
  runFirst<T>(task: (slot: PageSlot) => Promise<T>): Promise<T> {
    return this.#runOn(0, task);
  }

  async #runOn<T>(i: number, task: (slot: PageSlot) => Promise<T>): Promise<T> {
    this.#load[i]!++;
    try {
      return await task(this.#slots[i]!);
    } finally {
      this.#load[i]!--;
      this.#waiting.shift()?.();
    }
  }
}
