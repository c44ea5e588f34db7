/** Cuts a source into hard lines, and finds the breaks that only hard-wrapping put there. */

/** One line of the source and the terminator behind it (empty at the end of the text). */
export interface SourceLine {
  start: number;
  end: number;
  /** Where the next line starts: `end` plus the length of the terminator. */
  next: number;
  /** The terminator is a form feed: the next line starts a page. */
  pageBreak: boolean;
}

const TERMINATOR = /\r\n|[\n\r\v\f\u2028\u2029]/g;

/** Every line; a terminator at the very end opens no further line. */
export function* sourceLines(source: string): Generator<SourceLine> {
  const terminator = new RegExp(TERMINATOR);
  let start = 0;
  for (let match = terminator.exec(source); match; match = terminator.exec(source)) {
    const next = match.index + match[0].length;
    yield { start, end: match.index, next, pageBreak: match[0] === '\f' };
    start = next;
  }
  if (start < source.length)
    yield { start, end: source.length, next: source.length, pageBreak: false };
}

/** Widths between which a text can be said to be hard-wrapped. */
const MIN_WRAP_WIDTH = 40;
const MAX_WRAP_WIDTH = 160;

/**
 * The width at which a text was hard-wrapped: that which 95 % of its longer lines keep to.
 * @returns null for a text that was not hard-wrapped (or only has short lines)
 */
export function wrapWidth(source: string): number | null {
  const counts = new Uint32Array(MAX_WRAP_WIDTH + 2);
  let lines = 0;
  for (const { start, end } of sourceLines(source)) {
    const length = Math.min(end - start, MAX_WRAP_WIDTH + 1);
    if (length < MIN_WRAP_WIDTH / 2) continue;
    counts[length]!++;
    lines++;
  }
  let seen = 0;
  for (let length = 0; length <= MAX_WRAP_WIDTH; length++) {
    seen += counts[length]!;
    if (lines > 0 && seen >= 0.95 * lines) return length >= MIN_WRAP_WIDTH ? length : null;
  }
  return null;
}

const LIST_ITEM = /^\s*(?:[-*+•–—]|\(?[0-9a-zA-Z]{1,3}[.)])\s/;

/**
 * Whether the break between two lines was put there by wrapping: the next line's first word did
 * not fit, and nothing (blank line, deeper indent, list mark) says that something new starts.
 */
export function isSoftBreak(line: string, nextLine: string, width: number): boolean {
  const text = line.trimEnd();
  if (text === '' || nextLine.trim() === '') return false;
  if (LIST_ITEM.test(nextLine)) return false;
  if (indentOf(nextLine) > indentOf(line) && !LIST_ITEM.test(line)) return false;
  const firstWord = /\S+/.exec(nextLine)![0];
  // Writers and editors break a little before the edge: a tenth of the width is their slack.
  return text.length + 1 + firstWord.length > 0.9 * width;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
