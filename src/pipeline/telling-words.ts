/** The words of a text that say something, in one form each, and how rare they are in it. */

import { COMMON_WORDS, stemOf } from './english-words.js';
import { unitsOf } from './expanding/text-units.js';
import { plainWords } from './plain-words.js';

/** Units of a text that are counted for how rare its words are: more would say the same. */
const MAX_COUNTED_UNITS = 2_000;

/** Stand in any sentence. */
const AUXILIARIES = new Set(
  'will would can could should may must shall if only also into out up about after before more most any all some each other these those such just very much many not'.split(
    ' ',
  ),
);

/** Words that say something, each once. */
export function tellingStems(text: string): Set<string> {
  const words = plainWords(text).flatMap((word) => word.split(/[^\p{L}\p{N}.:]+/u));
  const isTelling = (word: string) =>
    word !== '' && !COMMON_WORDS.has(word) && !AUXILIARIES.has(word);
  return new Set(words.filter(isTelling).map(stemOf));
}

/** How rare words are in a text: inverse document frequency over its sentences and lines. */
export class WordRarity {
  readonly #unitsWith = new Map<string, number>();
  readonly #units: number;

  /** Cost: O(|text|), and the words of {@link MAX_COUNTED_UNITS} units. */
  constructor(text: string) {
    const units = unitsOf(text);
    const step = Math.max(1, units.length / MAX_COUNTED_UNITS);
    const counted = Array.from(
      { length: Math.min(units.length, MAX_COUNTED_UNITS) },
      (_, n) => units[Math.floor(n * step)]!,
    );
    this.#units = counted.length;
    for (const { start, end } of counted) {
      for (const word of tellingStems(text.slice(start, end)))
        this.#unitsWith.set(word, (this.#unitsWith.get(word) ?? 0) + 1);
    }
  }

  /** Weight of those words that are held, of the weight of all; 1 of none. */
  share(words: ReadonlySet<string>, isHeld: (word: string) => boolean): number {
    let [held, all] = [0, 0];
    for (const word of words) {
      const weight = this.#weightOf(word);
      all += weight;
      if (isHeld(word)) held += weight;
    }
    return all === 0 ? 1 : held / all;
  }

  #weightOf(word: string): number {
    const holding = this.#unitsWith.get(word) ?? 0;
    return Math.log(1 + (this.#units - holding + 0.5) / (holding + 0.5));
  }
}
