import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeepStackRows } from '../../src/vlm/deepstack.js';
import { patchOrder, patchWindows } from '../../src/vlm/towers/patch-grid.js';

describe('patchWindows', () => {
  it('cuts cells into squares, smaller ones at the rim', () => {
    // 3 × 5 cells of one patch, windows of 2 × 2: 4 4 2 / 2 2 1 patches.
    const { lengths, places, patches } = patchWindows(3, 5, 1, 2);
    expect([...lengths]).toEqual([4, 4, 2, 2, 2, 1]);
    expect([...places.slice(0, 4)].map(Number)).toEqual([0, 1, 5, 6]);
    // The third window holds column 4 of rows 0 and 1; its other places repeat a patch.
    expect([...places.slice(8, 12)].map(Number)).toEqual([4, 9, 4, 4]);
    expect(Number(patches[9])).toBe(9);
  });

  it('puts every patch into the window that its cell lies in, once', () => {
    const cells = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(cells, cells, fc.integer({ min: 1, max: 4 }), (rows, cols, side) => {
        const [gridH, gridW, mergeSize] = [2 * rows, 2 * cols, 2];
        const length = side ** 2 * 4;
        const { places, patches, lengths } = patchWindows(gridH, gridW, mergeSize, side);
        const windowsAcross = Math.ceil(cols / side);
        for (const [n, [row, column]] of [...patchOrder(gridH, gridW, mergeSize)].entries()) {
          const place = Number(patches[n]);
          const window = Math.floor(place / length);
          expect(Number(places[place])).toBe(n);
          expect(place % length).toBeLessThan(lengths[window]!);
          expect(window).toBe(
            Math.floor(row / (2 * side)) * windowsAcross + Math.floor(column / (2 * side)),
          );
        }
        expect(lengths.reduce((sum, count) => sum + count, 0)).toBe(gridH * gridW);
      }),
    );
  });
});

describe('DeepStackRows', () => {
  // Two images of 2 and 1 tokens, one level, rows of one float: [token, added].
  const features = [Float32Array.of(1, 10, 2, 20), Float32Array.of(3, 30)];
  const image = Int32Array.of(-1, 0, 0, -1, 1, -1);
  const rows = new DeepStackRows(features, 1, 1, image);

  it('adds to visual rows what their tokens carry, and nothing to text', () => {
    expect([...rows.read(0, 0, 6)]).toEqual([0, 10, 20, 0, 30, 0]);
    expect([...rows.read(0, 2, 5)]).toEqual([20, 0, 30]);
  });

  it('goes on with the rows that stay', () => {
    const left = rows.select(Int32Array.of(0, 2, 3, 4));
    expect([...left.read(0, 0, 4)]).toEqual([0, 20, 0, 30]);
    expect([...left.select(Int32Array.of(1, 3)).read(0, 0, 2)]).toEqual([20, 30]);
  });
});
