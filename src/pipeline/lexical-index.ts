/** Passages of a text by the words of a question: BM25 over folded words. */

import MiniSearch from 'minisearch';
import { foldWord } from './citing/text-folding.js';
import { COMMON_WORDS, stemOf } from './english-words.js';

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
    processTerm: stemOf,
  });

  constructor(source: string, passages: readonly Passage[]) {
    this.#passages = passages;
    this.#search.addAll(
      passages.map(({ start, end }, id) => ({ id, text: source.slice(start, end) })),
    );
  }

  /**
   * Passages that hold a word of the question in any of its forms, the likeliest first. Words that every
   * text is full of count only where the question has no other: in a short text even they are rare.
   */
  find(question: string): FoundPassage[] {
    const telling = wordsOf(question).filter((word) => !COMMON_WORDS.has(word));
    const asked = telling.length > 0 ? telling.join(' ') : question;
    return this.#search.search(asked).map(({ id, score }) => {
      const index = id as number;
      return { ...this.#passages[index]!, index, score };
    });
  }
}
