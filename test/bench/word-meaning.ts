/**
 * Where to look, by meaning: the rows of a model's own input embedding, pooled over the words of a sentence and
 * of a question, weighted by how rare a word is in the text, without their common direction.
 *
 * Source: Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings" (ICLR 2017).
 * Departs from it: the weight is the inverse document frequency over the units of one text.
 */

import type { ScoredPlace } from '../../src/pipeline/expanding/expand-places.js';
import type { TextRange } from '../../src/pipeline/expanding/text-units.js';
import { wordsOf } from '../../src/pipeline/lexical-index.js';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { Tokenizer } from '../../src/vlm/tokenizer.js';
import { readRows } from '../../src/vlm/weights/stored-weight.js';

const EMBEDDING = /embed_tokens\.weight$/;
/** Power iterations: the common direction is far ahead of the others. */
const ITERATIONS = 20;

export interface WordVectors {
  countTokens: (text: string) => number;
  /** Of length 1; a word is the sum of its tokens, less the mean of the vocabulary. */
  vectorOf: (word: string) => Float32Array;
  width: number;
}

export function readWordVectors(folder: string): WordVectors {
  const checkpoint = openCheckpoint(folder);
  const { tokenizerJson, tokenizerConfig, weights, config } = checkpoint;
  const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig, 'tokenizer.json');
  const [, weight] = [...weights].find(([name]) => EMBEDDING.test(name))!;
  const width = config.text.hiddenSize;
  const rows = weight.shape[0]!;
  const table = readRows(weight, 0, rows);
  checkpoint.close();
  const mean = new Float32Array(width);
  for (let i = 0; i < table.length; i++) mean[i % width]! += table[i]! / rows;
  const known = new Map<string, Float32Array>();
  const vectorOf = (word: string) => {
    const before = known.get(word);
    if (before) return before;
    const sum = new Float32Array(width);
    // As inside a sentence, behind a space.
    for (const id of tokenizer.encodeLiteral(` ${word}`)) {
      const row = table.slice(id * width, (id + 1) * width).map((value, d) => value - mean[d]!);
      addTo(sum, normalised(row), 1);
    }
    const vector = normalised(sum);
    known.set(word, vector);
    return vector;
  };
  return { countTokens: (text) => tokenizer.encodeLiteral(text).length, vectorOf, width };
}

/** Units of a text by how near they are to a question; their neighbours as {@link LexicalPlaces} has them. */
export class MeaningPlaces {
  readonly #units: readonly TextRange[];
  readonly #vectors: readonly Float32Array[];
  readonly #common: Float32Array;
  readonly #unitsWith = new Map<string, number>();

  constructor(
    source: string,
    units: readonly TextRange[],
    private readonly words: WordVectors,
  ) {
    this.#units = units;
    const wordsOfUnits = units.map(({ start, end }) => wordsOf(source.slice(start, end)));
    for (const word of wordsOfUnits.flatMap((all) => [...new Set(all)]))
      this.#unitsWith.set(word, (this.#unitsWith.get(word) ?? 0) + 1);
    const pooled = wordsOfUnits.map((all) => this.#pool(all));
    this.#common = commonDirection(pooled, words.width);
    this.#vectors = pooled.map((vector) => this.#withoutCommon(vector));
  }

  find(question: string): ScoredPlace[] {
    const asked = this.#withoutCommon(this.#pool(wordsOf(question)));
    const near = this.#vectors.map((vector) => Math.max(0, dot(vector, asked)));
    return this.#units.map((unit, i) => ({
      ...unit,
      score: near[i]! + Math.max(0.5 * (near[i - 1] ?? 0), 0.25 * (near[i + 1] ?? 0)),
    }));
  }

  #pool(words: readonly string[]): Float32Array {
    const sum = new Float32Array(this.words.width);
    for (const word of words) {
      const holding = this.#unitsWith.get(word) ?? 0;
      const rarity = Math.log(1 + (this.#units.length - holding + 0.5) / (holding + 0.5));
      addTo(sum, this.words.vectorOf(word), rarity);
    }
    return normalised(sum);
  }

  #withoutCommon(vector: Float32Array): Float32Array {
    const rest = vector.slice();
    addTo(rest, this.#common, -dot(vector, this.#common));
    return normalised(rest);
  }
}

/** Both rankings as one: each score as a share of the best one of its own, that of meaning times `weight`. */
export function blend(
  byWords: readonly ScoredPlace[],
  byMeaning: readonly ScoredPlace[],
  weight: number,
): ScoredPlace[] {
  const best = (places: readonly ScoredPlace[]) =>
    places.reduce((most, { score }) => Math.max(most, score), Number.MIN_VALUE);
  const [most, nearest] = [best(byWords), best(byMeaning)];
  const scores = new Map(byWords.map(({ start, score }) => [start, score / most]));
  return byMeaning.map((place) => ({
    ...place,
    score: (scores.get(place.start) ?? 0) + (weight * place.score) / nearest,
  }));
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

/** The first principal direction, by power iteration. */
function commonDirection(vectors: readonly Float32Array[], width: number): Float32Array {
  let direction = normalised(new Float32Array(width).fill(1));
  for (let i = 0; i < ITERATIONS; i++) {
    const next = new Float32Array(width);
    for (const vector of vectors) addTo(next, vector, dot(vector, direction));
    direction = normalised(next);
  }
  return direction;
}

function addTo(target: Float32Array, vector: Float32Array, factor: number): void {
  for (let d = 0; d < target.length; d++) target[d]! += factor * vector[d]!;
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!;
  return sum;
}

function normalised(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((value) => value / length);
}
