import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promptPositions, rotaryTables } from '../../src/vlm/positions.js';
import { bicubicWeights } from '../../src/vlm/vision-positions.js';

describe('promptPositions', () => {
  it('counts text on, spreads an image, and goes on after its longer side', () => {
    const positions = promptPositions([
      { kind: 'text', length: 2 },
      { kind: 'image', rows: 2, cols: 3 },
      { kind: 'text', length: 1 },
    ]);
    expect([...positions.temporal]).toEqual([0, 1, 2, 2, 2, 2, 2, 2, 5]);
    expect([...positions.row]).toEqual([0, 1, 2, 2, 2, 3, 3, 3, 5]);
    expect([...positions.column]).toEqual([0, 1, 2, 3, 4, 2, 3, 4, 5]);
    expect(positions.next).toBe(6);
  });

  it('gives kept cells the positions they have in the whole prompt', () => {
    const images = fc.array(
      fc.record({
        rows: fc.integer({ min: 1, max: 6 }),
        cols: fc.integer({ min: 1, max: 6 }),
        seed: fc.nat(),
      }),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(images, (sizes) => {
        const kept = sizes.map(({ rows, cols, seed }) =>
          Int32Array.from({ length: rows * cols }, (_, n) => n).filter(
            (n) => (seed >> (n % 20)) & 1,
          ),
        );
        const build = (keep: boolean) =>
          promptPositions(
            sizes.flatMap(({ rows, cols }, n) => [
              { kind: 'text' as const, length: 3 },
              { kind: 'image' as const, rows, cols, ...(keep ? { kept: kept[n]! } : {}) },
            ]),
          );
        const whole = build(false);
        const some = build(true);
        expect(some.next).toBe(whole.next);
        const rows: number[] = [];
        let at = 0;
        for (const [n, { rows: height, cols }] of sizes.entries()) {
          rows.push(at, at + 1, at + 2, ...Array.from(kept[n]!, (cell) => at + 3 + cell));
          at += 3 + height * cols;
        }
        for (const axis of ['temporal', 'row', 'column'] as const) {
          expect([...some[axis]]).toEqual(rows.map((row) => whole[axis][row]));
        }
      }),
    );
  });
});

describe('rotaryTables', () => {
  it('takes each frequency from the axis of its section', () => {
    const positions = {
      temporal: Int32Array.of(1),
      row: Int32Array.of(2),
      column: Int32Array.of(3),
    };
    const rope = { theta: 10_000, dim: 8, sections: [1, 1, 2], interleaved: true };
    const { cos, sin } = rotaryTables(positions, rope);
    const angles = [1, 2 * 0.1, 3 * 0.01, 3 * 0.001];
    for (const [n, angle] of angles.entries()) {
      expect(cos[n]).toBeCloseTo(Math.cos(angle), 6);
      expect(sin[n]).toBeCloseTo(Math.sin(angle), 6);
    }
  });
});

describe('bicubicWeights', () => {
  it('takes the table as it is when the sizes agree', () => {
    const weights = bicubicWeights(6, 6);
    for (let n = 0; n < 36; n += 1) expect(weights[n]).toBeCloseTo(n % 7 === 0 ? 1 : 0, 5);
  });

  it('sums to one in every row', () => {
    for (const length of [1, 5, 24, 60]) {
      const weights = bicubicWeights(length, 24);
      for (let n = 0; n < length; n += 1) {
        const sum = weights
          .subarray(n * 24, (n + 1) * 24)
          .reduce((total, weight) => total + weight, 0);
        expect(sum).toBeCloseTo(1, 5);
      }
    }
  });
});
