/** Where to look, by the words of the question: BM25 over sentences and lines. */

import { LexicalIndex } from '../lexical-index.js';
import type { ScoredPlace } from './expand-places.js';
import type { TextRange } from './text-units.js';

/** What a unit takes over from its neighbours: a value often stands behind the words that name it. */
const FROM_BEFORE = 0.5;
const FROM_BEHIND = 0.25;

/** A first line names the columns of a table, or says what a text is. */
const FROM_HEADING = 0.25;

/** Built once for a document, asked for every question. */
export class LexicalPlaces {
  readonly #units: readonly TextRange[];
  readonly #index: LexicalIndex;

  constructor(source: string, units: readonly TextRange[]) {
    this.#units = units;
    this.#index = LexicalIndex.of(source, units);
  }

  /** Units that hold words of the question, or stand beside one that does; any order. */
  find(question: string): ScoredPlace[] {
    const own = new Float64Array(this.#units.length);
    for (const { index, score } of this.#index.find(question)) own[index] = score;
    return withNeighbours(this.#units, own);
  }
}

/** Units with a score of their own, or beside one that has. @param own score of each unit, 0 for none */
export function withNeighbours(units: readonly TextRange[], own: ArrayLike<number>): ScoredPlace[] {
  const best = Array.from(own).reduce((most, score) => Math.max(most, score), 0);
  return units.flatMap((unit, index) => {
    const beside = Math.max(
      FROM_BEFORE * (own[index - 1] ?? 0),
      FROM_BEHIND * (own[index + 1] ?? 0),
    );
    const heading = index === 0 ? FROM_HEADING * best : 0;
    const score = Math.max(own[index]! + beside, heading);
    return score > 0 ? [{ ...unit, score }] : [];
  });
}
