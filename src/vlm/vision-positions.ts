/**
 * Host-made inputs of the vision graph for one image: rotary tables and the weights that sample the
 * learned position table.
 *
 * Source: transformers 5.18.0, Glm4vVisionRotaryEmbedding and Glm4vVisionEmbeddings (`grid_sample`,
 * bicubic, half-pixel centres, border).
 */
import type { VisionConfig } from './families/family.js';
import { mergeOrder } from './image-processor.js';
import { inverseFrequencies } from './positions.js';

export interface VisionPositions {
  /** [patches, headDim / 2]: first half of the frequencies by row, second half by column */
  cos: Float32Array;
  sin: Float32Array;
  /** [gridH, side] and [gridW, side]: how much of each table row and column an image row and column takes */
  rowWeights: Float32Array;
  columnWeights: Float32Array;
  /** [patches]: raster index of each patch in merge order */
  patchOrder: BigInt64Array;
}

export function visionPositions(
  gridH: number,
  gridW: number,
  vision: VisionConfig,
): VisionPositions {
  const patches = gridH * gridW;
  const half = vision.headDim / 2;
  const frequencies = inverseFrequencies(vision.ropeTheta, half);
  const cos = new Float32Array(patches * half);
  const sin = new Float32Array(patches * half);
  const patchOrder = new BigInt64Array(patches);
  let patch = 0;
  for (const [row, column] of mergeOrder(gridH, gridW, vision.mergeSize)) {
    patchOrder[patch] = BigInt(row * gridW + column);
    for (let i = 0; i < half; i += 1) {
      const axis = i < frequencies.length ? row : column;
      const angle = Math.fround(axis * frequencies[i % frequencies.length]!);
      cos[patch * half + i] = Math.cos(angle);
      sin[patch * half + i] = Math.sin(angle);
    }
    patch += 1;
  }
  const side = vision.positionTableSide;
  return {
    cos,
    sin,
    rowWeights: bicubicWeights(gridH, side),
    columnWeights: bicubicWeights(gridW, side),
    patchOrder,
  };
}

/**
 * Weights that resample `side` table entries to `length` places: float32 [length, side], rows sum to 1.
 * Keys' cubic with a = −0.75; taps beyond the border count for the border entry.
 */
export function bicubicWeights(length: number, side: number): Float32Array {
  const f = Math.fround;
  const weights = new Float32Array(length * side);
  for (let n = 0; n < length; n += 1) {
    // As grid_sample gets it: a float32 coordinate in [−1, 1], then back to table units.
    const normalised = f(f(f(f(n + 0.5) / length) * 2) - 1);
    const source = f(f(f(f(normalised + 1) * side) - 1) / 2);
    const floor = Math.floor(source);
    for (let tap = -1; tap <= 2; tap += 1) {
      const entry = Math.min(Math.max(floor + tap, 0), side - 1);
      weights[n * side + entry]! += keys(source - floor - tap);
    }
  }
  return weights;
}

function keys(x: number): number {
  const a = -0.75;
  const d = Math.abs(x);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}
