/** How well one figure predicts the order of another. */

/** Ranks from 1; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranked = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]!] === values[order[from]!]) to++;
    for (let k = from; k <= to; k++) ranked[order[k]!] = (from + to) / 2 + 1;
    from = to + 1;
  }
  return ranked;
}

/**
 * Spearman's rank correlation: Pearson's of the ranks, so that ties are honoured.
 *
 * @returns −1 to 1; null for fewer than three pairs, or where one side never changes
 */
export function rankCorrelation(pairs: readonly (readonly [number, number])[]): number | null {
  if (pairs.length < 3) return null;
  const [a, b] = [ranks(pairs.map(([x]) => x)), ranks(pairs.map(([, y]) => y))];
  const mean = (pairs.length + 1) / 2;
  let [product, squaresA, squaresB] = [0, 0, 0];
  a.forEach((rank, i) => {
    product += (rank - mean) * (b[i]! - mean);
    squaresA += (rank - mean) ** 2;
    squaresB += (b[i]! - mean) ** 2;
  });
  if (squaresA === 0 || squaresB === 0) return null;
  return product / Math.sqrt(squaresA * squaresB);
}
