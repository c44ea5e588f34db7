import { normaliseAnswer } from './normalise.js';

/**
 * 1 if the answer is one of the references, both normalised; else 0.
 *
 * Source: SQuAD 1.1 `exact_match_score`, with the maximum over references.
 */
export function exactMatch(answer: string, references: readonly string[]): number {
  const normal = normaliseAnswer(answer);
  return references.some((reference) => normaliseAnswer(reference) === normal) ? 1 : 0;
}
