/** How far a measured figure may be off: 95 % intervals. */

import { SeededRandom } from './seeded-random.js';

export interface Interval {
  low: number;
  high: number;
}

const Z = 1.959964;

/**
 * For a share of questions answered right. Holds also for few questions and for shares near 0 and 1.
 * For graded scores `right` is their sum; the interval is then wider than it need be.
 *
 * Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
 */
export function wilsonInterval(right: number, total: number): Interval {
  if (total === 0) return { low: 0, high: 1 };
  const share = right / total;
  const centre = share + (Z * Z) / (2 * total);
  const spread = Z * Math.sqrt((share * (1 - share)) / total + (Z * Z) / (4 * total * total));
  const scale = 1 + (Z * Z) / total;
  return {
    low: right === 0 ? 0 : (centre - spread) / scale,
    high: right === total ? 1 : (centre + spread) / scale,
  };
}

const RESAMPLES = 1_000;

/**
 * For a ratio Σ part / Σ whole over questions: percentiles of the ratio over samples drawn with
 * replacement. Seeded, so equal results have equal intervals.
 */
export function bootstrapInterval(items: readonly { part: number; whole: number }[]): Interval {
  const random = new SeededRandom('bootstrap');
  const ratios = Array.from({ length: RESAMPLES }, () => {
    let part = 0;
    let whole = 0;
    for (let i = 0; i < items.length; i++) {
      const item = items[random.below(items.length)]!;
      part += item.part;
      whole += item.whole;
    }
    return whole === 0 ? 0 : part / whole;
  }).sort((a, b) => a - b);
  return {
    low: ratios[Math.floor(RESAMPLES * 0.025)]!,
    high: ratios[Math.ceil(RESAMPLES * 0.975) - 1]!,
  };
}
