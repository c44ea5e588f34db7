/** Values of several pieces: dates in words, and amounts of money. */

import type { Pieces } from './pieces.js';

export interface Phrase {
  kind: 'date' | 'amount';
  /** The last piece that belongs to it. */
  last: number;
}

const DAY = /^\d{1,2}(?:\.|st|nd|rd|th)?,?$/i;
const MONTH =
  /^(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?,?$/i;
export const YEAR = /^(?:1[5-9]|20)\d{2}$/;
export const QUANTITY = /^[+-]?(?:\d{1,15}|\d{1,3}(?:[,.']\d{3}){1,6})(?:[.,]\d{1,6})?$/;
const CURRENCY_SIGN = /^[$€£¥₹]$/;
const CURRENCY_CODE =
  /^(?:USD|EUR|GBP|JPY|CHF|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|CZK|BRL|RUB|KRW|MXN)$/;
const CURRENCY_WORD = /^(?:dollars?|euros?|pounds?|yen|francs?|cents?)$/i;
const SCALE = /^(?:k|m|mn|bn|thousand|million|billion|trillion)$/i;

/** The first that fits decides. */
const PHRASES: readonly ((pieces: Pieces, at: number) => Phrase | null)[] = [
  dayFirst,
  monthFirst,
  signedAmount,
  currencyFirst,
  currencyBehind,
];

/** The value that begins with a piece and takes in those behind it, if it needs to. */
export function phraseAt(pieces: Pieces, at: number): Phrase | null {
  for (const phrase of PHRASES) {
    const found = phrase(pieces, at);
    if (found) return found;
  }
  return null;
}

/** 12 March 2026, 12 March */
function dayFirst(pieces: Pieces, at: number): Phrase | null {
  const isDay = DAY.test(pieces.word(at)) && pieces.near(at, at + 1);
  if (!isDay || !MONTH.test(pieces.word(at + 1))) return null;
  const withYear = pieces.near(at + 1, at + 2) && YEAR.test(pieces.word(at + 2));
  return { kind: 'date', last: withYear ? at + 2 : at + 1 };
}

/** March 2026, March 12, March 12, 2026 */
function monthFirst(pieces: Pieces, at: number): Phrase | null {
  const month = pieces.word(at);
  if (!MONTH.test(month) || !/^\p{Lu}/u.test(month) || !pieces.nearOverComma(at, at + 1))
    return null;
  const next = pieces.word(at + 1);
  if (YEAR.test(next)) return { kind: 'date', last: at + 1 };
  if (!DAY.test(next)) return null;
  const withYear = pieces.nearOverComma(at + 1, at + 2) && YEAR.test(pieces.word(at + 2));
  return { kind: 'date', last: withYear ? at + 2 : at + 1 };
}

/** $12.50, $3.4 million, 12.50€, 12.5% */
function signedAmount(pieces: Pieces, at: number): Phrase | null {
  const piece = pieces.word(at);
  const leading = /^[+-]?[$€£¥₹](.+)$/.exec(piece);
  if (leading) return isQuantity(leading[1]!) ? amount(scaled(pieces, at)) : null;
  const trailing = /^(.+?)[$€£¥₹%]$/.exec(piece);
  return trailing && QUANTITY.test(trailing[1]!) ? amount(at) : null;
}

/** EUR 1,200, € 3.4 million */
function currencyFirst(pieces: Pieces, at: number): Phrase | null {
  const piece = pieces.word(at);
  const isCurrency = CURRENCY_SIGN.test(piece) || CURRENCY_CODE.test(piece);
  if (!isCurrency || !pieces.near(at, at + 1)) return null;
  return isQuantity(pieces.word(at + 1)) ? amount(scaled(pieces, at + 1)) : null;
}

/** 12.50 €, 3.4 million dollars, 12.5 % */
function currencyBehind(pieces: Pieces, at: number): Phrase | null {
  if (!QUANTITY.test(pieces.word(at))) return null;
  const last = scaled(pieces, at);
  const isUnit =
    pieces.near(last, last + 1) && UNIT.some((unit) => unit.test(pieces.word(last + 1)));
  return isUnit ? amount(last + 1) : null;
}

const UNIT = [CURRENCY_SIGN, CURRENCY_CODE, CURRENCY_WORD, /^%$/];

const amount = (last: number): Phrase => ({ kind: 'amount', last });

/** With "million" behind it. */
function scaled(pieces: Pieces, last: number): number {
  return pieces.near(last, last + 1) && SCALE.test(pieces.word(last + 1)) ? last + 1 : last;
}

const isQuantity = (word: string) =>
  QUANTITY.test(word) || /^\d{1,12}(?:[.,]\d{1,6})?[kKmMbB]n?$/.test(word);
