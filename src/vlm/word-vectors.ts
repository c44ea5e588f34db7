/**
 * Words as vectors, by the rows of a model's own input embedding: words that mean alike lie near each
 * other, without a pass of the model. A word is the sum of its tokens.
 */

/** Rows that the mean of the vocabulary is taken of, at even distances. */
const SAMPLED_ROWS = 2_048;
/** Rows that are read in one go. */
const ROWS_AT_ONCE = 4_096;

export class WordVectors {
  readonly #mean: Promise<Float32Array>;

  /**
   * @param encode ids of a text
   * @param vocabulary number of rows
   * @param embed rows of the embedding: float32 [ids, D]
   */
  constructor(
    private readonly encode: (text: string) => number[],
    vocabulary: number,
    private readonly embed: (ids: number[]) => Promise<Float32Array>,
  ) {
    const count = Math.min(SAMPLED_ROWS, vocabulary);
    const ids = Array.from({ length: count }, (_, n) => Math.floor((n * vocabulary) / count));
    this.#mean = embed(ids).then((rows) => meanRow(rows, count));
    // Whoever asks for words hears of it.
    this.#mean.catch(() => {});
  }

  /** Of length 1, less what all words of the vocabulary have in common. */
  async of(words: readonly string[]): Promise<Float32Array[]> {
    const mean = await this.#mean;
    const width = mean.length;
    // As inside a sentence, behind a space.
    const idsOf = words.map((word) => this.encode(` ${word}`));
    const ids = [...new Set(idsOf.flat())];
    const rows = new Map<number, Float32Array>();
    for (let from = 0; from < ids.length; from += ROWS_AT_ONCE) {
      const these = ids.slice(from, from + ROWS_AT_ONCE);
      const read = await this.embed(these);
      for (const [n, id] of these.entries()) {
        const row = read.slice(n * width, (n + 1) * width);
        addTo(row, mean, -1);
        rows.set(id, normalised(row));
      }
    }
    return idsOf.map((own) => {
      const sum = new Float32Array(width);
      for (const id of own) addTo(sum, rows.get(id)!, 1);
      return normalised(sum);
    });
  }
}

/** target += factor · vector */
export function addTo(target: Float32Array, vector: Float32Array, factor: number): void {
  for (let d = 0; d < target.length; d++) target[d]! += factor * vector[d]!;
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!;
  return sum;
}

/** The vector at length 1; zeros stay. */
export function normalised(vector: Float32Array): Float32Array {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((value) => value / length);
}

/** @param rows float32 [count, D] */
function meanRow(rows: Float32Array, count: number): Float32Array {
  const width = rows.length / count;
  const mean = new Float32Array(width);
  for (let at = 0; at < rows.length; at++) mean[at % width]! += rows[at]! / count;
  return mean;
}
