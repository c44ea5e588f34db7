import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float16ToFloat32, float32ToFloat16, halfValue } from '../../src/vlm/float16.js';
import {
  dequantiseRows,
  isHeldSymmetrically,
  type QuantisedBits,
  quantiseAsymmetric,
  quantiseSymmetric,
  ZERO_PARTS,
} from '../../src/vlm/weights/quantise.js';

interface Form {
  bits: QuantisedBits;
  blockSize: number;
  asymmetric: boolean;
}

/** @param columns a multiple of the block size for asymmetric blocks */
function roundTrip(values: Float32Array, columns: number, form: Form): Float32Array {
  const shape = { rows: values.length / columns, columns };
  if (!form.asymmetric) {
    const { blocks, scales } = quantiseSymmetric(values, shape, form);
    return dequantiseRows({ blocks, scales: float16ToFloat32(scales) }, { ...shape, ...form });
  }
  const { blocks, scales, steps, zeros } = quantiseAsymmetric(values, shape, form.blockSize);
  const perRow = columns / form.blockSize;
  const floats = Float32Array.from(scales, (code, n) => code * steps[Math.floor(n / perRow)]!);
  const lows = floats.map((scale, n) => (-zeros[n]! / ZERO_PARTS) * scale);
  return dequantiseRows({ blocks, scales: floats, lows }, { ...shape, ...form });
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
  asymmetric: fc.constant(false),
});

describe('quantised rows', () => {
  it('packs four bits as MatMulNBits reads them: the first of two codes in the low nibble', () => {
    // Widest value −8 takes code 0, so the scale is 1 and the code of v is v + 8.
    const values = Float32Array.from({ length: 16 }, (_, n) => n - 8);
    const layout = { bits: 4 as const, blockSize: 16 };
    const { blocks, scales } = quantiseSymmetric(values, { rows: 1, columns: 16 }, layout);
    expect([...scales].map(halfValue)).toEqual([1]);
    expect([...blocks]).toEqual([0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]);
  });

  it('centres eight bits on code 128', () => {
    const values = Float32Array.from({ length: 16 }, (_, n) => (n === 0 ? -127 : n));
    const layout = { bits: 8 as const, blockSize: 16 };
    const { blocks, scales } = quantiseSymmetric(values, { rows: 1, columns: 16 }, layout);
    expect([...scales].map(halfValue)).toEqual([1]);
    expect([...blocks]).toEqual([1, ...Array.from({ length: 15 }, (_, n) => 129 + n)]);
  });

  it('holds sixteen even steps around zero exactly, wherever zero is among them', () => {
    for (const lowest of [-15, -11, -8, -2.5, 0]) {
      const values = Float32Array.from({ length: 16 }, (_, n) => (lowest + n) * 0.25);
      const back = roundTrip(values, 16, { bits: 4, blockSize: 16, asymmetric: true });
      for (const [n, value] of values.entries()) expect(back[n]).toBeCloseTo(value, 5);
    }
  });

  it('gives uneven blocks, each with its own scale, what its row allows', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: 64, maxLength: 64 }),
        fc.constantFrom(1, 1e-3, 1e6),
        (numbers, size) => {
          const values = Float32Array.from(numbers, (value) => value * size);
          const back = roundTrip(values, 64, { bits: 4, blockSize: 32, asymmetric: true });
          const spans = [values.subarray(0, 32), values.subarray(32)].map(
            (block) => Math.max(0, ...block) - Math.min(0, ...block),
          );
          const rowStep = Math.max(...spans) / 15 / 255;
          for (const [i, value] of values.entries()) {
            const span = spans[i >> 5]!;
            // Half a step of a scale that is itself rounded, what clipping may cost, and a code of zero
            // that is known to a sixteenth.
            const step = span / 15 + rowStep;
            const allowed = step * (0.5 + 1 / 32) + 0.18 * span + 8 * rowStep;
            expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(allowed * (1 + 1e-5));
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('is off by no more than the grid: half a step, or what clipping the ends may cost', () => {
    fc.assert(
      fc.property(matrix, form, ({ columns, values }, options) => {
        const back = roundTrip(values, columns, options);
        const { bits, blockSize } = options;
        for (const [i, value] of values.entries()) {
          const row = Math.floor(i / columns);
          const from = row * columns + Math.floor((i % columns) / blockSize) * blockSize;
          const block = values.subarray(from, Math.min(from + blockSize, (row + 1) * columns));
          const reach = Math.max(...block.map(Math.abs));
          const span = 2 * reach;
          // The end of a range searched over shares down to 0.82, scales rounded to halves, and the half's
          // own smallest steps, 2^-24, once a code.
          const step = span / (2 ** bits - 1);
          const clipped = bits === 8 ? 0 : 0.18 * span;
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
            quantiseSymmetric(
              // Alone in its block, the widest value gets the plain range.
              Float32Array.from(values, (v) => (v === widest ? v : 0)),
              { rows: 1, columns: 32 },
              { bits: 4, blockSize: 32 },
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
        // Below the normal halves a scale is known to 2^-24, and a block has 128 times that.
        const tiny = 128 * 2 ** -24;
        for (const [i, value] of once.entries()) {
          expect(Math.abs(twice[i]! - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -9 + tiny);
        }
      }),
    );
  });

  it('keeps weights that were trained in four symmetric bits, whatever their scales', () => {
    const grid = fc.record({
      // Halves from 2^-14, the smallest that is normal, to 1.
      scales: fc.array(fc.integer({ min: 0x0400, max: 0x3c00 }), { minLength: 4, maxLength: 4 }),
      codes: fc.array(fc.integer({ min: -7, max: 7 }), { minLength: 128, maxLength: 128 }),
      widest: fc.constantFrom(-7, 7),
    });
    fc.assert(
      fc.property(grid, ({ scales, codes, widest }) => {
        const exact = Float32Array.from(codes, (code, n) => {
          return (n % 32 === 0 ? widest : code) * halfValue(scales[n >> 5]!);
        });
        // As a checkpoint holds them.
        const values = float16ToFloat32(float32ToFloat16(exact));
        const { scales: kept } = quantiseSymmetric(
          values,
          { rows: 1, columns: 128 },
          { bits: 4, blockSize: 32 },
        );
        const back = roundTrip(values, 128, { bits: 4, blockSize: 32, asymmetric: false });
        expect([[...kept], [...back]]).toEqual([scales, [...exact]]);
        expect(isHeldSymmetrically(values, { rows: 1, columns: 128 }, 32)).toBe(true);
      }),
      { numRuns: 300 },
    );
    const spread = Float32Array.from({ length: 128 }, (_, n) => Math.sin(n));
    expect(isHeldSymmetrically(spread, { rows: 1, columns: 128 }, 32)).toBe(false);
  });

  it('keeps a row of zeros', () => {
    for (const bits of [4, 8] as const) {
      const back = roundTrip(new Float32Array(40), 40, { bits, blockSize: 32, asymmetric: false });
      expect([...back]).toEqual(Array(40).fill(0));
    }
    const uneven = { bits: 4 as const, blockSize: 32, asymmetric: true };
    expect([...roundTrip(new Float32Array(64), 64, uneven)].every((v) => v === 0)).toBe(true);
  });
});
