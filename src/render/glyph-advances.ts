/**
 * How far each character moves the pen, as the renderer measured it: with it, the place of a character
 * within a line box is known without a browser. Pages are drawn without kerning and ligatures, so a line is
 * the sum of its characters.
 */

/**
 * Characters in the order of their advances, and for each advance a pair of numbers: quarters of a page
 * pixel, and how many of the characters (code points) have it. A span map is mostly digits; this keeps it
 * from growing much.
 */
export type GlyphAdvances = readonly [characters: string, runs: readonly number[]];

export const NO_ADVANCES: GlyphAdvances = ['', []];

/** Advances are kept in steps of this, in page pixels. */
export const ADVANCE_STEP = 0.25;

/** Ideographs, kana and Hangul: as a rule all of one advance, and too many to be listed. */
const WIDE = /[\u3000-\u9fff\uac00-\ud7af\uf900-\ufaff\uff01-\uff60]/;
/** Stands for all of them that are not listed by themselves. */
const WIDE_SAMPLE = '一';

/** One for each table; they are looked into for every line. */
const tables = new WeakMap<GlyphAdvances, ReadonlyMap<string, number>>();

/** Page pixels; undefined for a character that is not drawn as it stands. */
export function advanceOf(character: string, advances: GlyphAdvances): number | undefined {
  const table = tableOf(advances);
  return table.get(character) ?? (WIDE.test(character) ? table.get(WIDE_SAMPLE) : undefined);
}

/** @param measured page pixels of each character; of one that comes twice the last counts */
export function groupAdvances(measured: Iterable<readonly [string, number]>): GlyphAdvances {
  const steps = new Map<string, number>();
  for (const [character, px] of measured) steps.set(character, Math.round(px / ADVANCE_STEP));
  const ofWide = steps.get(WIDE_SAMPLE) ?? [...steps].find(([one]) => WIDE.test(one))?.[1];
  if (ofWide !== undefined) steps.set(WIDE_SAMPLE, ofWide);
  const groups = new Map<number, string[]>();
  for (const [character, step] of steps) {
    const isCommon = character !== WIDE_SAMPLE && WIDE.test(character) && step === ofWide;
    if (!isCommon) groups.set(step, [...(groups.get(step) ?? []), character]);
  }
  const sorted = [...groups].sort(([a], [b]) => a - b);
  return [
    sorted.map(([, characters]) => characters.sort().join('')).join(''),
    sorted.flatMap(([step, characters]) => [step, characters.length]),
  ];
}

/** What a table says that another does not. */
export function newAdvances(advances: GlyphAdvances, known: GlyphAdvances): GlyphAdvances {
  return groupAdvances([...tableOf(advances)].filter(([one, px]) => advanceOf(one, known) !== px));
}

/** Both tables as one; the second counts where they differ. */
export function joinAdvances(known: GlyphAdvances, more: GlyphAdvances): GlyphAdvances {
  if (more[0] === '') return known;
  return groupAdvances([...tableOf(known), ...tableOf(more)]);
}

function tableOf(advances: GlyphAdvances): ReadonlyMap<string, number> {
  const known = tables.get(advances);
  if (known) return known;
  const [all, runs] = advances;
  const characters = [...all];
  const table = new Map<string, number>();
  let at = 0;
  for (let n = 0; n + 1 < runs.length; n += 2) {
    const end = at + runs[n + 1]!;
    for (const character of characters.slice(at, end))
      table.set(character, runs[n]! * ADVANCE_STEP);
    at = end;
  }
  tables.set(advances, table);
  return table;
}
