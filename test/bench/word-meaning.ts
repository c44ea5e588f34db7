/** What a checkpoint knows of words, without a model that runs; and another way to join two rankings. */

import type { ScoredPlace } from '../../src/pipeline/expanding/expand-places.js';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { Tokenizer } from '../../src/vlm/tokenizer.js';
import { EmbeddingTable } from '../../src/vlm/weights/embedding-table.js';
import { WordVectors } from '../../src/vlm/word-vectors.js';

const EMBEDDING = /embed_tokens\.weight$/;

export function readWords(folder: string) {
  const checkpoint = openCheckpoint(folder);
  const { tokenizerJson, tokenizerConfig, weights, config } = checkpoint;
  const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig, 'tokenizer.json');
  const [, weight] = [...weights].find(([name]) => EMBEDDING.test(name))!;
  const width = config.text.hiddenSize;
  const table = new EmbeddingTable(weight, width);
  const encode = (text: string) => tokenizer.encodeLiteral(text);
  const words = new WordVectors(encode, weight.shape[0]!, async (ids) => {
    const rows = new Float32Array(ids.length * width);
    for (const [n, id] of ids.entries()) table.read(id, rows, n * width);
    return rows;
  });
  return {
    countTokens: (text: string) => encode(text).length,
    vectorsOf: (asked: readonly string[]) => words.of(asked),
    close: () => checkpoint.close(),
  };
}

/** Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009). @param k that they take 60 for */
export function fuse(rankings: readonly (readonly ScoredPlace[])[], k: number): ScoredPlace[] {
  const fused = new Map<number, ScoredPlace>();
  for (const ranking of rankings) {
    const sorted = [...ranking].sort((a, b) => b.score - a.score);
    for (const [rank, place] of sorted.entries()) {
      const before = fused.get(place.start)?.score ?? 0;
      fused.set(place.start, { ...place, score: before + 1 / (k + rank + 1) });
    }
  }
  return [...fused.values()];
}
