/** The text that needles are hidden in: runs of sentences, from files or made up. */

import { drawSentence } from './prose.js';
import type { SeededRandom } from './seeded-random.js';

export interface Sentence {
  text: string;
  endsParagraph: boolean;
}

/** Gives a run of sentences of at least that many characters, another one at each call. */
export type Haystack = (random: SeededRandom, characters: number) => Sentence[];

/** In the mean; a paragraph's end leaves part of a line empty. */
const SENTENCES_A_PARAGRAPH = 25;

export const madeUpHaystack: Haystack = (random, characters) =>
  collect(characters, () => ({
    text: drawSentence(random),
    endsParagraph: random.below(SENTENCES_A_PARAGRAPH) === 0,
  }));

/** Words of random characters: text that cannot be predicted from its context. */
export const randomHaystack: Haystack = (random, characters) => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  return collect(characters, () => ({
    text: Array.from({ length: random.between(6, 14) }, () =>
      random.characters(alphabet, random.between(2, 12)),
    ).join(' '),
    endsParagraph: random.below(SENTENCES_A_PARAGRAPH) === 0,
  }));
};

/**
 * A haystack from a text: it starts at any sentence and goes round at the end. Lines that were broken
 * by hand are joined; what a page holds should depend on the page, not on the source's line width.
 *
 * @param text holds at least one visible character
 */
export function haystackFrom(text: string): Haystack {
  const sentences = sentencesOf(text);
  return (random, characters) => {
    let next = random.below(sentences.length);
    return collect(characters, () => {
      const sentence = sentences[next]!;
      next = (next + 1) % sentences.length;
      return sentence;
    });
  };
}

export function sentencesOf(text: string): Sentence[] {
  return text
    .split(/\r?\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '')
    .flatMap((paragraph) => {
      const parts = paragraph.split(/(?<=[.!?]["')\]]?) (?=["'([]?[\p{Lu}\d])/u);
      return parts.map((part, i) => ({ text: part, endsParagraph: i === parts.length - 1 }));
    });
}

export function joinSentences(sentences: readonly Sentence[]): string {
  return sentences
    .map(({ text, endsParagraph }, i) =>
      i === sentences.length - 1 ? text : text + separator(endsParagraph),
    )
    .join('');
}

const separator = (endsParagraph: boolean) => (endsParagraph ? '\n' : ' ');

function collect(characters: number, draw: () => Sentence): Sentence[] {
  const sentences: Sentence[] = [];
  for (let length = 0; length < characters; ) {
    const sentence = draw();
    sentences.push(sentence);
    length += sentence.text.length + 1;
  }
  return sentences;
}
