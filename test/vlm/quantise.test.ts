import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float16ToFloat32, halfValue } from '../../src/vlm/float16.js';
import {
  dequantiseRows,
  type QuantisedBits,
  type QuantiseOptions,
  quantiseRows,
} from '../../src/vlm/weights/quantise.js';

function roundTrip(values: Float32Array, columns: number, options: QuantiseOptions): Float32Array {
  const rows = values.length / columns;
  const { blocks, scales, minima } = quantiseRows(values, { rows, columns }, options);
  return dequantiseRows(
    {
      blocks,
      scales: float16ToFloat32(scales),
      minima: minima && float16ToFloat32(minima),
    },
    { rows, columns, ...options },
  );
}

const matrix = fc
  .record({ rows: fc.integer({ min: 1, max: 4 }), columns: fc.integer({ min: 1, max: 70 }) })
  .chain(({ rows, columns }) =>
    fc
      .array(fc.double({ min: -4, max: 4, noNaN: true }), {
        minLength: rows * columns,
        maxLength: rows * columns,
      })
      .map((numbers) => ({ columns, values: Float32Array.from(numbers) })),
  );
const form = fc.record({
  bits: fc.constantFrom<QuantisedBits>(4, 8),
  blockSize: fc.constantFrom(16, 32),
  asymmetric: fc.boolean(),
});

describe('quantiseRows', () => {
  it('packs four bits as MatMulNBits reads them: the first of two codes in the low nibble', () => {
    // Widest value −8 takes code 0, so the scale is 1 and the code of v is v + 8.
    const values = Float32Array.from({ length: 16 }, (_, n) => n - 8);
    const options = { bits: 4 as const, blockSize: 16, asymmetric: false };
    const { blocks, scales, minima } = quantiseRows(values, { rows: 1, columns: 16 }, options);
    expect([...scales].map(halfValue)).toEqual([1]);
    expect(minima).toBeUndefined();
    expect([...blocks]).toEqual([0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
  });

  it('centres eight bits on code 128', () => {
    const values = Float32Array.from({ length: 16 }, (_, n) => (n === 0 ? -127 : n));
    const options = { bits: 8 as const, blockSize: 16, asymmetric: false };
    const { blocks, scales } = quantiseRows(values, { rows: 1, columns: 16 }, options);
    expect([...scales].map(halfValue)).toEqual([1]);
    expect([...blocks]).toEqual([1, ...Array.from({ length: 15 }, (_, n) => 129 + n)]);
  });

  it('holds sixteen even steps from any start exactly when blocks have minima', () => {
    const values = Float32Array.from({ length: 16 }, (_, n) => 100 + n / 4);
    const options = { bits: 4 as const, blockSize: 16, asymmetric: true };
    expect([...roundTrip(values, 16, options)]).toEqual([...values]);
  });

  it('is off by no more than the grid: half a step, or what clipping the ends may cost', () => {
    fc.assert(
      fc.property(matrix, form, ({ columns, values }, options) => {
        const back = roundTrip(values, columns, options);
        const { bits, blockSize, asymmetric } = options;
        for (const [i, value] of values.entries()) {
          const row = Math.floor(i / columns);
          const from = row * columns + Math.floor((i % columns) / blockSize) * blockSize;
          const block = values.subarray(from, Math.min(from + blockSize, (row + 1) * columns));
          const reach = Math.max(...block.map(Math.abs));
          const span = asymmetric ? Math.max(...block) - Math.min(...block) : 2 * reach;
          // The end of a range searched over shares down to 0.82, scales and minima rounded to halves,
          // and the half's own smallest steps, 2^-24, once a code.
          const step = span / (2 ** bits - 1);
          const clipped = bits === 8 && !asymmetric ? 0 : 0.18 * span;
          const allowed = step * 1.1 + clipped + (reach + span) * 2 ** -10 + 2 ** (bits - 25);
          expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(allowed);
        }
        expect(back).toHaveLength(values.length);
      }),
      { numRuns: 200 },
    );
  });

  it('searches for the range: never worse than the plain one in squared error', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 32, maxLength: 32 }),
        (numbers) => {
          const values = Float32Array.from(numbers);
          const back = roundTrip(values, 32, { bits: 4, blockSize: 32, asymmetric: false });
          const widest = values.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
          const scale = halfValue(
            quantiseRows(
              // Alone in its block, the widest value gets the plain range.
              Float32Array.from(values, (v) => (v === widest ? v : 0)),
              { rows: 1, columns: 32 },
              { bits: 4, blockSize: 32, asymmetric: false },
            ).scales[0]!,
          );
          const plain = values.map((v) =>
            scale === 0 ? 0 : Math.max(-8, Math.min(7, Math.round(v / scale))) * scale,
          );
          const error = (other: Float32Array) =>
            values.reduce((sum, v, n) => sum + (v - other[n]!) ** 2, 0);
          expect(error(back)).toBeLessThanOrEqual(error(plain) + 1e-9);
        },
      ),
    );
  });

  it('quantises what it dequantised to itself', () => {
    fc.assert(
      fc.property(matrix, ({ columns, values }) => {
        const options = { bits: 8 as const, blockSize: 32, asymmetric: false };
        const once = roundTrip(values, columns, options);
        const twice = roundTrip(once, columns, options);
        for (const [i, value] of once.entries()) {
          expect(Math.abs(twice[i]! - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -9 + 1e-6);
        }
      }),
    );
  });

  it('keeps a row of zeros', () => {
    for (const bits of [4, 8] as const) {
      for (const asymmetric of [false, true]) {
        const back = roundTrip(new Float32Array(40), 40, { bits, blockSize: 32, asymmetric });
        expect([...back]).toEqual(Array(40).fill(0));
      }
    }
  });
});
