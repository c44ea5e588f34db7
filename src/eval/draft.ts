/** A document in the making: text of a given length, facts hidden in it, no fact twice. */

import { drawSubject, type Fact, factSentence, type Subject, subjectText } from './facts.js';
import { type Haystack, joinSentences, type Sentence } from './haystack.js';
import type { PromptStyle } from './questions.js';
import { SeededRandom } from './seeded-random.js';
import type { EvalDocument, EvalQuestion } from './task.js';
import { drawValue, type ValueKind } from './values.js';

/** What all task generators take. */
export interface DraftSetting {
  /** Names the document and fixes every choice in it. */
  id: string;
  seed: number;
  group: string;
  rendering: string;
  pages: number;
  /** Length of the whole text; it is kept to within one sentence, and never exceeded. */
  characters: number;
  /** Where facts are hidden, 0 to 1. */
  depths: readonly number[];
  haystack: Haystack;
  style: PromptStyle;
}

interface Hidden {
  sentence: string;
  depth: number;
}

/** Choices until one is new: more than this many in vain means that there is no other. */
const ATTEMPTS = 10_000;

export class Draft {
  readonly random: SeededRandom;
  readonly setting: DraftSetting;
  readonly #filler: Sentence[];
  readonly #fillerText: string;
  readonly #subjects = new Set<string>();
  readonly #values: string[] = [];
  readonly #hidden: Hidden[] = [];
  readonly #questions: EvalQuestion[] = [];

  constructor(setting: DraftSetting) {
    this.setting = setting;
    this.random = new SeededRandom(`${setting.seed}/${setting.id}`);
    this.#filler = setting.haystack(this.random, setting.characters);
    this.#fillerText = joinSentences(this.#filler).toLowerCase();
  }

  /** A subject that the text does not name, neither in the filler nor in a fact. */
  subject(given: Partial<Subject> = {}): Subject {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const subject = drawSubject(this.random, given);
      const text = subjectText(subject).toLowerCase();
      // "truck 1" would be found in "truck 12".
      const known = [...this.#subjects].some(
        (other) => other.includes(text) || text.includes(other),
      );
      if (known || this.#fillerText.includes(text)) continue;
      this.#subjects.add(text);
      return subject;
    }
    throw new Error('no subject is left that the text does not name');
  }

  /** A value that is in no other value and nowhere in the text. */
  value(kind: ValueKind): string {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const value = drawValue(kind, this.random);
      const low = value.toLowerCase();
      const known = this.#values.some((other) => other.includes(low) || low.includes(other));
      // Owners carry small numbers ("truck 12"), so facts are searched as well.
      const named = [this.#fillerText, ...this.#subjects].some((text) => text.includes(low));
      if (known || named) continue;
      this.#values.push(low);
      return value;
    }
    throw new Error('no value is left that the text does not hold');
  }

  fact(kind: ValueKind, given: Partial<Subject> = {}): Fact {
    return { ...this.subject(given), value: this.value(kind) };
  }

  hide(depth: number, fact: Fact, sentence = factSentence(fact)): void {
    this.#hidden.push({ sentence, depth });
  }

  ask(question: Omit<EvalQuestion, 'id'>): void {
    this.#questions.push({ id: `${this.setting.id}/${this.#questions.length + 1}`, ...question });
  }

  /** Depths at random where a task hides more than the setting has depths for. */
  anyDepth(): number {
    return this.random.below(1001) / 1000;
  }

  get text(): string {
    return joinSentences(this.#sentences());
  }

  finish(): EvalDocument {
    const { id, group, rendering, pages } = this.setting;
    return { id, text: this.text, group, rendering, pages, questions: this.#questions };
  }

  #sentences(): Sentence[] {
    const needed = this.#hidden.reduce((sum, { sentence }) => sum + sentence.length + 1, 0);
    const filler = cutTo(this.#filler, this.setting.characters - needed);
    const ends: number[] = [0];
    for (const { text } of filler) ends.push(ends.at(-1)! + text.length + 1);
    const total = ends.at(-1)!;
    const before: Sentence[][] = Array.from({ length: filler.length + 1 }, () => []);
    for (const { sentence, depth } of this.#hidden) {
      before[nearest(ends, depth * total)]!.push({ text: sentence, endsParagraph: false });
    }
    return [...filler.flatMap((sentence, i) => [...before[i]!, sentence]), ...before.at(-1)!];
  }
}

function cutTo(sentences: readonly Sentence[], characters: number): Sentence[] {
  let length = 0;
  let count = 0;
  while (count < sentences.length) {
    length += sentences[count]!.text.length + 1;
    if (length > characters) break;
    count++;
  }
  return sentences.slice(0, count);
}

function nearest(sorted: readonly number[], wanted: number): number {
  let best = 0;
  sorted.forEach((at, i) => {
    if (Math.abs(at - wanted) < Math.abs(sorted[best]! - wanted)) best = i;
  });
  return best;
}
