import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToFloat16,
  roundHalfToEven,
} from '../../src/vlm/float16.js';

const allBits = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);

describe('half precision', () => {
  it('widens and narrows every half back to its own bits', () => {
    const back = float32ToFloat16(float16ToFloat32(allBits));
    const isNaN16 = (bits: number) => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    for (const bits of allBits) {
      if (isNaN16(bits)) expect(isNaN16(back[bits]!)).toBe(true);
      else expect(back[bits]).toBe(bits);
    }
  });

  it.each([
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65_504],
    [0x0001, 2 ** -24],
    [0x0400, 2 ** -14],
    [0x7c00, Number.POSITIVE_INFINITY],
  ])('reads 0x%s as %d', (bits, value) => {
    expect(float16ToFloat32(Uint16Array.of(bits))[0]).toBe(value);
  });

  it('rounds to the nearest half, ties to even', () => {
    const finite = allBits.filter((bits) => bits < 0x7c00);
    const values = float16ToFloat32(finite);
    fc.assert(
      fc.property(fc.float({ min: 0, max: 65_504, noNaN: true }), (value) => {
        const bits = float32ToFloat16(Float32Array.of(value))[0]!;
        const chosen = Math.abs(values[bits]! - value);
        for (const neighbour of [bits - 1, bits + 1]) {
          if (neighbour < 0 || neighbour >= values.length) continue;
          const other = Math.abs(values[neighbour]! - value);
          expect(chosen < other || (chosen === other && bits % 2 === 0)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [65_519.996, 0x7bff],
    [65_520, 0x7c00],
    [2 ** -25, 0],
    [3 * 2 ** -25, 2],
    [-0, 0x8000],
  ])('rounds %d to the bits %i', (value, bits) => {
    expect(float32ToFloat16(Float32Array.of(value))[0]).toBe(bits);
  });

  it('reads bfloat16 as the upper half of a float32', () => {
    expect([...bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc049, 0x7f80))]).toEqual([
      1,
      -3.140625,
      Number.POSITIVE_INFINITY,
    ]);
  });
});

describe('roundHalfToEven', () => {
  it.each([
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [2.4999, 2],
    [3.5, 4],
    [7, 7],
  ])('rounds %d to %d', (value, expected) => {
    expect(roundHalfToEven(value)).toBe(expected);
  });
});
