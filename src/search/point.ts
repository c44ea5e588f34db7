/** What a search moves in: a point names one value for every axis. */

/** JSON only: points are written to logs and read back from language models. */
export type AxisValue = string | number | boolean;

/** Axis name → value. */
export type Point = Readonly<Record<string, AxisValue>>;

/** The same text for the same point, whatever the order in which its axes were written. */
export function canonicalPoint(point: Point): string {
  const sorted = Object.entries(point).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(Object.fromEntries(sorted));
}
