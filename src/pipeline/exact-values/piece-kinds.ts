/** What one piece of text is by itself. */

import { QUANTITY, YEAR } from './phrases.js';

export type PieceKind = 'email' | 'uuid' | 'hash' | 'date' | 'identifier' | 'number';

const EMAIL = /^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HEX = /^(?:0x)?[0-9a-f]{12,256}$/i;
const ISO_DATE =
  /^(\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;
const SLASH_DATE = /^(\d{4})\/(\d{1,2})\/(\d{1,2})$/;
const NUMERIC_DATE = /^(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})$/;
/** Letters, digits and what joins them in codes. */
const CODE = /^[A-Za-z0-9][A-Za-z0-9._/:#+@&-]{2,255}$/;
const ORDINAL = /^\d{1,4}(?:st|nd|rd|th|s|x)$/i;
/** A number that counts something: "20-year", "12.5mm". */
const MEASURE = /^[+-]?\d{1,4}(?:[.,]\d{1,4})?-?(?:[a-z]{1,12}|%)$/;
const BASE64 = /^[A-Za-z0-9+/_-]{20,256}={0,2}$/;

const WHOLE_NUMBER = /^[+-]?\d+$/;

/** The first rule that fits decides; `null` is no value. */
const RULES: readonly (readonly [kind: PieceKind | null, fits: (piece: string) => boolean])[] = [
  ['email', (piece) => EMAIL.test(piece)],
  ['uuid', (piece) => UUID.test(piece)],
  ['date', isDate],
  [null, (piece) => !/\d/.test(piece)],
  ['hash', isHash],
  ['number', (piece) => WHOLE_NUMBER.test(piece) && digitsOf(piece) >= 4 && !YEAR.test(piece)],
  [null, (piece) => WHOLE_NUMBER.test(piece)],
  ['number', (piece) => QUANTITY.test(piece) && digitsOf(piece) >= 4],
  [null, (piece) => QUANTITY.test(piece) || ORDINAL.test(piece) || MEASURE.test(piece)],
  ['identifier', (piece) => CODE.test(piece) && isCode(piece)],
  ['identifier', (piece) => BASE64.test(piece) && /[a-z]/.test(piece) && /[A-Z]/.test(piece)],
];

export function pieceKind(piece: string): PieceKind | null {
  return RULES.find(([, fits]) => fits(piece))?.[0] ?? null;
}

const digitsOf = (piece: string) => piece.replace(/\D/g, '').length;

function isHash(piece: string): boolean {
  return HEX.test(piece) && (/[a-f]/i.test(piece.replace(/^0x/i, '')) || piece.length >= 32);
}

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
