import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  approximationErrors,
  mergeDropped,
  pruneByApproximationError,
  seededRandom,
  selectByApproximationError,
} from '../../src/prune/index.js';
import { testPrunerContract } from './pruner-contract.js';
import { codeOf, thrown } from './thrown-code.js';

for (const basis of ['always-keep', 'rank', 'overwrite', 'blend'] as const) {
  testPrunerContract(`selectByApproximationError, basis ${basis}`, (n, options) =>
    selectByApproximationError(randomMatrix(n, 8, n), 8, { ...options, basis, basisTokenCount: 3 }),
  );
}

describe('approximationErrors', () => {
  it('is worked by hand: one basis token spans the x axis', () => {
    // Rows (2,0), (1,3), (-5,0.5): from row 0 the farthest is row 2. Whatever the start, with M = 1
    // the basis is one row s and the error is the distance to its line.
    const tokens = Float32Array.of(2, 0, 1, 3, -5, 0.5);
    const { errors, basisRows } = approximationErrors(tokens, 2, { basisTokenCount: 1, ridge: 0 });
    const [sx, sy] = [tokens[basisRows[0]! * 2]!, tokens[basisRows[0]! * 2 + 1]!];
    const length = Math.hypot(sx, sy);
    for (let row = 0; row < 3; row++) {
      const cross = Math.abs(tokens[row * 2]! * sy - tokens[row * 2 + 1]! * sx);
      expect(errors[row]).toBeCloseTo(cross / length, 5);
    }
  });

  it('samples the farthest points: the corners of a line come first', () => {
    // Points 0, 1, …, 8 on a line and one far away at (0, 100).
    const tokens = Float32Array.from({ length: 10 * 2 }, (_, i) => (i % 2 === 0 ? i / 2 : 0));
    tokens.set([0, 100], 18);
    for (let seed = 0; seed < 20; seed++) {
      const { basisRows } = approximationErrors(tokens, 2, { basisTokenCount: 3, seed });
      expect(basisRows).toContain(9);
      if (basisRows[0] !== 9) expect(basisRows[1]).toBe(9);
      // The third is the end of the line farther from the first two.
      expect([0, 8]).toContain(basisRows[2]);
    }
  });

  it('gives about 0 for every row in the span of the basis', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 6, max: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(),
        (n, rank, seed) => {
          // Rows of rank `rank` in 16 dimensions: that many independent rows reconstruct all.
          const dim = 16;
          const [mix, base] = [randomMatrix(n, rank, seed), randomMatrix(rank, dim, seed + 1)];
          const tokens = new Float32Array(n * dim);
          for (let row = 0; row < n; row++)
            for (let d = 0; d < dim; d++)
              for (let r = 0; r < rank; r++)
                tokens[row * dim + d]! += mix[row * rank + r]! * base[r * dim + d]!;
          const { errors } = approximationErrors(tokens, dim, {
            basisTokenCount: n - 1,
            ridge: 0,
            seed,
          });
          for (const error of errors) expect(error).toBeLessThan(2e-5);
        },
      ),
    );
  });

  it('gives basis rows an error of about 0 and others more', () => {
    const { errors, basisRows } = approximationErrors(randomMatrix(200, 32, 4), 32);
    expect(basisRows).toHaveLength(10);
    const basis = new Set(basisRows);
    errors.forEach((error, row) => {
      if (basis.has(row)) expect(error).toBeLessThan(1e-4);
      else expect(error).toBeGreaterThan(0.5);
    });
  });

  it('agrees with a dense solver', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 30 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom(1e-5, 1e-1, 1),
        fc.nat(),
        (n, dim, m, ridge, seed) => {
          const tokens = randomMatrix(n, dim, seed);
          const { errors, basisRows } = approximationErrors(tokens, dim, {
            basisTokenCount: m,
            ridge,
            seed,
          });
          expect(basisRows).toHaveLength(Math.min(m, n - 1));
          const reference = denseErrors(tokens, dim, basisRows, ridge);
          errors.forEach((error, row) => {
            expect(error).toBeCloseTo(reference[row]!, 4);
          });
          // And the sample is a farthest-point sample.
          expect([...basisRows]).toEqual(
            naiveFarthestPoints(tokens, dim, basisRows.length, basisRows[0]!),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('shrinks the fit as the ridge grows', () => {
    const tokens = randomMatrix(40, 8, 1);
    const small = approximationErrors(tokens, 8, { ridge: 1e-5 }).errors;
    const large = approximationErrors(tokens, 8, { ridge: 1e6 }).errors;
    large.forEach((error, row) => {
      expect(error).toBeGreaterThanOrEqual(small[row]! - 1e-5);
      expect(error).toBeCloseTo(Math.hypot(...tokens.subarray(row * 8, row * 8 + 8)), 3);
    });
  });

  it.each([0, 1e-5])('survives equal and blank rows (ridge %d)', (ridge) => {
    const tokens = new Float32Array(12 * 4);
    for (let row = 6; row < 12; row++) tokens.set([1, 2, 3, 4], row * 4);
    const { errors, basisRows } = approximationErrors(tokens, 4, { basisTokenCount: 5, ridge });
    expect(new Set(basisRows).size).toBe(5);
    for (const error of errors) expect(error).toBeLessThan(1e-4);
    expect(approximationErrors(new Float32Array(8), 2, { ridge }).errors).toEqual(
      new Float32Array(4),
    );
  });

  it('repeats for a seed, and the seed moves the start', () => {
    const tokens = randomMatrix(300, 8, 9);
    const start = (seed: number) => approximationErrors(tokens, 8, { seed }).basisRows[0];
    expect(start(1)).toBe(start(1));
    expect(new Set(Array.from({ length: 20 }, (_, seed) => start(seed))).size).toBeGreaterThan(10);
  });

  it('fits each page by its own basis in scope page, whatever the other pages hold', () => {
    const first = randomMatrix(50, 8, 1);
    const second = randomMatrix(30, 8, 2);
    const both = Float32Array.of(...first, ...second);
    const pageOfRow = Int32Array.from({ length: 80 }, (_, row) => (row < 50 ? 3 : 4));
    const joint = approximationErrors(both, 8, { scope: 'page', pageOfRow, seed: 5 });
    const alone = approximationErrors(second, 8, {
      scope: 'page',
      pageOfRow: pageOfRow.subarray(50),
      seed: 5,
    });
    expect(joint.errors.subarray(50)).toEqual(alone.errors);
    expect([...joint.basisRows.subarray(10)]).toEqual([...alone.basisRows].map((row) => row + 50));
  });

  it('handles no rows, one row and fewer rows than basis tokens', () => {
    expect(approximationErrors(new Float32Array(0), 4).errors).toHaveLength(0);
    expect(approximationErrors(Float32Array.of(1, 2), 2).basisRows).toEqual(Int32Array.of(0));
    expect(
      approximationErrors(randomMatrix(4, 2, 1), 2, { basisTokenCount: 10 }).basisRows,
    ).toHaveLength(3);
  });

  it('names the row that is not finite', () => {
    const tokens = randomMatrix(5, 3, 1);
    tokens[3 * 3 + 1] = Number.NaN;
    const error = thrown(() => approximationErrors(tokens, 3, { basisTokenCount: 1, seed: 1 }));
    expect(error?.code).toBe('GP_TENSOR_VALUE');
  });

  it.each([{ basisTokenCount: 0 }, { basisTokenCount: 1.5 }, { ridge: -1 }, { ridge: Number.NaN }])(
    'refuses %j',
    (options) => {
      expect(codeOf(() => approximationErrors(randomMatrix(4, 2, 1), 2, options))).toBe(
        'GP_PRUNE_PLAN',
      );
    },
  );

  it('refuses a matrix that is not rows of dim', () => {
    expect(codeOf(() => approximationErrors(new Float32Array(7), 2))).toBe('GP_TENSOR_SHAPE');
    expect(codeOf(() => approximationErrors(new Float32Array(7), 0))).toBe('GP_TENSOR_SHAPE');
  });
});

describe('selectByApproximationError', () => {
  const tokens = randomMatrix(60, 16, 11);
  const { errors, basisRows } = approximationErrors(tokens, 16, { basisTokenCount: 4 });

  it('always keeps the basis rows in their own places, then the largest errors', () => {
    const kept = selectByApproximationError(tokens, 16, { keepRatio: 0.25, basisTokenCount: 4 });
    const others = [...errors.keys()]
      .filter((row) => !basisRows.includes(row))
      .sort((a, b) => errors[b]! - errors[a]!)
      .slice(0, 15 - 4);
    expect([...kept]).toEqual([...basisRows, ...others].sort((a, b) => a - b));
  });

  it('ranks the basis rows with the rest when told to, and so drops them', () => {
    const kept = selectByApproximationError(tokens, 16, {
      keepRatio: 0.25,
      basisTokenCount: 4,
      basis: 'rank',
    });
    const best = [...errors.keys()].sort((a, b) => errors[b]! - errors[a]!).slice(0, 15);
    expect([...kept]).toEqual(best.sort((a, b) => a - b));
    for (const row of basisRows) expect(kept).not.toContain(row);
  });

  it('finds the rare tokens among blank ones', () => {
    const page = new Float32Array(100 * 8).fill(0.01);
    for (const row of [17, 58, 93]) page.set(randomMatrix(1, 8, row), row * 8);
    const kept = selectByApproximationError(page, 8, { keepCount: 4, basisTokenCount: 2 });
    expect([...kept]).toEqual(expect.arrayContaining([17, 58, 93]));
  });
});

describe('mergeDropped', () => {
  it('is worked by hand', () => {
    // Kept: (2,0) and (0,4). Dropped: (1,0.1) joins the first, (0,1) and (0.5,3) the second.
    const tokens = Float32Array.of(2, 0, 1, 0.1, 0, 4, 0, 1, 0.5, 3);
    const merged = mergeDropped(tokens, 2, Int32Array.of(0, 2));
    [1.5, 0.05, 0.5 / 3, 8 / 3].forEach((value, i) => {
      expect(merged[i]).toBeCloseTo(value, 6);
    });
    expect(tokens[0]).toBe(2);
  });

  it('agrees with the dense cosine matrix', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(), (n, seed) => {
        const dim = 5;
        const tokens = randomMatrix(n, dim, seed);
        const kept = Int32Array.from({ length: n }, (_, i) => i).filter(
          (row) => (row * 7 + seed) % 3 === 0,
        );
        const merged = mergeDropped(tokens, dim, kept);
        naiveMerge(tokens, dim, kept).forEach((value, i) => {
          expect(merged[i]).toBeCloseTo(value, 5);
        });
      }),
    );
  });

  it('spares rows, keeps to the page, and leaves a page without targets alone', () => {
    const tokens = Float32Array.of(1, 1, 1, 9, 9, 9);
    const pageOfRow = Int32Array.of(0, 0, 0, 1, 1, 1);
    const kept = Int32Array.of(0, 1, 3);
    const spare = Int32Array.of(0);
    expect([...mergeDropped(tokens, 1, kept, { scope: 'page', pageOfRow, spare })]).toEqual([
      1, 1, 9,
    ]);
    tokens[2] = 5;
    expect([...mergeDropped(tokens, 1, kept, { scope: 'page', pageOfRow, spare })]).toEqual([
      1, 3, 9,
    ]);
    const alone = Int32Array.of(0);
    expect([...mergeDropped(tokens, 1, alone, { spare })]).toEqual([1]);
  });

  it('conserves nothing but the mean: all rows into one kept row give the mean of all', () => {
    const tokens = Float32Array.of(1, 2, 3, 6);
    expect([...mergeDropped(tokens, 1, Int32Array.of(1))]).toEqual([3]);
  });
});

describe('pruneByApproximationError', () => {
  it('gives the kept values unchanged without merging', () => {
    const tokens = randomMatrix(30, 4, 2);
    const { keptRows, tokens: values } = pruneByApproximationError(tokens, 4, {
      keepRatio: 0.5,
      basisTokenCount: 2,
    });
    keptRows.forEach((row, i) => {
      expect(values.subarray(i * 4, i * 4 + 4)).toEqual(tokens.subarray(row * 4, row * 4 + 4));
    });
  });

  it('leaves the values of always-kept basis rows unmerged', () => {
    const tokens = randomMatrix(30, 4, 2);
    const options = { keepRatio: 0.5, basisTokenCount: 2, merge: 'average' } as const;
    const { keptRows, tokens: values } = pruneByApproximationError(tokens, 4, options);
    const { basisRows } = approximationErrors(tokens, 4, options);
    let merged = 0;
    keptRows.forEach((row, i) => {
      const same = values.subarray(i * 4, i * 4 + 4).every((v, d) => v === tokens[row * 4 + d]);
      if (basisRows.includes(row)) expect(same).toBe(true);
      else if (!same) merged++;
    });
    expect(merged).toBeGreaterThan(0);
  });
});

describe('the basis', () => {
  const [n, dim] = [60, 12];
  const tokens = randomMatrix(n, dim, 5);
  const keep = { keepCount: 20, basisTokenCount: 4 } as const;

  it('begins where it is told, and nowhere else', () => {
    for (const start of [0, 17, n - 1]) {
      const { basisRows } = approximationErrors(tokens, dim, { start });
      expect(basisRows[0]).toBe(start);
      expect([...basisRows]).toEqual(naiveFarthestPoints(tokens, dim, 10, start));
    }
    for (const start of [-1, n]) {
      expect(codeOf(() => approximationErrors(tokens, dim, { start }))).toBe('GP_PRUNE_PLAN');
    }
  });

  it.each(['farthest-point', 'density-peak', 'random'] as const)(
    '%s: different rows, repeated for a seed, within every page',
    (basisChoice) => {
      const pageOfRow = Int32Array.from({ length: n }, (_, row) => (row < 25 ? 0 : 1));
      const options = {
        basisChoice,
        basisTokenCount: 5,
        scope: 'page',
        pageOfRow,
        seed: 3,
      } as const;
      const { basisRows, errors } = approximationErrors(tokens, dim, options);
      expect(approximationErrors(tokens, dim, options)).toEqual({ basisRows, errors });
      expect(new Set(basisRows).size).toBe(10);
      expect(basisRows.filter((row) => row < 25)).toHaveLength(5);
      const kept = selectByApproximationError(tokens, dim, { ...options, keepCount: 20 });
      for (const row of basisRows) expect(kept).toContain(row);
    },
  );

  it('is what it is told to be', () => {
    const basisRows = Int32Array.of(7, 3, 50);
    const given = approximationErrors(tokens, dim, { basisRows, ridge: 0.1 });
    expect(given.basisRows).toEqual(basisRows);
    denseErrors(tokens, dim, basisRows, 0.1).forEach((error, row) => {
      expect(given.errors[row]).toBeCloseTo(error, 4);
    });
    const pageOfRow = Int32Array.from({ length: n }, (_, row) => Math.floor(row / 20));
    const options = { basisRows, scope: 'page', pageOfRow } as const;
    expect(codeOf(() => approximationErrors(tokens, dim, options))).toBe('GP_PRUNE_PLAN');
    expect(codeOf(() => approximationErrors(tokens, dim, { basisRows: Int32Array.of(n) }))).toBe(
      'GP_PRUNE_PLAN',
    );
  });

  it('refuses unknown choices and density peaks over a book', () => {
    const basisChoice = 'nearest' as never;
    expect(codeOf(() => approximationErrors(tokens, dim, { basisChoice }))).toBe('GP_PRUNE_PLAN');
    const book = new Float32Array(5000);
    expect(codeOf(() => approximationErrors(book, 1, { basisChoice: 'density-peak' }))).toBe(
      'GP_PRUNE_PLAN',
    );
  });

  it('takes the places of lowest error, as it is or by half, in either order', () => {
    const { errors, basisRows } = approximationErrors(tokens, dim, keep);
    const ranked = [...errors.keys()].sort((a, b) => errors[b]! - errors[a]!).slice(0, 20);
    const row = (i: number) => tokens.subarray(i * dim, (i + 1) * dim);
    for (const basis of ['overwrite', 'blend'] as const) {
      for (const slotOrder of ['raster', 'error-rank'] as const) {
        const result = pruneByApproximationError(tokens, dim, { ...keep, basis, slotOrder });
        expect([...result.keptRows]).toEqual([...ranked].sort((a, b) => a - b));
        const slots = ranked.slice(-4);
        if (slotOrder === 'raster') slots.sort((a, b) => a - b);
        result.keptRows.forEach((kept, place) => {
          const slot = slots.indexOf(kept);
          const [own, given] = [row(kept), slot < 0 ? row(kept) : row(basisRows[slot]!)];
          result.tokens.subarray(place * dim, (place + 1) * dim).forEach((value, d) => {
            const half = 0.5 * given[d]! + 0.5 * own[d]!;
            expect(value).toBeCloseTo(basis === 'blend' ? half : given[d]!, 6);
          });
        });
      }
    }
  });

  it('gives way where fewer tokens are kept than it has', () => {
    const result = pruneByApproximationError(tokens, dim, {
      keepCount: 2,
      basisTokenCount: 4,
      basis: 'overwrite',
      merge: 'average',
    });
    expect(result.keptRows).toHaveLength(2);
    const { basisRows } = approximationErrors(tokens, dim, { basisTokenCount: 4 });
    result.keptRows.forEach((_, place) => {
      const value = result.tokens.subarray(place * dim, (place + 1) * dim);
      const at = basisRows[place]! * dim;
      expect(value).toEqual(tokens.subarray(at, at + dim));
    });
  });

  it('keeps its errors where the basis nearly spans itself', () => {
    // Two basis rows that differ by 1e-4 make coefficients of thousands, which cancel.
    const near = randomMatrix(30, 6, 8);
    near.set(
      near.subarray(0, 6).map((value, d) => value + (d === 2 ? 1e-4 : 0)),
      6,
    );
    const basisRows = Int32Array.of(0, 1, 5);
    const { errors } = approximationErrors(near, 6, { basisRows, ridge: 0 });
    denseErrors(near, 6, basisRows, 0).forEach((error, row) => {
      expect(errors[row]).toBeCloseTo(error, 4);
    });
  });
});

describe('merging far and wide', () => {
  it('is the same within its reach, and sees only near rows beyond', () => {
    const [n, dim] = [400, 6];
    const tokens = randomMatrix(n, dim, 3);
    const kept = Int32Array.from({ length: n / 2 }, (_, i) => 2 * i);
    expect(mergeDropped(tokens, dim, kept, { reach: 200 })).toEqual(
      mergeDropped(tokens, dim, kept),
    );
    // Row 1 is like row 398 only, which lies beyond a reach of 10.
    const far = new Float32Array(n * dim).fill(1);
    for (const row of [1, 398]) far.set([9, -9, 9, -9, 9, -9], row * dim);
    const last = (merged: Float32Array) => merged[(n / 2 - 1) * dim]!;
    far[1 * dim] = 15;
    expect(last(mergeDropped(far, dim, kept))).toBe(12);
    expect(last(mergeDropped(far, dim, kept, { reach: 10 }))).not.toBe(12);
  });
});

function randomMatrix(n: number, dim: number, seed: number): Float32Array {
  const words = seededRandom(seed);
  return Float32Array.from({ length: n * dim }, () => words() / 2 ** 31 - 1);
}

function naiveFarthestPoints(x: Float32Array, dim: number, m: number, first: number): number[] {
  const distance = (a: number, b: number) => {
    let sum = 0;
    for (let d = 0; d < dim; d++) sum += (x[a * dim + d]! - x[b * dim + d]!) ** 2;
    return sum;
  };
  const chosen = [first];
  while (chosen.length < m) {
    let best = -1;
    let far = -1;
    for (let row = 0; row < x.length / dim; row++) {
      if (chosen.includes(row)) continue;
      const near = Math.min(...chosen.map((c) => distance(row, c)));
      if (near > far) [best, far] = [row, near];
    }
    chosen.push(best);
  }
  return chosen;
}

/** ‖x − Sᵀ (S Sᵀ + ridge·I)⁻¹ S x‖ by Gauss elimination with pivoting. */
function denseErrors(x: Float32Array, dim: number, basisRows: Int32Array, ridge: number): number[] {
  const row = (i: number) => [...x.subarray(i * dim, (i + 1) * dim)];
  const dot = (a: number[], b: number[]) => a.reduce((sum, v, d) => sum + v * b[d]!, 0);
  const basis = [...basisRows].map(row);
  return Array.from({ length: x.length / dim }, (_, i) => {
    const a = basis.map((s, p) => [
      ...basis.map((t, q) => dot(s, t) + (p === q ? ridge : 0)),
      dot(s, row(i)),
    ]);
    const m = basis.length;
    for (let col = 0; col < m; col++) {
      let pivot = col;
      for (let r = col; r < m; r++)
        if (Math.abs(a[r]![col]!) > Math.abs(a[pivot]![col]!)) pivot = r;
      [a[col], a[pivot]] = [a[pivot]!, a[col]!];
      for (let r = 0; r < m; r++) {
        if (r === col) continue;
        const factor = a[r]![col]! / a[col]![col]!;
        for (let c = col; c <= m; c++) a[r]![c]! -= factor * a[col]![c]!;
      }
    }
    const c = a.map((line, r) => line[m]! / line[r]!);
    return Math.hypot(
      ...row(i).map((v, d) => v - basis.reduce((sum, s, j) => sum + c[j]! * s[d]!, 0)),
    );
  });
}

function naiveMerge(x: Float32Array, dim: number, kept: Int32Array): number[] {
  const row = (i: number) => [...x.subarray(i * dim, (i + 1) * dim)];
  const dot = (a: number[], b: number[]) => a.reduce((sum, v, d) => sum + v * b[d]!, 0);
  const cosine = (a: number[], b: number[]) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const groups = [...kept].map((k) => [row(k)]);
  for (let i = 0; i < x.length / dim; i++) {
    if (kept.includes(i) || kept.length === 0) continue;
    const similarity = [...kept].map((k) => cosine(row(i), row(k)));
    groups[similarity.indexOf(Math.max(...similarity))]!.push(row(i));
  }
  return groups.flatMap((group) =>
    Array.from({ length: dim }, (_, d) => group.reduce((sum, r) => sum + r[d]!, 0) / group.length),
  );
}
