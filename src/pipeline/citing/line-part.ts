/** Which part of a line box a range of its characters takes, from the advances that the renderer measured. */

import {
  ADVANCE_STEP,
  advanceOf,
  type GlyphAdvances,
  type LineBox,
  NO_ADVANCES,
} from '../../render/index.js';

interface Range {
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
}

/** Its characters do not stand in the order in which they are read. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/**
 * @param advances as a page of the span map has them; without, characters count as equally wide
 * @returns in page pixels. Of a line that holds right-to-left text, the whole line: the map does not say
 *   where its words stand
 */
export function partOfLine(
  line: LineBox,
  source: string,
  { start, end }: Range,
  advances: GlyphAdvances = NO_ADVANCES,
): { left: number; right: number } {
  const text = source.slice(line.start, line.end);
  const right = line.x + line.width;
  if (RIGHT_TO_LEFT.test(text)) return { left: line.x, right };
  const characters = charactersOf(text);
  fillIn(characters, line.width, advances);
  let [x, left] = [line.x, line.x];
  let at = line.start;
  for (const { length, px = 0 } of characters) {
    if (at >= end) break;
    if (at <= start) left = x;
    x += px;
    at += length;
  }
  return { left: Math.min(left, right), right: Math.min(x, right) };
}

interface Character {
  text: string;
  /** UTF-16 units. */
  length: number;
  px?: number | undefined;
}

/** A break within a line, with what white space is around it, was drawn as one thing. */
function charactersOf(text: string): Character[] {
  return [...text.matchAll(/[^\S\n]*\n\s*|[\s\S]/gu)].map(([part]) => ({
    text: part,
    length: part.length,
  }));
}

/**
 * What the advances leave of the line's width goes to characters that were drawn as something else; else
 * to the spaces of a justified line; else, as far as advances are rounded, to all. The spaces at which a line
 * was broken belong to it, and have no width unless lines break anywhere.
 */
function fillIn(characters: Character[], width: number, advances: GlyphAdvances): void {
  for (const one of characters) one.px = advanceOf(one.text, advances);
  const rounding = (ADVANCE_STEP / 2) * characters.length;
  const drawnEnd = characters.findLastIndex(({ text }) => text.trim() !== '') + 1;
  const isWhole = Math.abs(width - sumOf(characters)) <= rounding;
  const shown = isWhole ? characters : characters.slice(0, drawnEnd);
  if (!isWhole) for (const one of characters.slice(drawnEnd)) one.px = 0;
  const left = width - sumOf(shown);
  const unknown = shown.filter(({ px }) => px === undefined);
  const spaces = shown.filter(({ text }) => text === ' ');
  if (unknown.length > 0) share(left, unknown);
  else if (spaces.length > 0 && left > rounding) share(left, spaces);
  else for (const one of shown) one.px = (one.px! * width) / Math.max(1e-6, width - left);
}

const sumOf = (characters: readonly Character[]) =>
  characters.reduce((sum, { px = 0 }) => sum + px, 0);

function share(px: number, characters: readonly Character[]): void {
  const each = Math.max(0, px / characters.length);
  for (const one of characters) one.px = (one.px ?? 0) + each;
}
