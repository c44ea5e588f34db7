/**
 * A logistic model of the chance that an answer is right, from its tokens and from what can be seen of it
 * in the text that was read. `glyphpress model calibrate` fits it.
 */
import type { ConfigReader } from './config-reader.js';
import type { AnswerLogProb } from './log-probability.js';

/** What an answer shows of itself beside what was read for it. */
export interface AnswerEvidence {
  /** It says that the text does not hold what was asked for. */
  notFound: boolean;
  /** It begins with yes or no. */
  verdict: boolean;
  /** Share of the question's telling words that stand in what was read, by their rarity; 0 to 1. */
  asked: number;
  /** How much of what the answer adds stands in one place that speaks of the question; 0 to 1, 0 where it adds nothing. */
  beside: number;
}

/** What an answer is judged by: its names in config.json. Each but the first counts for one kind of answer. */
export const EVIDENCE_FEATURES = [
  'not_found',
  'not_found_asked',
  'mean_log_prob',
  'min_log_prob',
  'beside',
  'verdict',
] as const;
export type EvidenceFeature = (typeof EVIDENCE_FEATURES)[number];
export type EvidenceValues = Record<EvidenceFeature, number>;

/** More of these never makes an answer less certain. */
export const NEVER_NEGATIVE: readonly EvidenceFeature[] = [
  'mean_log_prob',
  'min_log_prob',
  'beside',
];

export interface EvidenceCurve {
  intercept: number;
  weights: EvidenceValues;
  /** Answers with less are as good as never right; null where there is no such bound. */
  doubtfulBelow: number | null;
}

/** Below this a token is as good as impossible; keeps the curve finite. */
export const MIN_LOG_PROB = -50;

/** Raised when features of the same name mean something else. */
const VERSION = 1;

export function evidenceValues(
  { mean, min }: AnswerLogProb,
  { notFound, verdict, asked, beside }: AnswerEvidence,
): EvidenceValues {
  const said = notFound ? 0 : 1;
  return {
    not_found: 1 - said,
    not_found_asked: (1 - said) * asked,
    mean_log_prob: said * Math.max(MIN_LOG_PROB, mean),
    min_log_prob: said * Math.max(MIN_LOG_PROB, min),
    beside: said * beside,
    verdict: said * (verdict ? 1 : 0),
  };
}

export function evidenceScore(values: EvidenceValues, { intercept, weights }: EvidenceCurve) {
  return EVIDENCE_FEATURES.reduce((sum, name) => sum + weights[name] * values[name], intercept);
}

/** @throws GP_CHECKPOINT for a field that is missing or out of range, or another version */
export function parseEvidenceCurve(config: ConfigReader): EvidenceCurve {
  config.check(config.number('version') === VERSION, 'version', `${VERSION}`);
  const weights = Object.fromEntries(
    EVIDENCE_FEATURES.map((name) => {
      const value = config.number(name);
      config.check(value >= 0 || !NEVER_NEGATIVE.includes(name), name, 'at least 0');
      return [name, value];
    }),
  ) as EvidenceValues;
  const below = config.number('doubtful_below', -1);
  config.check(below <= 1, 'doubtful_below', 'from 0 to 1');
  return {
    intercept: config.number('intercept'),
    weights,
    doubtfulBelow: below < 0 ? null : below,
  };
}

export function evidenceCurveJson({ intercept, weights, doubtfulBelow }: EvidenceCurve) {
  return { version: VERSION, intercept, ...weights, doubtful_below: doubtfulBelow };
}
