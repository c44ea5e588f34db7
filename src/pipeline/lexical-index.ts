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

interface IndexedPassage {
  id: number;
  text: string;
}

/** Passages that are indexed before others have their turn: some tens of milliseconds. */
const PASSAGES_AT_ONCE = 100;

export class LexicalIndex {
  readonly #passages: readonly Passage[];
  readonly #search: MiniSearch<IndexedPassage>;

  private constructor(passages: readonly Passage[], search: MiniSearch<IndexedPassage>) {
    this.#passages = passages;
    this.#search = search;
  }

  static of(source: string, passages: readonly Passage[]): LexicalIndex {
    const search = emptySearch();
    search.addAll(textsOf(source, passages));
    return new LexicalIndex(passages, search);
  }

  /** The same for a text of many pages, in a process that others wait for. */
  static async inSteps(source: string, passages: readonly Passage[]): Promise<LexicalIndex> {
    const search = emptySearch();
    await search.addAllAsync(textsOf(source, passages), { chunkSize: PASSAGES_AT_ONCE });
    return new LexicalIndex(passages, search);
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

function emptySearch(): MiniSearch<IndexedPassage> {
  return new MiniSearch({ fields: ['text'], tokenize: wordsOf, processTerm: stemOf });
}

function textsOf(source: string, passages: readonly Passage[]): IndexedPassage[] {
  return passages.map(({ start, end }, id) => ({ id, text: source.slice(start, end) }));
}
