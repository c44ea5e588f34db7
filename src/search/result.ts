/** What a search comes to: which trials are worth keeping, judged by texts they were not made for. */

import { nonDominatedFronts, type Objectives } from './pareto.js';
import { isUsable, ranking } from './selection.js';
import type { Split } from './tasks.js';
import {
  accuracyOf,
  type DocumentScore,
  ratioOf,
  stackedRatioOf,
  type TrialRecord,
} from './trial.js';

/** Scores on texts that no trial was searched with. */
export interface FinalScores {
  trial: number;
  split: Split;
  documents: DocumentScore[];
}

/** Trials of the search that are compared on validation texts. */
const FINALISTS = 8;

/** Trials that were asked everything and may be chosen. */
export function eligible(records: readonly TrialRecord[], questionsInAll: number): TrialRecord[] {
  return records.filter(
    (record) =>
      isUsable(record) &&
      record.trial.outside !== true &&
      record.documents.reduce((sum, { scores }) => sum + scores.length, 0) >= questionsInAll,
  );
}

/** Accuracy and ratio on train texts. */
export function trainPoint(record: TrialRecord): Objectives {
  return { accuracy: accuracyOf(record.documents) ?? 0, stackedRatio: ratioOf(record) };
}

/**
 * What is compared on validation texts: the best on train texts, and every named preset and plan. The best
 * of many noisy figures pushes out what was right all along; on new texts a preset may win again.
 */
export function finalists(records: readonly TrialRecord[], questionsInAll: number): TrialRecord[] {
  const right = eligible(records, questionsInAll).filter(
    ({ documents }) => (accuracyOf(documents) ?? 0) > 0,
  );
  const best = ranking(right, questionsInAll).slice(0, FINALISTS);
  const named = right.flatMap(({ trial }, i) => (trial.name === undefined ? [] : [i]));
  return [...new Set([...best, ...named])].map((i) => right[i]!);
}

/** Accuracy and ratio on the texts of one part. */
export function finalPoint({ documents }: FinalScores): Objectives {
  const sum = (field: 'textTokens' | 'contextTokens') =>
    documents.reduce((total, text) => total + text[field], 0);
  return {
    accuracy: accuracyOf(documents) ?? 0,
    stackedRatio: stackedRatioOf({
      textTokens: sum('textTokens'),
      contextTokens: sum('contextTokens'),
    }),
  };
}

/**
 * The front on validation texts, from the most accurate to the densest. Where several have the same
 * accuracy and ratio, the first trial stands for them.
 */
export function chosenOf(
  records: readonly TrialRecord[],
  validation: readonly FinalScores[],
): TrialRecord[] {
  const points = validation.map(finalPoint);
  const [front = []] = nonDominatedFronts(points);
  const isFirst = (i: number) =>
    !front.some(
      (other) =>
        other < i &&
        points[other]!.accuracy === points[i]!.accuracy &&
        points[other]!.stackedRatio === points[i]!.stackedRatio,
    );
  return front
    .filter((i) => points[i]!.accuracy > 0 && isFirst(i))
    .sort((a, b) => points[b]!.accuracy - points[a]!.accuracy || a - b)
    .map((i) => records.find(({ trial }) => trial.id === validation[i]!.trial)!);
}
