/**
 * Rotary position embedding of a decoder: frequencies, and which of a row's three positions each takes.
 *
 * Source: transformers 5.24.0, modeling_rope_utils.py and the `recomposition_frequencies` of
 * modeling_glm4v.py, modeling_qwen2_vl.py and modeling_qwen3_vl.py.
 */
import type { ConfigReader } from '../config-reader.js';

/** 0 temporal, 1 row, 2 column: the order of a row's positions. */
export type PositionAxis = 0 | 1 | 2;

/**
 * How positions of images reach the frequencies: `one` counts rows in order and has no image axes;
 * M-RoPE gives each axis a run of frequencies (`sections`) or every third one (`interleaved`).
 */
export type RopeLayout =
  | { kind: 'one' }
  | { kind: 'sections' | 'interleaved'; sections: readonly [number, number, number] };

export interface RopeConfig {
  /** Dimensions of each head that are rotated. */
  dim: number;
  /** float32 [dim / 2], radians per position */
  frequencies: Float32Array;
  /** [dim / 2], the position that each frequency is multiplied with */
  axes: readonly PositionAxis[];
  /** Pairs are (even, odd) rather than (first half, second half). */
  interleavedPairs: boolean;
}

/** Scalings of frequencies that are known; `mrope` is an old spelling of `default`. */
const SCALINGS = ['default', 'mrope', 'linear', 'llama3'] as const;

/**
 * @param layout with the sections that are meant when `mrope_section` is not given
 * @throws {GlyphpressError} GP_CHECKPOINT for another scaling, or sections that do not fill the head
 */
export function parseRope(
  text: ConfigReader,
  headDim: number,
  layout: RopeLayout,
  { theta, interleavedPairs }: { theta: number; interleavedPairs: boolean },
): RopeConfig {
  // rope_parameters is the newer name; before, theta and the partial factor stood beside rope_scaling.
  const rope = text.child('rope_parameters') ?? text.child('rope_scaling') ?? text;
  const either = (key: string, fallback: number) => rope.number(key, text.number(key, fallback));
  const dim = Math.trunc(headDim * either('partial_rotary_factor', 1));
  rope.check(
    dim >= 2 && dim % 2 === 0,
    'partial_rotary_factor',
    'such that it rotates whole pairs',
  );
  const plain = inverseFrequencies(either('rope_theta', theta), dim);
  return {
    dim,
    frequencies: scaled(plain, rope, text),
    axes: axesOf(rope, layout, dim / 2),
    interleavedPairs,
  };
}

/** 1 / theta^(2i / dim), float32 */
export function inverseFrequencies(theta: number, dim: number): Float32Array {
  const f = Math.fround;
  return Float32Array.from({ length: dim / 2 }, (_, i) => f(1 / f(theta ** f((2 * i) / dim))));
}

function scaled(plain: Float32Array, rope: ConfigReader, text: ConfigReader): Float32Array {
  const type = rope.string('rope_type', rope.string('type', 'default'));
  const known = (SCALINGS as readonly string[]).includes(type);
  rope.check(known, 'rope_type', `one of ${SCALINGS.join(', ')}`);
  if (type === 'linear') {
    const factor = rope.number('factor');
    return plain.map((frequency) => frequency / factor);
  }
  if (type === 'llama3') return llama3(plain, rope, text);
  return plain;
}

/** Slow frequencies are divided by `factor`, fast ones kept, those between blended. */
function llama3(plain: Float32Array, rope: ConfigReader, text: ConfigReader): Float32Array {
  const factor = rope.number('factor');
  const low = rope.number('low_freq_factor');
  const high = rope.number('high_freq_factor');
  const trained = rope.number(
    'original_max_position_embeddings',
    text.number('max_position_embeddings', 2048),
  );
  return plain.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength > trained / low) return frequency / factor;
    if (wavelength < trained / high) return frequency;
    const smooth = (trained / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

function axesOf(rope: ConfigReader, layout: RopeLayout, half: number): PositionAxis[] {
  const axes = Array<PositionAxis>(half).fill(0);
  if (layout.kind === 'one') return axes;
  const sections = rope.counts('mrope_section', layout.sections);
  rope.check(
    sections.reduce((sum, size) => sum + size, 0) === half,
    'mrope_section',
    `numbers that sum to ${half}, half of the rotated dimensions`,
  );
  if (layout.kind === 'sections') {
    return sections.flatMap((size, n) => Array<PositionAxis>(size).fill((n % 3) as PositionAxis));
  }
  rope.check(sections.length === 3, 'mrope_section', 'three numbers');
  for (const axis of [1, 2] as const) {
    const end = Math.min(half, 3 * sections[axis]!);
    for (let i = axis; i < end; i += 3) axes[i] = axis;
  }
  return axes;
}
