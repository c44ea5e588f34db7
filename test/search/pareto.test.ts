import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  crowdingDistances,
  dominates,
  hypervolume,
  nonDominatedFronts,
  type Objectives,
} from '../../src/search/pareto.js';

const at = (accuracy: number, stackedRatio: number): Objectives => ({ accuracy, stackedRatio });
const points = fc.array(
  fc.record({
    accuracy: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
    stackedRatio: fc.constantFrom(0.5, 1, 1.5, 2, 3, 4, 6, 8),
  }),
  { maxLength: 14 },
);

describe('dominance', () => {
  it('needs one figure to be better and none to be worse', () => {
    expect(dominates(at(0.5, 3), at(0.5, 2))).toBe(true);
    expect(dominates(at(0.5, 3), at(0.6, 2))).toBe(false);
    expect(dominates(at(0.5, 3), at(0.5, 3))).toBe(false);
  });
});

describe('fronts', () => {
  it('of a worked example', () => {
    const four = [at(0.9, 2), at(0.5, 4), at(0.5, 3), at(0.1, 1)];
    expect(nonDominatedFronts(four)).toEqual([[0, 1], [2], [3]]);
  });

  it('hold every point once; each is beaten only from the front before', () => {
    fc.assert(
      fc.property(points, (all) => {
        const fronts = nonDominatedFronts(all);
        expect(fronts.flat().sort((a, b) => a - b)).toEqual(all.map((_, i) => i));
        fronts.forEach((front, rank) => {
          const before = fronts.slice(0, rank).flat();
          for (const i of front) {
            expect(front.some((j) => dominates(all[j]!, all[i]!))).toBe(false);
            expect(rank === 0 || before.some((j) => dominates(all[j]!, all[i]!))).toBe(true);
          }
        });
      }),
    );
  });
});

describe('crowding', () => {
  it('of a worked example: ends are free, the middle has its neighbours', () => {
    // Accuracy: (1 − 0) / 1; doublings: (3 − 0) / 3.
    expect(crowdingDistances([at(1, 1), at(0.5, 2), at(0, 8)])).toEqual([
      Number.POSITIVE_INFINITY,
      2,
      Number.POSITIVE_INFINITY,
    ]);
  });
});

describe('hypervolume', () => {
  it('of worked examples', () => {
    expect(hypervolume([])).toBe(0);
    expect(hypervolume([at(1, 4)])).toBe(2);
    // 0.5 × 3 doublings, and 0.5 more × 1.
    expect(hypervolume([at(1, 2), at(0.5, 8)])).toBe(2);
    expect(hypervolume([at(1, 1), at(0, 8), at(0.7, 0.5)])).toBe(0);
  });

  it('is the area under the staircase', () => {
    fc.assert(
      fc.property(points, (all) => {
        const steps = [1, 1.5, 2, 3, 4, 6, 8];
        let area = 0;
        for (let i = 1; i < steps.length; i++) {
          const reached = all
            .filter(({ stackedRatio }) => stackedRatio >= steps[i]!)
            .map(({ accuracy }) => accuracy);
          area += Math.max(0, ...reached) * Math.log2(steps[i]! / steps[i - 1]!);
        }
        expect(hypervolume(all)).toBeCloseTo(area, 10);
      }),
    );
  });

  it('never shrinks by another point, and needs only the first front', () => {
    fc.assert(
      fc.property(
        points,
        fc.tuple(
          fc.double({ min: 0, max: 1, noNaN: true }),
          fc.double({ min: 0.1, max: 9, noNaN: true }),
        ),
        (all, [a, r]) => {
          const [front = []] = nonDominatedFronts(all);
          expect(hypervolume(front.map((i) => all[i]!))).toBeCloseTo(hypervolume(all), 10);
          expect(hypervolume([...all, at(a, r)])).toBeGreaterThanOrEqual(hypervolume(all) - 1e-12);
        },
      ),
    );
  });
});
