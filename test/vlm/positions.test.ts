import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../src/vlm/config-reader.js';
import { parseRope } from '../../src/vlm/decoders/rope.js';
import { promptPositions, rotaryTables } from '../../src/vlm/positions.js';
import { bicubicWeights, linearWeights } from '../../src/vlm/towers/patch-grid.js';

const PROMPT = [
  { kind: 'text' as const, length: 2 },
  { kind: 'image' as const, rows: 2, cols: 3 },
  { kind: 'text' as const, length: 1 },
];

describe('promptPositions', () => {
  it('counts text on, spreads an image, and goes on after its longer side', () => {
    const positions = promptPositions(PROMPT, 'grid');
    expect([...positions.temporal]).toEqual([0, 1, 2, 2, 2, 2, 2, 2, 5]);
    expect([...positions.row]).toEqual([0, 1, 2, 2, 2, 3, 3, 3, 5]);
    expect([...positions.column]).toEqual([0, 1, 2, 3, 4, 2, 3, 4, 5]);
    expect(positions.next).toBe(6);
  });

  it('counts an image on like text in a sequence', () => {
    const positions = promptPositions(PROMPT, 'sequence');
    for (const axis of ['temporal', 'row', 'column'] as const)
      expect([...positions[axis]]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(positions.next).toBe(9);
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
      fc.property(
        images,
        fc.constantFrom('grid' as const, 'sequence' as const),
        (sizes, layout) => {
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
              layout,
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
        },
      ),
    );
  });
});

function ropeOf(parameters: object, kind: 'one' | 'sections' | 'interleaved', headDim = 8) {
  const raw = { rope_parameters: { rope_theta: 10_000, ...parameters } };
  const layout = kind === 'one' ? { kind } : { kind, sections: [24, 20, 20] as const };
  const reader = new ConfigReader(raw, 'config.json');
  return parseRope(reader, headDim, layout, { theta: 10_000, interleavedPairs: false });
}

describe('parseRope', () => {
  it('gives rows and columns every third frequency when interleaved', () => {
    const { axes } = ropeOf({ mrope_section: [4, 2, 2] }, 'interleaved', 16);
    expect(axes).toEqual([0, 1, 2, 0, 1, 2, 0, 0]);
    // The published sections of Qwen3-VL: a head of 128, 64 frequencies.
    const published = ropeOf({}, 'interleaved', 128).axes;
    expect([0, 1, 2].map((axis) => published.filter((a) => a === axis).length)).toEqual([
      24, 20, 20,
    ]);
    expect(published.slice(60)).toEqual([0, 0, 0, 0]);
  });

  it('slows frequencies down as Llama 3 does', () => {
    const scaling = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    };
    const plain = ropeOf({}, 'one', 16).frequencies;
    const { frequencies } = ropeOf(scaling, 'one', 16);
    // Wavelengths 6.3, 19.9, 62.8, 199 …: kept up to 16, divided by 8 from 64 on.
    expect(frequencies[0]).toBe(plain[0]);
    const smooth = (64 / (2 * Math.PI * Math.sqrt(10)) - 1) / 3;
    expect(frequencies[1]).toBeCloseTo(plain[1]! * ((1 - smooth) / 8 + smooth), 6);
    for (let i = 3; i < 8; i += 1) expect(frequencies[i]).toBeCloseTo(plain[i]! / 8, 9);
  });

  it('refuses a scaling that it does not know', () => {
    expect(() => ropeOf({ rope_type: 'yarn', factor: 4 }, 'one')).toThrow(
      /rope_parameters\.rope_type|rope_type to be one of default, mrope, linear, llama3, got "yarn"/,
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
    const rope = ropeOf({ mrope_section: [1, 1, 2] }, 'sections');
    const { cos, sin } = rotaryTables(positions, rope);
    const angles = [1, 2 * 0.1, 3 * 0.01, 3 * 0.001];
    for (const [n, angle] of angles.entries()) {
      expect(cos[n]).toBeCloseTo(Math.cos(angle), 6);
      expect(sin[n]).toBeCloseTo(Math.sin(angle), 6);
    }
  });
});

describe('linearWeights', () => {
  it('puts the first and last place on the rim of the table, and sums to one', () => {
    for (const length of [1, 2, 5, 48, 60]) {
      const weights = linearWeights(length, 48);
      expect(weights[0]).toBe(1);
      if (length > 1) expect(weights.at(-1)).toBeCloseTo(1, 5);
      for (let n = 0; n < length; n += 1) {
        const row = weights.subarray(n * 48, (n + 1) * 48);
        expect(row.reduce((total, weight) => total + weight, 0)).toBeCloseTo(1, 5);
      }
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
