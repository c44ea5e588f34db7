import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/prune/index.js';
import { RowKernel } from '../../src/prune/row-kernel.js';
import { kernelModule } from '../support/compile-kernels.mjs';
import { ROOT } from '../support/repository.js';

const PROPERTY = { numRuns: 60, seed: 3 };
const shape = fc.record({
  n: fc.integer({ min: 1, max: 200 }),
  dim: fc.integer({ min: 1, max: 40 }),
  seed: fc.nat(),
});

function matrix(n: number, dim: number, seed: number): Float32Array {
  const words = seededRandom(seed);
  return Float32Array.from({ length: n * dim }, () => words() / 2 ** 31 - 1);
}

function dot(x: Float32Array, a: number, b: number, dim: number): number {
  let sum = 0;
  for (let d = 0; d < dim; d++) sum += x[a * dim + d]! * x[b * dim + d]!;
  return sum;
}

describe('RowKernel', () => {
  it('runs what its text says: npm run compile-kernels', async () => {
    const written = readFileSync(path.join(ROOT, 'src/prune/row-kernel-code.ts'), 'utf8');
    expect(written).toBe(await kernelModule());
  });

  it('sums products and squares in float64, for any shape', () => {
    fc.assert(
      fc.property(shape, ({ n, dim, seed }) => {
        const x = matrix(n, dim, seed);
        const sums = RowKernel.for(dim).over(x);
        const row = seed % n;
        const products = sums.dots(x.subarray(row * dim, (row + 1) * dim));
        const squares = sums.squares();
        for (let i = 0; i < n; i++) {
          expect(products[i]).toBeCloseTo(dot(x, i, row, dim), 12);
          expect(squares[i]).toBeCloseTo(dot(x, i, i, dim), 12);
        }
      }),
      PROPERTY,
    );
  });

  it('works block by block on a matrix that is too large to stay', () => {
    const [n, dim] = [1_100, 4_100];
    const x = matrix(n, dim, 1);
    const sums = RowKernel.for(dim).over(x);
    const products = sums.dots(x.subarray(dim, 2 * dim));
    const squares = sums.squares();
    for (const row of [0, 1, 63, 64, 1_023, 1_024, n - 1]) {
      expect(products[row]).toBeCloseTo(dot(x, row, 1, dim), 9);
      expect(squares[row]).toBeCloseTo(dot(x, row, row, dim), 9);
    }
  });

  it('finds the row of highest cosine, as comparing all with all does', () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 9 }), ({ n, dim, seed }, modulus) => {
        fc.pre(dim > 2);
        const x = matrix(n, dim, seed);
        const rows = Int32Array.from({ length: n }, (_, row) => row);
        const targets = rows.filter((row) => row % modulus === 0);
        const queries = rows.filter((row) => row % modulus !== 0);
        const nearest = RowKernel.for(dim).nearest(x, queries, targets, 1000);
        const cosine = (a: number, b: number) => dot(x, a, b, dim) / Math.sqrt(dot(x, b, b, dim));
        queries.forEach((query, i) => {
          const all = [...targets].map((target) => cosine(query, target));
          expect(all[nearest[i]!]).toBeCloseTo(Math.max(...all), 5);
        });
      }),
      PROPERTY,
    );
  });

  it('looks at least as far as its reach, and no farther than a batch more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 900 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 2, max: 5 }),
        (n, reach, modulus) => {
          // The similarity of two rows falls with their distance in row order, on half a circle.
          const angle = (row: number) => (Math.PI / 2) * (row / n);
          const x = Float32Array.from({ length: 2 * n }, (_, i) =>
            i % 2 ? Math.sin(angle(i >> 1)) : Math.cos(angle(i >> 1)),
          );
          const rows = Int32Array.from({ length: n }, (_, row) => row);
          const targets = rows.filter((row) => row % modulus === 0);
          const queries = rows.filter((row) => row % modulus !== 0);
          const nearest = RowKernel.for(2).nearest(x, queries, targets, reach);
          queries.forEach((query, i) => {
            const off = Math.abs(targets[nearest[i]!]! - query);
            expect(off).toBeLessThanOrEqual(Math.max(modulus, 1));
          });
          // Turned round, the most similar row lies at the far end: it is found within the reach only.
          const turned = x.map((value, i) => ((i >> 1) % modulus === 0 && i % 2 ? -value : value));
          const far = RowKernel.for(2).nearest(turned, queries, targets, reach);
          // Targets between the first and the last row of a batch of 64.
          const inBatch = Math.ceil(64 / (modulus - 1));
          queries.forEach((query, i) => {
            const before = targets.filter((target) => target < query).length;
            expect(Math.abs(far[i]! - before)).toBeLessThanOrEqual(reach + inBatch + 1);
          });
        },
      ),
      PROPERTY,
    );
  });
});
