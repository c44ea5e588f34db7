/**
 * Rows that go through a decoder at once. A run of a graph cannot be interrupted, so that it keeps others who
 * want the same model waiting: a prompt is cut into runs of about the same work.
 */

import type { TextConfig } from './decoders/text-config.js';

export type DecoderSize = Pick<
  TextConfig,
  'hiddenSize' | 'intermediateSize' | 'layers' | 'heads' | 'kvHeads' | 'headDim'
>;

/**
 * Floating-point operations of one run where a model is shared: about 0.5 s on two cores (50 to 70 × 10⁹ a
 * second each). A prompt of a large model takes up to a half longer by it.
 */
export const SHARED_RUN_OPERATIONS = 64e9;

export interface RunLimits {
  /** Rows of a run. */
  chunk: number;
  /** Floating-point operations of a run; Infinity where nobody else waits. */
  operations: number;
}

/** Fewer would widen all weights, and read the keys and values of all rows before, for little. */
const MIN_CHUNK = 64;

/** Multiplications and additions of one row behind `past` others, in all layers. */
export function rowOperations(
  { hiddenSize, intermediateSize, layers, heads, kvHeads, headDim }: DecoderSize,
  past: number,
): number {
  const projections = hiddenSize * headDim * (2 * heads + 2 * kvHeads);
  const mlp = 3 * hiddenSize * intermediateSize;
  const attention = 2 * past * heads * headDim;
  return 2 * layers * (projections + mlp + attention);
}

/**
 * Rows of one run behind `past` others: fewer the larger the decoder, and the more stand before them. By the
 * counts alone, whatever layers a run has, so that equal prompts give equal bytes.
 *
 * @returns at most `chunk`, and at least 64 where that is more
 */
export function chunkRows(
  { chunk, operations }: RunLimits,
  past: number,
  decoder: DecoderSize,
): number {
  if (chunk <= MIN_CHUNK) return chunk;
  const rows = operations / rowOperations(decoder, past);
  return Math.min(chunk, Math.max(MIN_CHUNK, Math.floor(rows / MIN_CHUNK) * MIN_CHUNK));
}
