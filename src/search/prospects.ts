/**
 * What a point that was not tried is worth: by how much it would move the front, as far as one can
 * guess. The front itself is a guess too, so that a lucky trial does not hold the place of others.
 */

import { hypervolume, nonDominatedFronts, type Objectives } from './pareto.js';
import type { Point } from './point.js';
import { isUsable } from './selection.js';
import type { Space } from './space.js';
import { Comparison, type Sample, Surrogate } from './surrogate.js';
import { accuracyOf, legibilityOf, ratioOf, type TrialRecord } from './trial.js';

/** Variance of one answer, at most. */
const ANSWER_NOISE = 0.25;
/** Of the probe's reading where it stands for answers. */
const PROBE_NOISE = 0.05;
/** Of the ratio, which is exact, in doublings². */
const RATIO_NOISE = 1e-3;

export class Prospects {
  readonly #accuracy: Surrogate;
  readonly #doublings: Surrogate;
  #front: Objectives[];

  /** @param minRatio what reaches less is worth nothing */
  constructor(
    space: Space,
    records: readonly TrialRecord[],
    private readonly minRatio: number,
  ) {
    const comparison = new Comparison(space);
    const usable = records.filter(isUsable);
    this.#doublings = new Surrogate(
      comparison,
      usable.map((record) => ({
        point: record.trial.point,
        value: Math.log2(Math.max(ratioOf(record), 1e-9)),
        noise: RATIO_NOISE,
      })),
    );
    this.#accuracy = new Surrogate(comparison, usable.flatMap(accuracySample));
    this.#front = frontOf(
      usable
        .filter(({ documents, trial }) => documents.length > 0 && !trial.outside)
        .map(({ trial }) => this.#objectives(trial.point)),
    );
  }

  /** Growth of the hypervolume. */
  worth(point: Point): number {
    const reached = this.#objectives(point);
    if (reached.stackedRatio < this.minRatio) return 0;
    return hypervolume([...this.#front, reached]) - hypervolume(this.#front);
  }

  /** The point is going to be tried: another one like it gains nothing more. */
  expect(point: Point): void {
    this.#front = frontOf([...this.#front, this.#objectives(point)]);
  }

  #objectives(point: Point): Objectives {
    return {
      accuracy: Math.max(0, Math.min(1, this.#accuracy.guess(point))),
      stackedRatio: 2 ** this.#doublings.guess(point),
    };
  }
}

function frontOf(points: readonly Objectives[]): Objectives[] {
  const [front = []] = nonDominatedFronts(points);
  return front.map((i) => points[i]!);
}

/** Few answers say little; before any question was asked, the probe's legibility stands in for accuracy. */
function accuracySample(record: TrialRecord): Sample[] {
  const { point } = record.trial;
  const legibility = legibilityOf(record);
  const accuracy = accuracyOf(record.documents);
  if (accuracy !== null) {
    const asked = record.documents.reduce((sum, { scores }) => sum + scores.length, 0);
    return [{ point, value: accuracy, noise: ANSWER_NOISE / asked }];
  }
  return legibility === null ? [] : [{ point, value: legibility, noise: PROBE_NOISE }];
}
