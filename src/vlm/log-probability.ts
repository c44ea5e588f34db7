/** How likely a model finds what it says: natural logarithms, under its own distribution at temperature 1. */

/** log Σ exp(logits), without overflow. Cost: O(vocabulary). */
export function logSumExp(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return largest + Math.log(sum);
}

/** What an answer's tokens say of its certainty. */
export interface AnswerLogProb {
  /** Mean over the tokens of the answer, ≤ 0. */
  mean: number;
  /** Of the least likely token. */
  min: number;
}

/** Null for an answer without tokens. */
export function summariseLogProbs(logProbs: readonly number[]): AnswerLogProb | null {
  if (logProbs.length === 0) return null;
  const sum = logProbs.reduce((total, logProb) => total + logProb, 0);
  const min = logProbs.reduce((least, logProb) => Math.min(least, logProb), 0);
  return { mean: Math.min(0, sum / logProbs.length), min };
}
