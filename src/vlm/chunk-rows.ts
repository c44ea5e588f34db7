/**
 * Rows that go through a decoder at once. A run of a graph cannot be interrupted, so that it keeps others who
 * want the same model waiting: a prompt is cut into runs of about the same work.
 */

import type { TextConfig } from './decoders/text-config.js';

export type DecoderSize = Pick<
  TextConfig,
  'hiddenSize' | 'intermediateSize' | 'layers' | 'heads' | 'kvHeads' | 'headDim'
>;

/** Floating-point operations of one run: about 0.5 s on two cores (50 to 70 × 10⁹ a second each). */
const MAX_RUN_OPERATIONS = 64e9;

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
 * @param chunk never more than these
 */
export function chunkRows(chunk: number, past: number, decoder: DecoderSize): number {
  if (chunk <= MIN_CHUNK) return chunk;
  const rows = MAX_RUN_OPERATIONS / rowOperations(decoder, past);
  return Math.min(chunk, Math.max(MIN_CHUNK, Math.floor(rows / MIN_CHUNK) * MIN_CHUNK));
}
