/** Values that nobody can guess: the answers of look-ups. */

import type { Chance } from './chance.js';

const HEX = '0123456789abcdef';
const DIGITS = '0123456789';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const CODE = LETTERS + DIGITS;
const MIXED = `${CODE}abcdefghijklmnopqrstuvwxyz`;

export const VALUE_KINDS = ['code', 'hex', 'uuid', 'number'] as const;
export type ValueKind = (typeof VALUE_KINDS)[number];

export function drawValue(kind: ValueKind, chance: Chance): string {
  if (kind === 'hex') return chance.characters(HEX, 12);
  if (kind === 'number') return chance.characters(DIGITS, chance.between(4, 8));
  if (kind === 'uuid') return drawUuid(chance);
  return drawCode(chance);
}

/** RFC 9562 version 4: the version digit and the variant bits are fixed. */
function drawUuid(chance: Chance): string {
  const hex = (count: number) => chance.characters(HEX, count);
  return `${hex(8)}-${hex(4)}-4${hex(3)}-${chance.pick('89ab'.split(''))}${hex(3)}-${hex(12)}`;
}

/** The shapes that codes have in the world: 7F2A-91, KX-4410, 8QY2ZP, 31-XK2-90, tR5kQ0a. */
function drawCode(chance: Chance): string {
  switch (chance.below(5)) {
    case 0:
      return `${chance.characters(CODE, 4)}-${chance.characters(CODE, 2)}`;
    case 1:
      return `${chance.characters(LETTERS, 2)}-${chance.characters(DIGITS, 4)}`;
    case 2:
      return chance.characters(CODE, chance.between(6, 9));
    case 3:
      return [2, 3, 2].map((count) => chance.characters(CODE, count)).join('-');
    default:
      return chance.characters(MIXED, chance.between(6, 12));
  }
}
