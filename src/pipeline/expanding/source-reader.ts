/** Reading the source by page and line, or by a text that stands in it, within a budget of tokens. */

import { foldWord } from '../citing/text-folding.js';
import type { ExpansionSource } from './expansion-source.js';
import type { TextRange } from './text-units.js';

/** Lines that one reading may give, at most. */
const MAX_LINES = 200;
const MAX_MATCHES = 12;
/** Where nothing matches, so many places that share words with what was looked for. */
const NEAR_MATCHES = 3;

/** One for each question: it remembers what was read. Lines are those drawn on the pages, from 1. */
export class SourceReader {
  readonly #ranges: TextRange[] = [];
  #tokens = 0;

  constructor(
    private readonly source: ExpansionSource,
    private readonly budget: number,
    private readonly countTokens: (text: string) => number,
  ) {}

  /** What was read so far, in the order of the text; lines that follow each other as one range. */
  get ranges(): TextRange[] {
    const merged: TextRange[] = [];
    for (const range of [...this.#ranges].sort((a, b) => a.start - b.start)) {
      const last = merged.at(-1);
      // Between lines there is white space only.
      const isNext = last && this.source.text.slice(last.end, range.start).trim() === '';
      if (last && isNext) last.end = Math.max(last.end, range.end);
      else merged.push({ ...range });
    }
    return merged;
  }

  /** Text tokens that were handed out, line numbers included. */
  get tokens(): number {
    return this.#tokens;
  }

  get isSpent(): boolean {
    return this.#tokens >= this.budget;
  }

  /** @returns the lines with their numbers, or in words why there are none */
  readLines(page: number, from: number, to: number): string {
    const { lines } = this.#pages[page - 1] ?? {};
    if (!lines) return `There is no page ${page}; the last one is ${this.#pages.length}.`;
    const first = Math.max(1, Math.min(from, to));
    const last = Math.min(lines.length, Math.max(from, to), first + MAX_LINES - 1);
    if (first > lines.length) return `Page ${page} has ${lines.length} lines.`;
    return this.#handOut(
      lines.slice(first - 1, last).map((line, n) => ({ ...line, label: `${first + n}` })),
    );
  }

  /** @returns lines that hold the text, in any case and spacing; else those that share words with it */
  find(text: string): string {
    const wanted = folded(text);
    if (wanted === '') return 'Nothing was looked for.';
    const exact = this.#lines()
      .filter(({ start, end }) => folded(this.source.text.slice(start, end)).includes(wanted))
      .slice(0, MAX_MATCHES);
    if (exact.length > 0) return this.#handOut(exact);
    const near = this.source.lexical
      .find(text)
      .sort((a, b) => b.score - a.score)
      .slice(0, NEAR_MATCHES)
      .flatMap((place) => this.#linesOf(place));
    if (near.length === 0) return 'Nothing like it stands in the document.';
    return `It does not stand in one line. Nearest:\n${this.#handOut(near)}`;
  }

  get #pages() {
    return this.source.pages[0] ?? [];
  }

  #lines() {
    return this.#pages.flatMap(({ lines }, page) =>
      lines.map(({ start, end }, line) => ({ start, end, label: `page ${page + 1}, ${line + 1}` })),
    );
  }

  #linesOf(range: TextRange) {
    return this.#lines().filter(({ start, end }) => start < range.end && end > range.start);
  }

  /** As many of the lines as the budget has room for. */
  #handOut(lines: readonly (TextRange & { label: string })[]): string {
    const written: string[] = [];
    for (const { start, end, label } of lines) {
      const line = `${label}| ${this.source.text.slice(start, end).trim()}\n`;
      const cost = this.countTokens(line);
      if (this.#tokens + cost > this.budget) {
        this.#tokens = this.budget;
        return `${written.join('')}(No more can be read: answer now.)`;
      }
      this.#tokens += cost;
      this.#ranges.push({ start, end });
      written.push(line);
    }
    return written.join('');
  }
}

const folded = (text: string) => foldWord(text).replace(/ +/g, ' ').trim();
