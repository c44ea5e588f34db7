/** A text as units that are read as a whole: sentences of prose, lines of everything else. */

export interface TextRange {
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
}

/** A longer sentence is cut at spaces: it would take the budget of several answers. */
const LONGEST_UNIT = 600;

/** What lies between the cells of a row. */
const CELL_BORDERS = [',', ';', '\t', '|'];

/** Lines that are shorter than this share of their paragraph's longest one were not wrapped. */
const WRAPPED_SHARE = 0.6;

const SENTENCE_END = /[.!?…][)"'\]”’»]*(?=\s)/g;
const ABBREVIATION =
  /(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|No|Nos|vs|etc|cf|Fig|Eq|Sec|approx|e\.g|i\.e))\.$/;
const STARTS_ITEM = /^[ \t]*(?:[-*+•#|>]|\d+[.)]\s|\S+[ \t]*[:=]\s|\S*\t)/;

/**
 * Units in the order of the text. Together they hold every character that is not white space, and none
 * holds one twice.
 */
export function unitsOf(source: string): TextRange[] {
  return paragraphsOf(source).flatMap((paragraph) => {
    const lines = linesOf(source, paragraph);
    const units = isWrappedProse(source, lines)
      ? sentencesOf(source, paragraph)
      : lines.flatMap((line) => (isProse(source, line) ? sentencesOf(source, line) : [line]));
    return units.flatMap((unit) => piecesOf(source, unit));
  });
}

/** The units that a range touches, widest first to last. Empty where it touches white space only. */
export function unitsTouched(
  units: readonly TextRange[],
  { start, end }: TextRange,
): { first: number; last: number } | null {
  const first = firstWhere(units.length, (index) => units[index]!.end > start);
  const behind = firstWhere(units.length, (index) => units[index]!.start >= end);
  return first < behind ? { first, last: behind - 1 } : null;
}

/** The first index of a sorted row for which it holds, by halving; `count` for none. */
function firstWhere(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function paragraphsOf(source: string): TextRange[] {
  return between(source, { start: 0, end: source.length }, /\n[ \t\r]*\n\s*|\f/g);
}

function linesOf(source: string, range: TextRange): TextRange[] {
  return between(source, range, /\r?\n/g);
}

/** Of a range, whatever it is a line of. */
export function sentencesOf(source: string, range: TextRange): TextRange[] {
  const text = source.slice(range.start, range.end);
  const sentences: TextRange[] = [];
  let from = 0;
  for (const { index, 0: mark } of text.matchAll(SENTENCE_END)) {
    const end = index + mark.length;
    if (ABBREVIATION.test(text.slice(Math.max(0, end - 8), end))) continue;
    sentences.push({ start: range.start + from, end: range.start + end });
    from = end;
  }
  sentences.push({ start: range.start + from, end: range.end });
  return sentences.flatMap((sentence) => trimmed(source, sentence));
}

/**
 * Hard-wrapped: all lines but the last are about equally long, none but the first begins like an item,
 * and none is indented deeper than the line before it, except behind the mark of an item.
 */
function isWrappedProse(source: string, lines: readonly TextRange[]): boolean {
  if (lines.length < 2) return false;
  const texts = lines.map(({ start, end }) => source.slice(start, end));
  if (isTable(texts)) return false;
  const longest = Math.max(...texts.map((text) => text.length));
  return texts.every((text, index) => {
    if (index < texts.length - 1 && text.length < WRAPPED_SHARE * longest) return false;
    if (index === 0) return true;
    const before = texts[index - 1]!;
    const hangs = index === 1 && STARTS_ITEM.test(before);
    return !STARTS_ITEM.test(text) && (hangs || indentOf(text) <= indentOf(before));
  });
}

/** Rows of as many cells each, three at least. Prose may have as many commas in two lines, not in all. */
function isTable(lines: readonly string[]): boolean {
  if (lines.length < 3) return false;
  return CELL_BORDERS.some((border) => {
    const [first, ...others] = lines.map((line) => line.split(border).length);
    return first! >= 3 && others.every((cells) => cells === first);
  });
}

const indentOf = (line: string) => line.length - line.trimStart().length;

/** A long line of words, not a record: its sentences may be read apart. */
function isProse(source: string, { start, end }: TextRange): boolean {
  return end - start > 120 && /[a-z][.!?]\s+["'“(]?[A-Z]/.test(source.slice(start, end));
}

function piecesOf(source: string, { start, end }: TextRange): TextRange[] {
  const pieces: TextRange[] = [];
  while (end - start > LONGEST_UNIT) {
    const space = source.lastIndexOf(' ', start + LONGEST_UNIT);
    let cut = space > start ? space : start + LONGEST_UNIT;
    const isLowSurrogate = (source.charCodeAt(cut) & 0xfc00) === 0xdc00;
    if (isLowSurrogate) cut++;
    pieces.push({ start, end: cut });
    start = cut;
  }
  return [...pieces, { start, end }].flatMap((piece) => trimmed(source, piece));
}

/** What lies between the matches, without white space at its ends. */
function between(source: string, { start, end }: TextRange, border: RegExp): TextRange[] {
  const ranges: TextRange[] = [];
  let from = start;
  for (const match of source.slice(start, end).matchAll(border)) {
    ranges.push({ start: from, end: start + match.index });
    from = start + match.index + match[0].length;
  }
  ranges.push({ start: from, end });
  return ranges.flatMap((range) => trimmed(source, range));
}

/** Indentation stays: it belongs to a line. */
function trimmed(source: string, { start, end }: TextRange): TextRange[] {
  const text = source.slice(start, end);
  const kept = text.trimEnd();
  if (kept.trim() === '') return [];
  const lead = /^(?:\s*\n|[ ](?=\S))*/.exec(kept)?.[0].length ?? 0;
  return [{ start: start + lead, end: start + kept.length }];
}
