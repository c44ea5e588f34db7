/**
 * From the log-probabilities of an answer to the chance that it is right.
 *
 * Source: Platt, "Probabilistic outputs for support vector machines" (1999): a logistic curve, here over
 * the mean and the least log-probability of the answer's tokens. `glyphpress model calibrate` fits it.
 */
import type { ConfigReader } from './config-reader.js';
import type { AnswerLogProb } from './log-probability.js';

/** p = 1 / (1 + exp(−(intercept + mean·meanLogProb + min·minLogProb))); no slope is negative. */
export interface PlattCurve {
  intercept: number;
  mean: number;
  min: number;
}

/** As `glyphpress.calibration` or `glyphpress.text_calibration` in config.json says. */
export interface Calibration extends PlattCurve {
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
}

/** Below this a token is as good as impossible; keeps the curve finite. */
const MIN_LOG_PROB = -50;

export function confidenceOf(
  logProb: AnswerLogProb | null,
  calibration: PlattCurve | null,
): Confidence {
  if (!logProb) return { confidence: null, meanLogProb: null, calibrated: false };
  const confidence = calibration ? chanceOf(logProb, calibration) : Math.exp(logProb.mean);
  return { confidence, meanLogProb: logProb.mean, calibrated: calibration !== null };
}

export function chanceOf({ mean, min }: AnswerLogProb, curve: PlattCurve): number {
  const bounded = (logProb: number) => Math.max(MIN_LOG_PROB, logProb);
  const score = curve.intercept + curve.mean * bounded(mean) + curve.min * bounded(min);
  return 1 / (1 + Math.exp(-score));
}

/** @throws GP_CHECKPOINT for a field that is missing or out of range */
export function parseCalibration(config: ConfigReader | undefined): Calibration | null {
  if (!config) return null;
  config.check(config.string('method', '') === 'platt', 'method', '"platt"');
  const slope = (key: string) => {
    const value = config.number(key);
    config.check(value >= 0, key, 'at least 0');
    return value;
  };
  const questions = config.count('questions');
  const right = config.number('right');
  config.check(right >= 0 && right <= questions, 'right', `from 0 to ${questions}`);
  const error = config.number('expected_calibration_error', -1);
  config.check(error <= 1, 'expected_calibration_error', 'from 0 to 1');
  return {
    intercept: config.number('intercept'),
    mean: slope('mean_log_prob'),
    min: slope('min_log_prob'),
    questions,
    right,
    expectedCalibrationError: error < 0 ? null : error,
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
  return {
    method: 'platt',
    intercept: calibration.intercept,
    mean_log_prob: calibration.mean,
    min_log_prob: calibration.min,
    questions: calibration.questions,
    right: calibration.right,
    expected_calibration_error: calibration.expectedCalibrationError,
  };
}
