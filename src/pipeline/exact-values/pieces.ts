/** A text cut into pieces by character classes: words, numbers, codes, without the punctuation around them. */

/** Longer pieces are data, not values that anybody asks for. */
const LONGEST_PIECE = 256;
const BLOCK_CHARACTERS = 65_536;

const PIECE = /[^\s"'`()[\]{}<>|;=\\^*~“”‘’«»„]+/g;

export interface Piece {
  text: string;
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
}

/** The pieces of one block of a text, looked at by their place. */
export class Pieces {
  constructor(
    private readonly text: string,
    readonly list: readonly Piece[],
  ) {}

  /** Empty behind the end. */
  word(at: number): string {
    return this.list[at]?.text ?? '';
  }

  /** Nothing but a space stands between two pieces. */
  near(a: number, b: number): boolean {
    return this.#isBetween(a, b, /^[ \t]?$/);
  }

  /** As {@link near}; a comma or full stop, which was cut from the first piece, is no border. */
  nearOverComma(a: number, b: number): boolean {
    return this.#isBetween(a, b, /^[,.]?[ \t]?$/);
  }

  #isBetween(a: number, b: number, gap: RegExp): boolean {
    const [left, right] = [this.list[a], this.list[b]];
    return (
      left !== undefined && right !== undefined && gap.test(this.text.slice(left.end, right.start))
    );
  }
}

/** The pieces of [from, to) in blocks, so that memory does not grow with the text. */
export function* blocksOf(text: string, from: number, to: number): Generator<Pieces> {
  for (let start = from; start < to; ) {
    const end = blockEnd(text, start, to);
    yield new Pieces(text, piecesOf(text, start, end));
    start = end;
  }
}

/** The end of a line near the block's size, else of a word, else of the block. */
function blockEnd(text: string, start: number, to: number): number {
  const wanted = start + BLOCK_CHARACTERS;
  if (wanted >= to) return to;
  for (const border of ['\n', ' ']) {
    const at = text.lastIndexOf(border, wanted);
    if (at > start) return at + 1;
  }
  return wanted;
}

function piecesOf(text: string, from: number, to: number): Piece[] {
  const pieces: Piece[] = [];
  for (const match of text.slice(from, to).matchAll(PIECE)) {
    const start = from + match.index;
    splitAtCommas(text, start, start + match[0].length, pieces);
  }
  return pieces;
}

/** "a,b" are two pieces, "1,234" is one. Punctuation at the edges belongs to the sentence. */
function splitAtCommas(text: string, start: number, end: number, pieces: Piece[]): void {
  let from = start;
  for (let at = start; at <= end; at++) {
    const isBorder = at === end || (text[at] === ',' && !joinsDigits(text, at));
    if (!isBorder) continue;
    let [left, right] = [from, at];
    while (left < right && EDGE_START.has(text[left]!)) left++;
    while (right > left && EDGE_END.has(text[right - 1]!)) right--;
    if (right > left && right - left <= LONGEST_PIECE)
      pieces.push({ text: text.slice(left, right), start: left, end: right });
    from = at + 1;
  }
}

/** 1,234 and 12,50 but not 1234,5678. */
function joinsDigits(text: string, comma: number): boolean {
  const before = digitRun(text, comma - 1, -1);
  const after = digitRun(text, comma + 1, 1);
  return before > 0 && ((before <= 3 && after === 3) || after === 1 || after === 2);
}

/** Digits from a place on; more than four need not be counted. */
function digitRun(text: string, from: number, step: 1 | -1): number {
  let count = 0;
  while (count < 4 && isDigit(text.charCodeAt(from + count * step))) count++;
  return count;
}

const EDGE_START = new Set('.,:!?#/&_-–—…');
const EDGE_END = new Set('.,:!?/&_-–—…');

const isDigit = (unit: number) => unit >= 48 && unit <= 57;
