/**
 * From the log-probabilities of an answer, and what speaks for it in the text, to the chance that it is right.
 *
 * Source: Platt, "Probabilistic outputs for support vector machines" (1999): a logistic curve, here over
 * the mean and the least log-probability of the answer's tokens; or, where the answer was read from text,
 * over these and its evidence. `glyphpress model calibrate` fits it.
 */
import type { ConfigReader } from './config-reader.js';
import {
  type AnswerEvidence,
  type EvidenceCurve,
  evidenceCurveJson,
  evidenceScore,
  evidenceValues,
  MIN_LOG_PROB,
  parseEvidenceCurve,
} from './evidence-curve.js';
import type { AnswerLogProb } from './log-probability.js';

/** p = 1 / (1 + exp(−(intercept + mean·meanLogProb + min·minLogProb))); no slope is negative. */
export interface PlattCurve {
  intercept: number;
  mean: number;
  min: number;
}

export type ConfidenceCurve = PlattCurve | EvidenceCurve;

/** As `glyphpress.calibration` or `glyphpress.text_calibration` in config.json says. */
export type Calibration = ConfidenceCurve & CalibrationRecord;

export interface CalibrationRecord {
  /** Answers that it was fitted on. */
  questions: number;
  /** Of these, answered right. */
  right: number;
  /** On answers that it was not fitted on (cross-validation); null where that was not measured. */
  expectedCalibrationError: number | null;
}

/** The curves of one model: of answers read from pages, and of those read from text (whole, or passages alone). */
export interface Calibrations {
  pages: Calibration | null;
  text: Calibration | null;
}

/** Text is read more surely than pages; the curve of pages stands in where text has none of its own. */
export function curveFor({ pages, text }: Calibrations, read: keyof Calibrations) {
  return read === 'text' ? (text ?? pages) : pages;
}

/** Keys under `glyphpress` in config.json. */
export const CALIBRATION_KEYS = {
  pages: 'calibration',
  text: 'text_calibration',
} as const satisfies Record<keyof Calibrations, string>;

export interface Confidence {
  /** Chance that the answer is right, 0 to 1; null for an answer without tokens, or one whose tokens are unknown. */
  confidence: number | null;
  /** Natural logarithm; null as above. */
  meanLogProb: number | null;
  /** False: the model has no calibration, and `confidence` is exp(meanLogProb), which tells more from less only. */
  calibrated: boolean;
  /** So little speaks for it in the text that answers like it are hardly ever right. */
  doubtful: boolean;
}

/** @param evidence null where nothing is known of it; a curve that needs it then counts as none */
export function confidenceOf(
  logProb: AnswerLogProb | null,
  curve: ConfidenceCurve | null,
  evidence: AnswerEvidence | null = null,
): Confidence {
  if (!logProb) return { confidence: null, meanLogProb: null, calibrated: false, doubtful: false };
  const { mean: meanLogProb } = logProb;
  const chance = curve && chanceFrom(logProb, evidence, curve);
  if (curve === null || chance === null)
    return { confidence: Math.exp(meanLogProb), meanLogProb, calibrated: false, doubtful: false };
  const bound = 'weights' in curve ? (curve.doubtfulBelow ?? 0) : 0;
  const doubtful = chance < bound && !evidence?.notFound;
  return { confidence: chance, meanLogProb, calibrated: true, doubtful };
}

function chanceFrom(
  logProb: AnswerLogProb,
  evidence: AnswerEvidence | null,
  curve: ConfidenceCurve,
): number | null {
  if (!('weights' in curve)) return chanceOf(logProb, curve);
  return evidence && logistic(evidenceScore(evidenceValues(logProb, evidence), curve));
}

export function chanceOf({ mean, min }: AnswerLogProb, curve: PlattCurve): number {
  const bounded = (logProb: number) => Math.max(MIN_LOG_PROB, logProb);
  return logistic(curve.intercept + curve.mean * bounded(mean) + curve.min * bounded(min));
}

const logistic = (score: number) => 1 / (1 + Math.exp(-score));

/** @throws GP_CHECKPOINT for a field that is missing or out of range */
export function parseCalibration(config: ConfigReader | undefined): Calibration | null {
  if (!config) return null;
  const method = config.string('method', '');
  config.check(method === 'platt' || method === 'evidence', 'method', '"platt" or "evidence"');
  const questions = config.count('questions');
  const right = config.number('right');
  config.check(right >= 0 && right <= questions, 'right', `from 0 to ${questions}`);
  const error = config.number('expected_calibration_error', -1);
  config.check(error <= 1, 'expected_calibration_error', 'from 0 to 1');
  return {
    ...(method === 'platt' ? parsePlattCurve(config) : parseEvidenceCurve(config)),
    questions,
    right,
    expectedCalibrationError: error < 0 ? null : error,
  };
}

function parsePlattCurve(config: ConfigReader): PlattCurve {
  const slope = (key: string) => {
    const value = config.number(key);
    config.check(value >= 0, key, 'at least 0');
    return value;
  };
  return {
    intercept: config.number('intercept'),
    mean: slope('mean_log_prob'),
    min: slope('min_log_prob'),
  };
}

/** @throws GP_CHECKPOINT as {@link parseCalibration} */
export function parseCalibrations(glyphpress: ConfigReader | undefined): Calibrations {
  return {
    pages: parseCalibration(glyphpress?.child(CALIBRATION_KEYS.pages)),
    text: parseCalibration(glyphpress?.child(CALIBRATION_KEYS.text)),
  };
}

/** The form in which config.json holds it. */
export function calibrationJson(calibration: Calibration): Record<string, unknown> {
  const { questions, right, expectedCalibrationError } = calibration;
  const curve =
    'weights' in calibration
      ? { method: 'evidence', ...evidenceCurveJson(calibration) }
      : {
          method: 'platt',
          intercept: calibration.intercept,
          mean_log_prob: calibration.mean,
          min_log_prob: calibration.min,
        };
  return { ...curve, questions, right, expected_calibration_error: expectedCalibrationError };
}
