/** Which axes go with which results: told of the trials that were made, not of causes. */

import { type AxisValue, canonicalPoint } from './point.js';
import type { Space } from './space.js';
import { accuracyOf, legibilityOf, ratioOf, type TrialRecord } from './trial.js';

export const RESULTS = ['legibility', 'accuracy', 'stackedRatio'] as const;
export type ResultName = (typeof RESULTS)[number];

export interface AxisContribution {
  axis: string;
  /** Share of the result's variance between the axis' values, 0 to 1; null where nothing varies. */
  explained: Record<ResultName, number | null>;
}

/** A numeric axis with more values than this is divided into as many groups of equal size. */
const GROUPS = 4;
/** Minimum number of trials for a variance. */
const MIN_TRIALS = 6;

/**
 * Epsilon squared: between-group variance less what groups by chance would have. Trials of a search
 * are no sample at random, and axes go together: read it as where to look, not as what works.
 *
 * Source: Kelley, "An unbiased correlation ratio measure", PNAS 21 (1935).
 *
 * @returns the axes with most to say first
 */
export function axisContributions(
  records: readonly TrialRecord[],
  space: Space,
): AxisContribution[] {
  const measured: Record<ResultName, [TrialRecord, number][]> = {
    legibility: valued(records, legibilityOf),
    accuracy: valued(records, ({ documents }) => accuracyOf(documents)),
    stackedRatio: valued(records, (record) =>
      record.renderCheck ? Math.log2(ratioOf(record)) : null,
    ),
  };
  const strength = ({ explained }: AxisContribution) =>
    Math.max(...RESULTS.map((result) => explained[result] ?? 0));
  return space.free
    .map((axis) => ({
      axis,
      explained: Object.fromEntries(
        RESULTS.map((result) => [
          result,
          explainedVariance(
            measured[result].map(([{ trial }, value]) => ({ by: trial.point[axis]!, value })),
          ),
        ]),
      ) as Record<ResultName, number | null>,
    }))
    .sort((a, b) => strength(b) - strength(a));
}

function valued(
  records: readonly TrialRecord[],
  measure: (record: TrialRecord) => number | null,
): [TrialRecord, number][] {
  return records.flatMap((record): [TrialRecord, number][] => {
    const value = measure(record);
    return value === null || !Number.isFinite(value) ? [] : [[record, value]];
  });
}

function explainedVariance(items: readonly { by: AxisValue; value: number }[]): number | null {
  if (items.length < MIN_TRIALS) return null;
  const groups = [...grouped(items).values()];
  if (groups.length < 2 || groups.length >= items.length) return null;
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const all = mean(items.map(({ value }) => value));
  const total = items.reduce((sum, { value }) => sum + (value - all) ** 2, 0);
  if (total < 1e-12) return null;
  const between = groups.reduce((sum, group) => sum + group.length * (mean(group) - all) ** 2, 0);
  const noise = (total - between) / (items.length - groups.length);
  return Math.max(0, (between - (groups.length - 1) * noise) / total);
}

function grouped(items: readonly { by: AxisValue; value: number }[]): Map<string, number[]> {
  const distinct = new Set(items.map(({ by }) => by));
  const isMany =
    distinct.size > GROUPS && [...distinct].every((value) => typeof value === 'number');
  const order = items.map(({ by }) => by).sort((a, b) => Number(a) - Number(b));
  const bounds = Array.from({ length: GROUPS - 1 }, (_, i) =>
    Number(order[Math.floor(((i + 1) * order.length) / GROUPS)]),
  );
  const groups = new Map<string, number[]>();
  for (const { by, value } of items) {
    const name = isMany
      ? String(bounds.filter((bound) => Number(by) >= bound).length)
      : canonicalPoint({ by });
    groups.set(name, [...(groups.get(name) ?? []), value]);
  }
  return groups;
}
