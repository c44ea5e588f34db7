/** Passages of a text by the words of a question: BM25 over folded words. */

import MiniSearch from 'minisearch';
import { foldWord } from './citing/text-folding.js';

export interface Passage {
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
}

export interface FoundPassage extends Passage {
  /** Its place among the passages that the index was made of, from 0. */
  index: number;
  /** BM25+ of MiniSearch; comparable within one search only. */
  score: number;
}

/** Words of text and question: runs of letters and digits, folded to small letters. */
export function wordsOf(text: string): string[] {
  return [...text.matchAll(/[\p{L}\p{N}]+/gu)].map(([word]) => foldWord(word));
}

export class LexicalIndex {
  readonly #passages: readonly Passage[];
  readonly #search = new MiniSearch<{ id: number; text: string }>({
    fields: ['text'],
    tokenize: wordsOf,
    processTerm: (term) => term,
  });

  constructor(source: string, passages: readonly Passage[]) {
    this.#passages = passages;
    this.#search.addAll(
      passages.map(({ start, end }, id) => ({ id, text: source.slice(start, end) })),
    );
  }

  /** Passages that hold a word of the question, the likeliest first. */
  find(question: string): FoundPassage[] {
    return this.#search.search(question).map(({ id, score }) => {
      const index = id as number;
      return { ...this.#passages[index]!, index, score };
    });
  }
}
