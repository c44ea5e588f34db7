/**
 * Where to look, by what words mean: vectors of words, pooled over a sentence and over a question, weighted
 * by how rare a word is in the text, without their common direction.
 *
 * Source: Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings" (ICLR 2017).
 * Departs from it: the weight is the inverse document frequency over the units of one text, the vectors are
 * those of a language model's input embedding, which nobody trained for this.
 */

import { addTo, dot, normalised } from '../../vlm/index.js';
import { wordsOf } from '../lexical-index.js';
import type { ScoredPlace } from './expand-places.js';
import { withNeighbours } from './lexical-places.js';
import type { TextRange } from './text-units.js';

/** Vectors of length 1, all of one width. @param words folded */
export type VectorsOfWords = (words: readonly string[]) => Promise<Float32Array[]>;

/** Power iterations: the common direction is far ahead of the others. */
const ITERATIONS = 20;

/**
 * Of the nearest place, as a share of what the best one by words counts. 0.5 and 0.2 do alike on the natural
 * suite (2026-11-27, test/bench/expansion.bench.ts).
 */
const MEANING_WEIGHT = 0.5;

/** Made once for a text, asked for every question. */
export class MeaningPlaces {
  private constructor(
    private readonly units: readonly TextRange[],
    private readonly vectors: readonly Float32Array[],
    private readonly common: Float32Array,
    private readonly rarityOf: (word: string) => number,
    private readonly vectorsOf: VectorsOfWords,
  ) {}

  /** Cost: one row of the embedding for each token of the text's words, O(units · width) floats. */
  static async of(
    source: string,
    units: readonly TextRange[],
    vectorsOf: VectorsOfWords,
  ): Promise<MeaningPlaces> {
    const wordsIn = units.map(({ start, end }) => wordsOf(source.slice(start, end)));
    const unitsWith = new Map<string, number>();
    for (const word of wordsIn.flatMap((words) => [...new Set(words)]))
      unitsWith.set(word, (unitsWith.get(word) ?? 0) + 1);
    const rarityOf = (word: string) => {
      const holding = unitsWith.get(word) ?? 0;
      return Math.log(1 + (units.length - holding + 0.5) / (holding + 0.5));
    };
    const known = [...unitsWith.keys()];
    const vectors = await vectorsOf(known);
    const vectorOf = new Map(known.map((word, n) => [word, vectors[n]!]));
    const pooled = wordsIn.map((words) =>
      pool(
        words.map((word) => vectorOf.get(word)!),
        words.map(rarityOf),
      ),
    );
    const common = commonDirection(pooled);
    const own = pooled.map((vector) => without(vector, common));
    return new MeaningPlaces(units, own, common, rarityOf, vectorsOf);
  }

  /** Every unit, by how near it and its neighbours are to the question. */
  async find(question: string): Promise<ScoredPlace[]> {
    const words = wordsOf(question);
    const vectors = await this.vectorsOf(words);
    const asked = without(pool(vectors, words.map(this.rarityOf)), this.common);
    return withNeighbours(
      this.units,
      this.vectors.map((vector) => Math.max(0, dotOrZero(vector, asked))),
    );
  }
}

/** Both rankings as one: each score as a share of the best one of its own, that of meaning times a weight. */
export function blend(
  byWords: readonly ScoredPlace[],
  byMeaning: readonly ScoredPlace[],
): ScoredPlace[] {
  const best = (places: readonly ScoredPlace[]) =>
    places.reduce((most, { score }) => Math.max(most, score), 0) || 1;
  const [most, nearest] = [best(byWords), best(byMeaning)];
  const blended = new Map<number, ScoredPlace>();
  for (const place of byWords) blended.set(place.start, { ...place, score: place.score / most });
  for (const place of byMeaning) {
    const score = (blended.get(place.start)?.score ?? 0) + (MEANING_WEIGHT * place.score) / nearest;
    blended.set(place.start, { ...place, score });
  }
  return [...blended.values()];
}

/** @returns an empty vector for no words: near nothing */
function pool(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const [first] = vectors;
  if (!first) return new Float32Array(0);
  const sum = new Float32Array(first.length);
  for (const [n, vector] of vectors.entries()) addTo(sum, vector, weights[n]!);
  return normalised(sum);
}

function without(vector: Float32Array, direction: Float32Array): Float32Array {
  if (vector.length !== direction.length) return vector;
  const rest = vector.slice();
  addTo(rest, direction, -dot(vector, direction));
  return normalised(rest);
}

/** The first principal direction, by power iteration; empty without vectors. */
function commonDirection(vectors: readonly Float32Array[]): Float32Array {
  const some = vectors.filter(({ length }) => length > 0);
  const width = some[0]?.length ?? 0;
  let direction = normalised(new Float32Array(width).fill(1));
  for (let i = 0; i < ITERATIONS; i++) {
    const next = new Float32Array(width);
    for (const vector of some) addTo(next, vector, dot(vector, direction));
    direction = normalised(next);
  }
  return direction;
}

const dotOrZero = (a: Float32Array, b: Float32Array) => (a.length === b.length ? dot(a, b) : 0);
