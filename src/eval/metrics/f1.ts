import { normaliseAnswer } from './normalise.js';

/**
 * Overlap of words with the best reference: harmonic mean of precision and recall, words counted as
 * often as they occur.
 *
 * Source: LongBench (THUDM/LongBench, LongBench/metrics.py, `qa_f1_score`), with the maximum over
 * references as in its `eval.py`.
 */
export function f1(answer: string, references: readonly string[]): number {
  return Math.max(0, ...references.map((reference) => f1Of(answer, reference)));
}

function f1Of(answer: string, reference: string): number {
  const said = words(answer);
  const wanted = words(reference);
  const counts = new Map<string, number>();
  for (const word of wanted) counts.set(word, (counts.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of said) {
    const left = counts.get(word) ?? 0;
    if (left === 0) continue;
    counts.set(word, left - 1);
    common++;
  }
  if (common === 0) return 0;
  const precision = common / said.length;
  const recall = common / wanted.length;
  return (2 * precision * recall) / (precision + recall);
}

function words(text: string): string[] {
  const normal = normaliseAnswer(text);
  return normal === '' ? [] : normal.split(' ');
}
