/** The values that an axis may take: how they are drawn, moved a little, and brought back inside. */

import type { SeededRandom } from '../eval/seeded-random.js';
import type { AxisValue } from './point.js';

/** A run of values with its weight against the other bands of the axis. */
export type Band =
  | { weight: number; values: readonly AxisValue[] }
  /** `count` = (max − min) / step + 1 equally likely values. */
  | { weight: number; min: number; max: number; step: number };

export interface Domain {
  bands: readonly Band[];
  /** Neighbouring values resemble each other: a mutation may step instead of jump. */
  ordered: boolean;
}

/** Values of one axis at most: a band of tenths over a page is far below it. */
const MAX_VALUES = 100_000;

export const oneOf = (...values: AxisValue[]): Domain => ({
  bands: [{ weight: 1, values }],
  ordered: values.every((value) => typeof value === 'number'),
});

/** @param weighted values with their chances, in the order of their likeness if they are numbers */
export const weighted = (...items: [weight: number, ...values: AxisValue[]][]): Domain => ({
  bands: items.map(([weight, ...values]) => ({ weight, values })),
  ordered: items.every(([, ...values]) => values.every((value) => typeof value === 'number')),
});

export const steps = (min: number, max: number, step: number): Domain => ({
  bands: [{ weight: 1, min, max, step }],
  ordered: true,
});

const tidy = (value: number) => Number(value.toFixed(6));

function bandSize(band: Band): number {
  return 'values' in band
    ? band.values.length
    : Math.min(MAX_VALUES, Math.floor((band.max - band.min) / band.step + 1e-9) + 1);
}

function bandValue(band: Band, i: number): AxisValue {
  return 'values' in band ? band.values[i]! : tidy(band.min + i * band.step);
}

export function drawValue(domain: Domain, random: SeededRandom): AxisValue {
  const total = domain.bands.reduce((sum, { weight }) => sum + weight, 0);
  let at = (random.below(1 << 30) / (1 << 30)) * total;
  const band =
    domain.bands.find(({ weight }) => {
      at -= weight;
      return at < 0;
    }) ?? domain.bands.at(-1)!;
  return bandValue(band, random.below(bandSize(band)));
}

const listed = new WeakMap<Domain, readonly AxisValue[]>();

/** Every value once; numbers ascending. */
export function valuesOf(domain: Domain): readonly AxisValue[] {
  const known = listed.get(domain);
  if (known) return known;
  const all = domain.bands.flatMap((band) =>
    Array.from({ length: bandSize(band) }, (_, i) => bandValue(band, i)),
  );
  const unique = [...new Set(all)];
  const values = domain.ordered ? unique.sort((a, b) => Number(a) - Number(b)) : unique;
  listed.set(domain, values);
  return values;
}

/** Steps that a small move goes at most, as a share of all values of the axis, and at least one. */
const STEP_SHARE = 0.1;

/** Another value: mostly a near one where the axis is ordered, else any. */
export function moveValue(domain: Domain, value: AxisValue, random: SeededRandom): AxisValue {
  const values = valuesOf(domain);
  if (values.length < 2) return value;
  const at = values.indexOf(value);
  const isSmall = domain.ordered && at >= 0 && random.below(4) > 0;
  if (!isSmall) {
    const drawn = drawValue(domain, random);
    return drawn === value ? random.pick(values.filter((other) => other !== value)) : drawn;
  }
  const reach = Math.max(1, Math.round(values.length * STEP_SHARE));
  const step = random.between(1, reach) * (random.below(2) === 0 ? -1 : 1);
  const next = Math.max(0, Math.min(values.length - 1, at + step));
  // At an end the only way is back.
  return values[next === at ? at - Math.sign(step) : next]!;
}

/** @returns the value itself or, among numbers, the nearest one; null where nothing is near */
export function clampValue(domain: Domain, value: unknown): AxisValue | null {
  if (typeof value === 'string' || typeof value === 'boolean')
    return holds(domain, value) ? value : null;
  if (typeof value !== 'number' || !Number.isFinite(value)) return null;
  let best: AxisValue | null = null;
  for (const band of domain.bands) {
    const near = nearestIn(band, value);
    if (near !== null && (best === null || Math.abs(near - value) < Math.abs(Number(best) - value)))
      best = near;
  }
  return best;
}

export function holds(domain: Domain, value: AxisValue): boolean {
  return domain.bands.some((band) =>
    'values' in band
      ? band.values.includes(value)
      : typeof value === 'number' && nearestIn(band, value) === value,
  );
}

function nearestIn(band: Band, value: number): number | null {
  if ('values' in band) {
    const numbers = band.values.filter((one) => typeof one === 'number');
    if (numbers.length === 0) return null;
    return numbers.reduce((a, b) => (Math.abs(b - value) < Math.abs(a - value) ? b : a));
  }
  const i = Math.round((value - band.min) / band.step);
  return Number(bandValue(band, Math.max(0, Math.min(bandSize(band) - 1, i))));
}

/** The part of a domain between two numbers; null if nothing is left. */
export function between(domain: Domain, min: number, max: number): Domain | null {
  const bands = domain.bands.flatMap((band): Band[] => {
    if ('values' in band) {
      const values = band.values.filter((v) => typeof v === 'number' && v >= min && v <= max);
      return values.length > 0 ? [{ weight: band.weight, values }] : [];
    }
    const first = Math.max(0, Math.ceil((min - band.min) / band.step - 1e-9));
    const last = Math.floor((Math.min(max, band.max) - band.min) / band.step + 1e-9);
    if (first > last) return [];
    const [low, high] = [tidy(band.min + first * band.step), tidy(band.min + last * band.step)];
    return [{ weight: band.weight, min: low, max: high, step: band.step }];
  });
  return bands.length > 0 ? { ...domain, bands } : null;
}
