/**
 * Values in a text that must be right to the character: identifiers, hashes, UUIDs, amounts, dates,
 * e-mail addresses, URLs, numbers. Dense pages lose these first.
 *
 * Linear time: the text is cut into pieces by character classes, and every test on a piece is anchored,
 * bounded, and has no two ways to match.
 */

export const VALUE_KINDS = [
  'url',
  'email',
  'uuid',
  'hash',
  'date',
  'amount',
  'identifier',
  'number',
] as const;
export type ExactValueKind = (typeof VALUE_KINDS)[number];

export interface ExactValue {
  kind: ExactValueKind;
  value: string;
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
}

/** Longer pieces are data, not values that anybody asks for. */
const LONGEST_PIECE = 256;
const LONGEST_URL = 2_048;
const BLOCK_CHARACTERS = 65_536;

const URL = /\b(?:https?|ftp|wss?):\/\/[^\s"'<>`\\^{}|]+/gi;
const PIECE = /[^\s"'`()[\]{}<>|;=\\^*~“”‘’«»„]+/g;

const EMAIL = /^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HEX = /^(?:0x)?[0-9a-f]{12,256}$/i;
const ISO_DATE =
  /^(\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
const SLASH_DATE = /^(\d{4})\/(\d{1,2})\/(\d{1,2})$/;
const NUMERIC_DATE = /^(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})$/;
const YEAR = /^(?:1[5-9]|20)\d{2}$/;
const DAY = /^\d{1,2}(?:\.|st|nd|rd|th)?,?$/i;
const MONTH =
  /^(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?,?$/i;
const QUANTITY = /^[+-]?(?:\d{1,15}|\d{1,3}(?:[,.']\d{3}){1,6})(?:[.,]\d{1,6})?$/;
const CURRENCY_SIGN = /^[$€£¥₹]$/;
const CURRENCY_CODE =
  /^(?:USD|EUR|GBP|JPY|CHF|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|BRL|RUB|KRW|MXN)$/;
const CURRENCY_WORD = /^(?:dollars?|euros?|pounds?|yen|francs?|cents?)$/i;
const SCALE = /^(?:k|m|mn|bn|thousand|million|billion|trillion)$/i;
/** Letters, digits and what joins them in codes. */
const CODE = /^[A-Za-z0-9][A-Za-z0-9._/:#+@&-]{2,255}$/;
const ORDINAL = /^\d{1,4}(?:st|nd|rd|th|s|x)$/i;
/** A number that counts something: "20-year", "12.5mm". */
const MEASURE = /^[+-]?\d{1,4}(?:[.,]\d{1,4})?-?(?:[a-z]{1,12}|%)$/;
const BASE64 = /^[A-Za-z0-9+/_-]{20,256}={0,2}$/;

/**
 * All exact values of a text in order of their place. None overlap; every occurrence is listed.
 */
export function exactValues(text: string): ExactValue[] {
  const found: ExactValue[] = [];
  let at = 0;
  for (const match of text.matchAll(URL)) {
    scanPieces(text, at, match.index, found);
    const url = trimUrl(match[0]);
    at = match.index + url.length;
    if (url.length <= LONGEST_URL)
      found.push({ kind: 'url', value: url, start: match.index, end: at });
  }
  scanPieces(text, at, text.length, found);
  return found;
}

interface Piece {
  text: string;
  start: number;
  end: number;
}

/** In blocks, so that memory does not grow with the text. */
function scanPieces(text: string, from: number, to: number, found: ExactValue[]): void {
  for (let start = from; start < to; ) {
    const end = blockEnd(text, start, to);
    scanBlock(text, start, end, found);
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

/** Classifies the pieces of [from, to); a value may take in the pieces beside it. */
function scanBlock(text: string, from: number, to: number, found: ExactValue[]): void {
  const pieces = piecesOf(text, from, to);
  for (let i = 0; i < pieces.length; i++) {
    const taken = valueAt(text, pieces, i);
    if (!taken) continue;
    const [start, end] = [pieces[taken.first]!.start, pieces[taken.last]!.end];
    const before = found.at(-1);
    if (before && before.end > start) continue;
    found.push({ kind: taken.kind, value: text.slice(start, end), start, end });
    i = taken.last;
  }
}

interface Taken {
  kind: ExactValueKind;
  first: number;
  last: number;
}

function valueAt(text: string, pieces: readonly Piece[], i: number): Taken | null {
  const word = (at: number) => pieces[at]?.text ?? '';
  const near = (a: number, b: number) => {
    const [left, right] = [pieces[a], pieces[b]];
    return (
      left !== undefined &&
      right !== undefined &&
      /^[ \t]?$/.test(text.slice(left.end, right.start))
    );
  };
  const piece = word(i);
  const one = (kind: ExactValueKind): Taken => ({ kind, first: i, last: i });

  // 12 March 2026, March 12, 2026, March 2026
  if (DAY.test(piece) && near(i, i + 1) && MONTH.test(word(i + 1))) {
    const withYear = near(i + 1, i + 2) && YEAR.test(word(i + 2));
    return { kind: 'date', first: i, last: withYear ? i + 2 : i + 1 };
  }
  if (MONTH.test(piece) && startsUpper(piece) && nearOverComma(text, pieces, i, i + 1)) {
    if (YEAR.test(word(i + 1))) return { kind: 'date', first: i, last: i + 1 };
    if (DAY.test(word(i + 1))) {
      const withYear = nearOverComma(text, pieces, i + 1, i + 2) && YEAR.test(word(i + 2));
      return { kind: 'date', first: i, last: withYear ? i + 2 : i + 1 };
    }
  }
  const amount = amountAt(pieces, i, near);
  if (amount) return amount;

  if (EMAIL.test(piece)) return one('email');
  if (UUID.test(piece)) return one('uuid');
  if (isDate(piece)) return one('date');
  if (!/\d/.test(piece)) return null;
  if (HEX.test(piece) && (/[a-f]/i.test(piece.replace(/^0x/i, '')) || piece.length >= 32))
    return one('hash');
  if (/^[+-]?\d+$/.test(piece)) {
    const digits = piece.replace(/\D/g, '').length;
    return digits >= 4 && !YEAR.test(piece) ? one('number') : null;
  }
  if (QUANTITY.test(piece)) return piece.replace(/\D/g, '').length >= 4 ? one('number') : null;
  if (ORDINAL.test(piece) || MEASURE.test(piece)) return null;
  if (CODE.test(piece) && isCode(piece)) return one('identifier');
  if (BASE64.test(piece) && /[a-z]/.test(piece) && /[A-Z]/.test(piece)) return one('identifier');
  return null;
}

/** $12.50, 12.50 €, EUR 1,200, 3.4 million dollars, 12.5 % */
function amountAt(
  pieces: readonly Piece[],
  i: number,
  near: (a: number, b: number) => boolean,
): Taken | null {
  const word = (at: number) => pieces[at]?.text ?? '';
  const piece = word(i);
  const scaled = (last: number) =>
    near(last, last + 1) && SCALE.test(word(last + 1)) ? last + 1 : last;
  const signed = /^[+-]?[$€£¥₹](.+)$/.exec(piece);
  if (signed) return isQuantity(signed[1]!) ? { kind: 'amount', first: i, last: scaled(i) } : null;
  if ((CURRENCY_SIGN.test(piece) || CURRENCY_CODE.test(piece)) && near(i, i + 1)) {
    return isQuantity(word(i + 1)) ? { kind: 'amount', first: i, last: scaled(i + 1) } : null;
  }
  const trailing = /^(.+?)[$€£¥₹%]$/.exec(piece);
  if (trailing) return QUANTITY.test(trailing[1]!) ? { kind: 'amount', first: i, last: i } : null;
  if (!QUANTITY.test(piece)) return null;
  const last = scaled(i);
  if (!near(last, last + 1)) return null;
  const unit = word(last + 1);
  const isUnit =
    CURRENCY_SIGN.test(unit) ||
    CURRENCY_CODE.test(unit) ||
    CURRENCY_WORD.test(unit) ||
    unit === '%';
  return isUnit ? { kind: 'amount', first: i, last: last + 1 } : null;
}

const isQuantity = (word: string) =>
  QUANTITY.test(word) || /^\d{1,12}(?:[.,]\d{1,6})?[kKmMbB]n?$/.test(word);

/** A comma between day and year, which was cut from the day's piece, is no border. */
function nearOverComma(text: string, pieces: readonly Piece[], a: number, b: number): boolean {
  const [left, right] = [pieces[a], pieces[b]];
  if (!left || !right) return false;
  return /^[,.]?[ \t]?$/.test(text.slice(left.end, right.start));
}

const startsUpper = (word: string) => /^\p{Lu}/u.test(word);

function isDate(piece: string): boolean {
  const iso = ISO_DATE.exec(piece) ?? SLASH_DATE.exec(piece);
  if (iso) return isMonthAndDay(Number(iso[2]), Number(iso[3]));
  const numeric = NUMERIC_DATE.exec(piece);
  if (!numeric) return false;
  const [first, second] = [Number(numeric[1]), Number(numeric[3])];
  return isMonthAndDay(first, second) || isMonthAndDay(second, first);
}

const isMonthAndDay = (month: number, day: number) =>
  month >= 1 && month <= 12 && day >= 1 && day <= 31;

/** Letters and digits together, or groups of digits: not a word with a number behind it. */
function isCode(piece: string): boolean {
  const digits = piece.replace(/[^0-9]/g, '').length;
  const letters = piece.replace(/[^A-Za-z]/g, '').length;
  if (letters === 0) return digits >= 4;
  // "step-2", "utf8", "int32", "x86": a word or two letters, and a number that counts.
  if (/^[A-Za-z]?[a-z]*[-_.]?\d{1,2}$/.test(piece)) return false;
  return piece.length >= 4;
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

/** What ends a sentence or closes a bracket that the URL does not open is not part of it. */
function trimUrl(url: string): string {
  let end = url.length;
  for (; end > 0; end--) {
    const last = url[end - 1]!;
    if (',.;:!?*'.includes(last)) continue;
    if (last === ')' && !url.slice(0, end).includes('(')) continue;
    if (last === ']' && !url.slice(0, end).includes('[')) continue;
    break;
  }
  return url.slice(0, end);
}
