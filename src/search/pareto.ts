/** Two things are wanted at once, accuracy and compression: who beats whom, and how much is reached. */

/** Both are better when larger. */
export interface Objectives {
  /** 0 to 1. */
  accuracy: number;
  /** Text tokens ÷ context tokens; 1 is no compression. */
  stackedRatio: number;
}

/** At least as good in both, better in one. */
export function dominates(a: Objectives, b: Objectives): boolean {
  return (
    a.accuracy >= b.accuracy &&
    a.stackedRatio >= b.stackedRatio &&
    (a.accuracy > b.accuracy || a.stackedRatio > b.stackedRatio)
  );
}

/**
 * Fronts of indices: the first holds the non-dominated points, the next those dominated by the first front only, and so on.
 *
 * Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Trans.
 * Evol. Comput. 6 (2002), sec. III-A.
 * Cost: O(N²) comparisons.
 */
export function nonDominatedFronts(points: readonly Objectives[]): number[][] {
  const beats = points.map((a) => points.flatMap((b, j) => (dominates(a, b) ? [j] : [])));
  const beatenBy = new Int32Array(points.length);
  for (const losers of beats) for (const loser of losers) beatenBy[loser]!++;
  const fronts: number[][] = [];
  let front = points.flatMap((_, i) => (beatenBy[i] === 0 ? [i] : []));
  while (front.length > 0) {
    fronts.push(front);
    const next: number[] = [];
    for (const winner of front)
      for (const loser of beats[winner]!) if (--beatenBy[loser]! === 0) next.push(loser);
    front = next.sort((a, b) => a - b);
  }
  return fronts;
}

/**
 * How much room each point of one front has: the sum over both objectives of the distance between
 * its neighbours, as a share of the front's extent. The ends have infinite room.
 *
 * Source: as {@link nonDominatedFronts}, sec. III-B; ratios are compared as logarithms.
 */
export function crowdingDistances(front: readonly Objectives[]): number[] {
  const room = front.map(() => 0);
  const values = [
    front.map(({ accuracy }) => accuracy),
    front.map(({ stackedRatio }) => Math.log2(Math.max(stackedRatio, 1e-9))),
  ];
  for (const value of values) {
    const order = front.map((_, i) => i).sort((a, b) => value[a]! - value[b]! || a - b);
    const extent = value[order.at(-1)!]! - value[order[0]!]!;
    order.forEach((i, k) => {
      const [before, after] = [order[k - 1], order[k + 1]];
      if (before === undefined || after === undefined) room[i] = Number.POSITIVE_INFINITY;
      else if (extent > 0) room[i]! += (value[after]! - value[before]!) / extent;
    });
  }
  return room;
}

/**
 * The area that a set of points dominates, in accuracy × log₂ of the stacked ratio, above accuracy 0
 * and ratio 1: each doubling of the compression counts the same, and text without compression, or
 * answers that are all wrong, count nothing.
 *
 * A set that holds accuracy 1 at 4× and nothing else has 2.
 */
export function hypervolume(points: readonly Objectives[]): number {
  const gaining = points
    .filter(({ accuracy, stackedRatio }) => accuracy > 0 && stackedRatio > 1)
    .map(({ accuracy, stackedRatio }) => ({ accuracy, doublings: Math.log2(stackedRatio) }))
    .sort((a, b) => b.doublings - a.doublings);
  let area = 0;
  let reached = 0;
  for (const { accuracy, doublings } of gaining) {
    if (accuracy <= reached) continue;
    area += (accuracy - reached) * doublings;
    reached = accuracy;
  }
  return area;
}
