/**
 * Where a question looks: the attention of its rows to the rows of the context, from its queries and the
 * kept keys. One row of scores at a time; no matrix of attention is ever there.
 */
import type { KvBuffer } from './kv-buffer.js';

/** A query head, and which rows of the question it is read from. */
export interface AttentionHead {
  layer: number;
  head: number;
  /** `all`: the mean over the rows of the question; `last`: the one that the answer follows. */
  from: 'all' | 'last';
}

export interface QueryRows {
  /** float32 [rows, heads · headDim], rotated */
  queries: Float32Array;
  heads: number;
  kvHeads: number;
  headDim: number;
}

/**
 * Share of the attention to the context that each of some rows gets.
 *
 * @param keys of the layer; the first `length` rows are the context's
 * @param rows of the context, ascending
 * @returns float32 [rows.length] for each of `heads`, in their order; sums to at most 1
 *
 * Cost: O(question rows · length · headDim) for each head.
 */
export function attentionShares(
  { queries, heads: headCount, kvHeads, headDim }: QueryRows,
  keys: KvBuffer,
  length: number,
  heads: readonly Pick<AttentionHead, 'head' | 'from'>[],
  rows: Int32Array,
): Float32Array[] {
  const count = queries.length / (headCount * headDim);
  const group = headCount / kvHeads;
  const scale = 1 / Math.sqrt(headDim);
  const scores = new Float32Array(length);
  return heads.map(({ head, from }) => {
    const ofHead = keys.rowsOfHead(Math.floor(head / group), length);
    const shares = new Float32Array(rows.length);
    const first = from === 'last' ? count - 1 : 0;
    for (let row = first; row < count; row += 1) {
      const query = queries.subarray((row * headCount + head) * headDim);
      const sum = softmaxScores(query, ofHead, scale, scores, headDim);
      const weight = 1 / (sum * (count - first));
      for (const [n, at] of rows.entries()) shares[n]! += scores[at]! * weight;
    }
    return shares;
  });
}

/** Fills `scores` with exp(q·k·scale − max) and returns their sum. */
function softmaxScores(
  query: Float32Array,
  keys: Float32Array,
  scale: number,
  scores: Float32Array,
  headDim: number,
): number {
  let top = -Infinity;
  for (let at = 0, k = 0; at < scores.length; at += 1, k += headDim) {
    let product = 0;
    for (let d = 0; d < headDim; d += 1) product += query[d]! * keys[k + d]!;
    scores[at] = product * scale;
    if (scores[at]! > top) top = scores[at]!;
  }
  let sum = 0;
  for (let at = 0; at < scores.length; at += 1) {
    scores[at] = Math.exp(scores[at]! - top);
    sum += scores[at]!;
  }
  return sum;
}
