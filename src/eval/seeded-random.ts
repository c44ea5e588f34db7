/** Seeded choices: the same name gives the same choices on every machine. */

import { createHash } from 'node:crypto';
import { seededRandom } from '../prune/index.js';

export class SeededRandom {
  readonly #words: ReturnType<typeof seededRandom>;

  /** @param name what is drawn, in words: equal names draw equally, others independently */
  constructor(name: string) {
    this.#words = seededRandom(createHash('sha256').update(name).digest().readUInt32LE(0));
  }

  /** A whole number in [0, bound). The bias is below bound / 2³², nothing at the sizes used here. */
  below(bound: number): number {
    return Math.floor((this.#words() / 2 ** 32) * bound);
  }

  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  characters(alphabet: string, count: number): string {
    return Array.from({ length: count }, () => alphabet[this.below(alphabet.length)]).join('');
  }

  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let i = all.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return all;
  }
}
