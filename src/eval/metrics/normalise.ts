/**
 * Answers made comparable as in question answering: lower case, no punctuation, no articles, single
 * spaces.
 *
 * Source: LongBench (THUDM/LongBench, LongBench/metrics.py, `normalize_answer`), after SQuAD 1.1.
 */
export function normaliseAnswer(text: string): string {
  return text
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~]/g, '')
    .replace(/(?<![\p{L}\p{N}_])(a|an|the)(?![\p{L}\p{N}_])/gu, ' ')
    .split(/\s+/)
    .filter((word) => word !== '')
    .join(' ');
}
