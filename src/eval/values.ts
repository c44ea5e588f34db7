/** Random values that cannot be guessed: the answers of look-up questions. */

import type { SeededRandom } from './seeded-random.js';

const HEX = '0123456789abcdef';
const DIGITS = '0123456789';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const CODE = LETTERS + DIGITS;
const MIXED = `${CODE}abcdefghijklmnopqrstuvwxyz`;

export const VALUE_KINDS = ['code', 'hex', 'uuid', 'number'] as const;
export type ValueKind = (typeof VALUE_KINDS)[number];

export function drawValue(kind: ValueKind, random: SeededRandom): string {
  if (kind === 'hex') return random.characters(HEX, 12);
  if (kind === 'number') return random.characters(DIGITS, random.between(4, 8));
  if (kind === 'uuid') return drawUuid(random);
  return drawCode(random);
}

/** RFC 9562 version 4: the version digit and the variant bits are fixed. */
function drawUuid(random: SeededRandom): string {
  const hex = (count: number) => random.characters(HEX, count);
  return `${hex(8)}-${hex(4)}-4${hex(3)}-${random.pick('89ab'.split(''))}${hex(3)}-${hex(12)}`;
}

/** The shapes that codes have in the world: 7F2A-91, KX-4410, 8QY2ZP, 31-XK2-90, tR5kQ0a. */
function drawCode(random: SeededRandom): string {
  switch (random.below(5)) {
    case 0:
      return `${random.characters(CODE, 4)}-${random.characters(CODE, 2)}`;
    case 1:
      return `${random.characters(LETTERS, 2)}-${random.characters(DIGITS, 4)}`;
    case 2:
      return random.characters(CODE, random.between(6, 9));
    case 3:
      return [2, 3, 2].map((count) => random.characters(CODE, count)).join('-');
    default:
      return random.characters(MIXED, random.between(6, 12));
  }
}
