/** So many at once, the others in line: groups take turns, whatever each of them asks for. */

import { GlyphpressError } from '../errors.js';

interface Waiting {
  start: () => void;
}

export class FairQueue {
  /** Groups with somebody waiting, the next one first. */
  readonly #groups = new Map<string, Waiting[]>();
  #running = 0;
  #waiting = 0;

  constructor(
    private readonly concurrency: number,
    private readonly maxWaiting: number,
  ) {}

  get waiting(): number {
    return this.#waiting;
  }

  get running(): number {
    return this.#running;
  }

  /**
   * Runs the work when its turn comes.
   *
   * @throws {GlyphpressError} GP_BUSY when too many wait; the signal's reason when it gives up waiting
   */
  async run<T>(group: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#turn(group, signal);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#next();
    }
  }

  async #turn(group: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.concurrency) {
      this.#running++;
      return;
    }
    if (this.#waiting >= this.maxWaiting) {
      throw new GlyphpressError('GP_BUSY', {
        message: `${this.#waiting} questions are waiting; the service takes no more`,
        hint: 'Ask again in a few seconds.',
        details: { waiting: this.#waiting, limit: this.maxWaiting },
      });
    }
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#leave(group, entry);
        reject(signal.reason);
      };
      const entry: Waiting = {
        start: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      const line = this.#groups.get(group);
      if (line) line.push(entry);
      else this.#groups.set(group, [entry]);
      this.#waiting++;
    });
  }

  #leave(group: string, entry: Waiting): void {
    const line = this.#groups.get(group)!;
    line.splice(line.indexOf(entry), 1);
    if (line.length === 0) this.#groups.delete(group);
    this.#waiting--;
  }

  #next(): void {
    if (this.#running >= this.concurrency) return;
    const first = this.#groups.entries().next();
    if (first.done) return;
    const [group, line] = first.value;
    const entry = line.shift()!;
    // To the end of the round.
    this.#groups.delete(group);
    if (line.length > 0) this.#groups.set(group, line);
    this.#waiting--;
    this.#running++;
    entry.start();
  }
}
