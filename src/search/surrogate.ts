/**
 * A guess at what a point comes to, from the trials so far: a Gaussian process whose kernel compares
 * points axis by axis and pair of axes by pair, so that many axes that do not matter drown none that
 * do.
 *
 * Sources: Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006), algorithm 2.1;
 * Duvenaud et al., "Additive Gaussian Processes", NeurIPS 2011 (kernels that add up over axes and
 * over sets of them).
 */

import { valuesOf } from './domain.js';
import type { AxisValue, Point } from './point.js';
import type { Space } from './space.js';

export interface Sample {
  point: Point;
  value: number;
  /** Variance of what was measured. */
  noise: number;
}

/** A point as places on its axes: 0 to 1 where they are ordered, else one name a value. */
type Coordinates = readonly (number | AxisValue)[];

/** Axes of a space as the kernel sees them. */
export class Comparison {
  readonly #axes: { name: string; places: ReadonlyMap<AxisValue, number> | null }[];

  constructor(space: Space) {
    this.#axes = space.free.map((name) => {
      const domain = space.domain(name);
      const values = valuesOf(domain);
      const places = new Map(values.map((value, i) => [value, i / (values.length - 1)]));
      return { name, places: domain.ordered ? places : null };
    });
  }

  locate(point: Point): Coordinates {
    return this.#axes.map(({ name, places }) => {
      const value = point[name]!;
      return places ? (places.get(value) ?? 0.5) : value;
    });
  }

  /** 1 for equal points, 0 for those that share nothing: the square holds every pair of axes. */
  likeness(a: Coordinates, b: Coordinates): number {
    let shared = 0;
    for (let i = 0; i < a.length; i++) {
      const [x, y] = [a[i]!, b[i]!];
      if (this.#axes[i]!.places) shared += 1 - Math.abs(Number(x) - Number(y));
      else if (x === y) shared += 1;
    }
    const share = a.length > 0 ? shared / a.length : 1;
    return share * share;
  }
}

/** Scale of the kernel over the variance of the values: points of one space share most of their axes. */
const SPAN = 10;
/** Keeps the factorisation stable where points are nearly alike. */
const JITTER = 1e-6;

export class Surrogate {
  readonly #at: Coordinates[];
  readonly #weights: Float64Array;
  readonly #mean: number;
  readonly #scale: number;

  constructor(
    private readonly comparison: Comparison,
    samples: readonly Sample[],
  ) {
    this.#at = samples.map(({ point }) => comparison.locate(point));
    this.#mean = samples.reduce((sum, { value }) => sum + value, 0) / Math.max(1, samples.length);
    const spread = samples.reduce((sum, { value }) => sum + (value - this.#mean) ** 2, 0);
    this.#scale = (SPAN * spread) / Math.max(1, samples.length) + JITTER;
    const factor = cholesky(
      this.#at.map((a, i) =>
        Float64Array.from(
          { length: i + 1 },
          (_, j) =>
            this.#scale * comparison.likeness(a, this.#at[j]!) +
            (i === j ? samples[i]!.noise + JITTER : 0),
        ),
      ),
    );
    this.#weights = backward(
      factor,
      forward(
        factor,
        Float64Array.from(samples, ({ value }) => value - this.#mean),
      ),
    );
  }

  guess(point: Point): number {
    const at = this.comparison.locate(point);
    let guess = this.#mean;
    for (const [i, other] of this.#at.entries())
      guess += this.#scale * this.comparison.likeness(at, other) * this.#weights[i]!;
    return guess;
  }
}

/** The lower triangle L of LLᵀ = `matrix`, row by row, in its place. */
function cholesky(matrix: Float64Array[]): Float64Array[] {
  for (const [i, row] of matrix.entries()) {
    for (let j = 0; j <= i; j++) {
      const other = matrix[j]!;
      let left = row[j]!;
      for (let k = 0; k < j; k++) left -= row[k]! * other[k]!;
      row[j] = i === j ? Math.sqrt(Math.max(left, JITTER)) : left / other[j]!;
    }
  }
  return matrix;
}

/** x of Lx = b. */
function forward(factor: readonly Float64Array[], b: Float64Array): Float64Array {
  const x = Float64Array.from(b);
  for (const [i, row] of factor.entries()) {
    for (let j = 0; j < i; j++) x[i]! -= row[j]! * x[j]!;
    x[i]! /= row[i]!;
  }
  return x;
}

/** x of Lᵀx = b. */
function backward(factor: readonly Float64Array[], b: Float64Array): Float64Array {
  const x = Float64Array.from(b);
  for (let i = factor.length - 1; i >= 0; i--) {
    x[i]! /= factor[i]![i]!;
    for (let j = 0; j < i; j++) x[j]! -= factor[i]![j]! * x[i]!;
  }
  return x;
}
