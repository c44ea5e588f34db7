/**
 * The one place that says which mixes of values are valid. Whoever makes a point (chance, evolution,
 * a language model, a space file) hands it over here, and gets a point that can be drawn, or the
 * reason why there is none.
 */

import { GlyphpressError } from '../errors.js';
import type { SeededRandom } from '../eval/seeded-random.js';
import { holds, valuesOf } from './domain.js';
import type { AxisValue, Point } from './point.js';
import { parsedConfig, samePoint, settingsOf, withoutIdleAxes } from './settings.js';
import { type Space, spaceError } from './space.js';

export type Repaired = { point: Point; problem?: undefined } | { point: null; problem: string };

/** Minimum length of a line, in em. */
const MIN_LINE_EM = 8;
/** Maximum number of pixels of a page: Glyph's script shrinks larger ones, which changes the type. */
const MAX_PAGE_PIXELS = 36e6;
const MIN_ROWS = 4;

/**
 * Brings every value into its domain, then mends what does not go together: by moving the value that
 * matters least, and only to values that the space allows.
 *
 * Repairing twice is repairing once.
 *
 * @param raw axes in any state: missing ones get their default value, unknown ones are left out
 */
export function repairPoint(raw: Readonly<Record<string, unknown>>, space: Space): Repaired {
  let point = space.clamp(raw);
  // What one mender moves may be the next one's business; each only ever moves one way.
  for (let before: Point | null = null; !before || !samePoint(before, point); ) {
    before = point;
    for (const mend of MENDERS) point = mend(point, space);
  }
  point = withoutIdleAxes(point);
  const problem = problemOf(point);
  return problem === null ? { point } : { point: null, problem };
}

function problemOf(point: Point): string | null {
  try {
    parsedConfig(settingsOf(point, null));
  } catch (error) {
    if (error instanceof GlyphpressError) return error.message;
    throw error;
  }
  if (pixels(point) > MAX_PAGE_PIXELS)
    return `a page would have ${Math.round(pixels(point) / 1e6)} million pixels`;
  if (lineEm(point) < MIN_LINE_EM) return `a line would hold ${lineEm(point).toFixed(1)} em`;
  if (rows(point) < MIN_ROWS) return `a page would hold ${Math.floor(rows(point))} lines`;
  return null;
}

/** The sides in pt, as they are drawn. */
function sides(point: Point): [width: number, height: number] {
  const [width, height] = String(settingsOf(point, null).config['page-size'])
    .split(',')
    .map(Number);
  return [width!, height!];
}

function pixels(point: Point): number {
  const [width, height] = sides(point);
  return (width * height * Number(point.dpi) ** 2) / 72 ** 2;
}

function lineEm(point: Point): number {
  const [width] = sides(point);
  const columns = Number(point.columns);
  const gaps = (columns - 1) * Number(point['column-gap']);
  const column = (width - 2 * Number(point['margin-x']) - gaps) / columns;
  return (column - Number(point['line-overlap'])) / Number(point['font-size']);
}

function rows(point: Point): number {
  const [, height] = sides(point);
  const pitch = Number(point['font-size']) + Number(point.leading);
  return (height - 2 * Number(point['margin-y'])) / pitch;
}

/** The first of the axis' values, from the nearest down, with which the point is sound. */
function lower(
  point: Point,
  axis: string,
  space: Space,
  isSound: (point: Point) => boolean,
): Point {
  if (isSound(point)) return point;
  const below = valuesOf(space.domain(axis)).filter((value) => value < point[axis]!);
  for (const value of below.reverse()) {
    const moved = { ...point, [axis]: value };
    if (isSound(moved)) return moved;
  }
  // None is enough by itself: the least one leaves most to the next mender.
  return below.length > 0 ? { ...point, [axis]: below.at(-1)! } : point;
}

function instead(point: Point, axis: string, value: AxisValue, space: Space): Point {
  return holds(space.domain(axis), value) ? { ...point, [axis]: value } : point;
}

const hasLines = (point: Point) => lineEm(point) >= MIN_LINE_EM;
const hasRows = (point: Point) => rows(point) >= MIN_ROWS;
const isIndentable = (point: Point) => point.indent === 'none' || lineEm(point) >= MIN_LINE_EM + 4;
const fitsMemory = (point: Point) => pixels(point) <= MAX_PAGE_PIXELS;

const MENDERS: readonly ((point: Point, space: Space) => Point)[] = [
  (point, space) => lower(point, 'dpi', space, fitsMemory),
  (point, space) => lower(point, 'line-overlap', space, hasLines),
  (point, space) => lower(point, 'columns', space, hasLines),
  (point, space) => lower(point, 'margin-x', space, hasLines),
  (point, space) => lower(point, 'font-size', space, hasLines),
  (point, space) => lower(point, 'margin-y', space, hasRows),
  (point, space) => (isIndentable(point) ? point : instead(point, 'indent', 'none', space)),
  // Ends of lines that sit nowhere in particular: justified type has to stand at the left.
  (point, space) =>
    point['line-breaking'] === 'anywhere' && point.alignment === 'JUSTIFY'
      ? instead(point, 'alignment', 'LEFT', space)
      : point,
  // What a line repeats stands to the left of it.
  (point, space) =>
    Number(point['line-overlap']) > 0 && !['LEFT', 'JUSTIFY'].includes(String(point.alignment))
      ? instead(point, 'line-overlap', 0, space)
      : point,
  (point, space) =>
    problemOf(point) !== null && point['grid-lock'] === true
      ? instead(point, 'grid-lock', false, space)
      : point,
];

/** Draws until a point is valid; more in vain than this, and the space has none worth the search. */
const DRAWS = 300;

/** @throws {GlyphpressError} GP_SEARCH_SPACE */
export function drawPoint(space: Space, random: SeededRandom): Point {
  let problem = '';
  for (let draw = 0; draw < DRAWS; draw++) {
    const repaired = repairPoint(space.draw(random), space);
    if (repaired.point) return repaired.point;
    ({ problem } = repaired);
  }
  throw spaceError(
    `No valid point in ${DRAWS} draws from the space: ${problem}`,
    'Free one of the axes that exclude each other.',
    { draws: DRAWS, problem },
  );
}
