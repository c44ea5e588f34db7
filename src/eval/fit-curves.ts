/**
 * Results → the curve that makes log-probabilities, and evidence where it is known, chances.
 *
 * Logistic regression with Platt's smoothed targets and a slight pull of the slopes to 0. A slope that comes
 * out against what it stands for (less likely tokens, better answer) is noise: that feature is left out.
 */
import {
  type AnswerEvidence,
  type AnswerLogProb,
  EVIDENCE_FEATURES,
  type EvidenceCurve,
  type EvidenceFeature,
  type EvidenceValues,
  evidenceValues,
  NEVER_NEGATIVE,
  type PlattCurve,
} from '../vlm/index.js';
import { type LogisticRow, scaledRegression } from './logistic-regression.js';

export interface FittedAnswer {
  logProb: AnswerLogProb;
  right: boolean;
  /** How many answers it counts as. @defaultValue 1 */
  weight?: number;
}

/** One of which also its evidence is known. */
export interface EvidentAnswer extends FittedAnswer {
  evidence: AnswerEvidence;
}

/** In units of a feature's spread. */
const PULL = 1;
/** Features of evidence are more, and of answers fewer of each kind: 1, 4 and 10 do alike on held-out documents. */
const EVIDENCE_PULL = 4;

const PLATT_FEATURES = ['mean', 'min'] as const;

export function fitPlatt(samples: readonly FittedAnswer[]): PlattCurve {
  const both = fitPlattOf(samples, PLATT_FEATURES);
  if (both.curve.mean >= 0 && both.curve.min >= 0) return both.curve;
  const single = PLATT_FEATURES.map((feature) => fitPlattOf(samples, [feature]))
    .filter(({ curve }) => curve.mean >= 0 && curve.min >= 0)
    .sort((a, b) => a.loss - b.loss)[0];
  return (single ?? fitPlattOf(samples, [])).curve;
}

function fitPlattOf(
  samples: readonly FittedAnswer[],
  features: readonly (typeof PLATT_FEATURES)[number][],
): { curve: PlattCurve; loss: number } {
  const valuesOf = ({ logProb }: FittedAnswer) => features.map((feature) => logProb[feature]);
  const { intercept, slopes, loss } = regressionOf(samples, valuesOf, PULL);
  const curve: PlattCurve = { intercept, mean: 0, min: 0 };
  features.forEach((feature, n) => {
    curve[feature] = slopes[n]!;
  });
  return { curve, loss };
}

/** Without a bound of doubt: that is for who has judged answers that it was not fitted on. */
export function fitEvidence(samples: readonly EvidentAnswer[]): EvidenceCurve {
  let features: readonly EvidenceFeature[] = EVIDENCE_FEATURES;
  for (;;) {
    const valuesOf = ({ logProb, evidence }: EvidentAnswer) => {
      const values = evidenceValues(logProb, evidence);
      return features.map((name) => values[name]);
    };
    const { intercept, slopes } = regressionOf(samples, valuesOf, EVIDENCE_PULL);
    const weights = Object.fromEntries(
      EVIDENCE_FEATURES.map((name) => [name, 0]),
    ) as EvidenceValues;
    features.forEach((name, n) => {
      weights[name] = slopes[n]!;
    });
    const wrong = features.filter((name) => NEVER_NEGATIVE.includes(name) && weights[name] < 0);
    if (wrong.length === 0) return { intercept, weights, doubtfulBelow: null };
    features = features.filter((name) => !wrong.includes(name));
  }
}

function regressionOf<Sample extends FittedAnswer>(
  samples: readonly Sample[],
  valuesOf: (sample: Sample) => number[],
  pull: number,
) {
  const weightOf = (isRight: boolean) =>
    samples.reduce((sum, { right, weight = 1 }) => sum + (right === isRight ? weight : 0), 0);
  const [right, wrong] = [weightOf(true), weightOf(false)];
  const rows = samples.map(
    (sample): LogisticRow => ({
      values: valuesOf(sample),
      // Platt's targets: as if one more answer of each kind had been seen.
      target: sample.right ? (right + 1) / (right + 2) : 1 / (wrong + 2),
      weight: sample.weight ?? 1,
    }),
  );
  return scaledRegression(rows, pull);
}
