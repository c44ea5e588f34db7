/**
 * Source text → what is drawn: line breaks as breaks or marks, tabs as spaces, and a visible escape
 * for whatever has no glyph. Nothing is dropped silently: each departure is counted, and the offset
 * map leads back to the source.
 */

import type { FontStack } from './fonts.js';
import type { NewlineMark } from './newline-markup.js';
import { OffsetMap } from './offset-map.js';
import { isSoftBreak, type SourceLine, sourceLines, wrapWidth } from './source-lines.js';

/** A run of text with its way back to the source. */
export interface TextItem {
  kind: 'text';
  text: string;
  map: OffsetMap;
}

/** A drawn mark that stands for a line break. */
export interface MarkItem {
  kind: 'mark';
  text: string;
  color: string | null;
  map: OffsetMap;
}

/** The end of a line that the source asks for. */
export interface BreakItem {
  kind: 'break';
  page: boolean;
  /** The paragraph (for spacing and borders) ends with this line. */
  endsParagraph: boolean;
  /** Where the source continues. */
  next: number;
}

export type DisplayItem = TextItem | MarkItem | BreakItem;

export interface DisplayOptions {
  fonts: Pick<FontStack, 'faceFor'>;
  newlineMark: NewlineMark | null;
  reflow: boolean;
  tabSize: number;
  paragraphLines: number;
}

/** What was not drawn as it stands in the source; code points, not UTF-16 units. */
export interface DisplayCounts {
  /** No bundled font has a glyph; drawn as `[U+XXXX]`. */
  missingGlyphs: number;
  /** Control and direction characters; drawn as `[U+XXXX]`. */
  controlCharacters: number;
  /** Characters without a look of their own (soft hyphen, zero-width space, variation selector); not drawn. */
  invisibleCharacters: number;
}

const PLAIN = /^[\x20-\x7e]*$/;
// C0, DEL, C1, and the marks that change reading direction (they can hide or reorder text).
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;
const JOINER = /[\u200c\u200d]/;
const ARABIC = /\p{Script=Arabic}/u;
const SPACE = /\p{Zs}/u;
const MARK = /\p{M}/u;
const MAX_MARKS_ON_LETTER = 32;

export class DisplayText {
  readonly counts: DisplayCounts = {
    missingGlyphs: 0,
    controlCharacters: 0,
    invisibleCharacters: 0,
  };
  /** The first of the code points without a glyph, for the report. */
  readonly missingSample = new Set<number>();
  readonly #source: string;
  readonly #options: DisplayOptions;
  #marksOnLetter = 0;

  constructor(source: string, options: DisplayOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Items in source order; every line ends with a break item, the last one too. */
  *items(): Generator<DisplayItem> {
    const width = this.#options.reflow ? wrapWidth(this.#source) : null;
    let column = 0;
    let linesInParagraph = 0;
    let skipIndent = false;
    for (const [line, following] of withNext(sourceLines(this.#source))) {
      const start = line.start + (skipIndent ? indentLength(this.#source, line) : 0);
      if (start < line.end) {
        const item = this.#textItem(start, line.end, column);
        column += item.text.length;
        yield item;
      }
      const softly = this.#joinedSoftly(line, following, width);
      skipIndent = softly !== null;
      if (softly) {
        yield softly;
        column += 1;
        continue;
      }
      linesInParagraph++;
      const endsParagraph = this.#endsParagraph(line, following, linesInParagraph);
      if (endsParagraph) linesInParagraph = 0;
      for (const item of this.#lineEnd(line, endsParagraph)) {
        yield item;
        if (item.kind === 'break') column = 0;
      }
    }
  }

  #endsParagraph(line: SourceLine, following: SourceLine | null, lines: number): boolean {
    return line.pageBreak || following === null || lines >= this.#options.paragraphLines;
  }

  /** The mark of a newline, or a break, or both. */
  *#lineEnd(line: SourceLine, endsParagraph: boolean): Generator<DisplayItem> {
    const { newlineMark } = this.#options;
    if (newlineMark && line.next > line.end && !line.pageBreak) {
      yield {
        ...replacement('mark', newlineMark.text, line.end, line.next),
        color: newlineMark.color,
      };
    }
    if (!newlineMark || endsParagraph)
      yield { kind: 'break', page: line.pageBreak, endsParagraph, next: line.next };
  }

  /** The space that stands for a break which only wraps the text; null for a break that is meant. */
  #joinedSoftly(
    line: SourceLine,
    following: SourceLine | null,
    width: number | null,
  ): TextItem | null {
    if (width === null || following === null || line.pageBreak) return null;
    if (!this.#isSoft(line, following, width)) return null;
    const end = following.start + indentLength(this.#source, following);
    return replacement('text', ' ', line.end, end);
  }

  #isSoft(line: SourceLine, following: SourceLine, width: number): boolean {
    return isSoftBreak(
      this.#source.slice(line.start, line.end),
      this.#source.slice(following.start, following.end),
      width,
    );
  }

  #textItem(start: number, end: number, column: number): TextItem {
    this.#marksOnLetter = 0;
    const source = this.#source.slice(start, end);
    const map = new OffsetMap(start);
    if (PLAIN.test(source)) return { kind: 'text', text: source, map };
    const parts: string[] = [];
    let length = 0;
    let plainFrom = 0;
    let previous = '';
    for (let at = 0; at < source.length; ) {
      const character = String.fromCodePoint(source.codePointAt(at)!);
      const drawn = this.#draw(character, previous, column + length + (at - plainFrom));
      if (drawn !== character) {
        parts.push(source.slice(plainFrom, at), drawn);
        length += at - plainFrom;
        map.replace(length, length + drawn.length, start + at, start + at + character.length);
        length += drawn.length;
        plainFrom = at + character.length;
      }
      previous = character;
      at += character.length;
    }
    parts.push(source.slice(plainFrom));
    return { kind: 'text', text: parts.join(''), map };
  }

  /**
   * Marks on one letter cannot be broken over lines, and no writing stacks so many. Without a bound a
   * run of them would be laid out again and again.
   */
  #stacksTooHigh(character: string): boolean {
    this.#marksOnLetter = MARK.test(character) ? this.#marksOnLetter + 1 : 0;
    return this.#marksOnLetter > MAX_MARKS_ON_LETTER;
  }

  /** What stands on the page for one character. */
  #draw(character: string, previous: string, column: number): string {
    const codePoint = character.codePointAt(0)!;
    if (codePoint >= 0x20 && codePoint < 0x7f) {
      this.#marksOnLetter = 0;
      return character;
    }
    if (character === '\t')
      return ' '.repeat(this.#options.tabSize - (column % this.#options.tabSize));
    if (CONTROL.test(character)) {
      this.counts.controlCharacters++;
      return escapeOf(codePoint);
    }
    if (INVISIBLE.test(character)) {
      // In Arabic script a joiner changes the letters around it.
      if (JOINER.test(character) && ARABIC.test(previous)) return character;
      this.counts.invisibleCharacters++;
      return '';
    }
    if (this.#stacksTooHigh(character)) {
      this.counts.controlCharacters++;
      return escapeOf(codePoint);
    }
    if (this.#options.fonts.faceFor(codePoint)) return character;
    if (SPACE.test(character)) return ' ';
    this.counts.missingGlyphs++;
    if (this.missingSample.size < 20) this.missingSample.add(codePoint);
    return escapeOf(codePoint);
  }
}

/** `[U+1F525]`: the visible escape for a character that cannot be drawn. */
function escapeOf(codePoint: number): string {
  return `[U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}]`;
}

function replacement<K extends 'text' | 'mark'>(kind: K, text: string, start: number, end: number) {
  const map = new OffsetMap(start);
  map.replace(0, text.length, start, end);
  return { kind, text, map };
}

function indentLength(source: string, line: SourceLine): number {
  let at = line.start;
  while (at < line.end && /\s/.test(source[at]!)) at++;
  return at - line.start;
}

function* withNext<T>(values: Iterable<T>): Generator<[T, T | null]> {
  let current: T | null = null;
  for (const value of values) {
    if (current !== null) yield [current, value];
    current = value;
  }
  if (current !== null) yield [current, null];
}
