/**
 * Results of look-ups → the curve that makes log-probabilities chances, and how true its chances are.
 *
 * The curve is Platt's (src/vlm/calibration.ts): logistic regression on the mean and the least
 * log-probability, with his smoothed targets and a slight pull of the slopes to 0. A slope that comes out
 * negative (less likely tokens, better answer) is noise: that feature is left out.
 */
import { GlyphpressError } from '../errors.js';
import { type AnswerLogProb, type Calibration, chanceOf, type PlattCurve } from '../vlm/index.js';
import { type Interval, wilsonInterval } from './interval.js';
import type { ResultLine } from './results-log.js';

export interface CalibrationSample {
  logProb: AnswerLogProb;
  right: boolean;
  /** Questions about one document depend on each other: they are held out together. */
  document: string;
}

/** Fewer answers than this say nothing. */
export const MIN_SAMPLES = 20;
const FOLDS = 5;
const BINS = 10;
/** Added to the curvature of each slope, in units of its feature's spread. */
const PULL = 1;

/** Answers with known tokens; a question that failed is none. */
export function calibrationSamples(results: Iterable<ResultLine>): CalibrationSample[] {
  const samples: CalibrationSample[] = [];
  for (const result of results) {
    if ('error' in result || !result.logProb) continue;
    const { logProb, score, document } = result;
    samples.push({ logProb, right: score.value === 1, document });
  }
  return samples;
}

export interface ReliabilityBin extends Interval {
  from: number;
  to: number;
  answers: number;
  /** Mean of the chances that were given; null without answers. */
  confidence: number | null;
  /** Share that was right; null without answers. */
  accuracy: number | null;
}

export interface Reliability {
  bins: ReliabilityBin[];
  /** Σ share of the answers × |confidence − accuracy| over the bins. */
  expectedCalibrationError: number;
  /** Mean of (chance − outcome)². */
  brierScore: number;
}

export interface CalibrationResult {
  calibration: Calibration;
  /** Chances of answers by a curve that was fitted without their documents. */
  calibrated: Reliability;
  /** exp(mean log-probability) as it is. */
  uncalibrated: Reliability;
}

/** @throws {GlyphpressError} GP_USAGE for fewer than {@link MIN_SAMPLES} answers */
export function calibrate(samples: readonly CalibrationSample[]): CalibrationResult {
  if (samples.length < MIN_SAMPLES) {
    throw new GlyphpressError('GP_USAGE', {
      message: `${samples.length} answers are too few to calibrate; at least ${MIN_SAMPLES} are needed`,
      hint: 'Ask more with --samples or --pages.',
      details: { answers: samples.length, least: MIN_SAMPLES },
    });
  }
  const calibrated = reliabilityOf(heldOutChances(samples));
  const uncalibrated = reliabilityOf(
    samples.map(({ logProb, right }) => ({ chance: Math.exp(logProb.mean), right })),
  );
  const calibration = {
    ...fitPlatt(samples),
    questions: samples.length,
    right: samples.filter(({ right }) => right).length,
    expectedCalibrationError: calibrated.expectedCalibrationError,
  };
  return { calibration, calibrated, uncalibrated };
}

interface Judged {
  chance: number;
  right: boolean;
}

/** Every answer judged by a curve that knows nothing of its document. */
function heldOutChances(samples: readonly CalibrationSample[]): Judged[] {
  const documents = [...new Set(samples.map(({ document }) => document))];
  const foldOf = (sample: CalibrationSample, n: number) =>
    (documents.length >= FOLDS ? documents.indexOf(sample.document) : n) % FOLDS;
  return Array.from({ length: FOLDS }, (_, fold) => {
    const curve = fitPlatt(samples.filter((sample, n) => foldOf(sample, n) !== fold));
    return samples
      .filter((sample, n) => foldOf(sample, n) === fold)
      .map(({ logProb, right }) => ({ chance: chanceOf(logProb, curve), right }));
  }).flat();
}

export function reliabilityOf(judged: readonly Judged[]): Reliability {
  const bins = Array.from({ length: BINS }, (_, n): ReliabilityBin => {
    const inside = judged.filter(({ chance }) => binOf(chance) === n);
    const right = inside.filter((one) => one.right).length;
    const sum = inside.reduce((total, { chance }) => total + chance, 0);
    return {
      from: n / BINS,
      to: (n + 1) / BINS,
      answers: inside.length,
      confidence: inside.length === 0 ? null : sum / inside.length,
      accuracy: inside.length === 0 ? null : right / inside.length,
      ...wilsonInterval(right, inside.length),
    };
  });
  const total = Math.max(1, judged.length);
  return {
    bins,
    expectedCalibrationError: bins.reduce(
      (sum, { answers, confidence, accuracy }) =>
        answers === 0 ? sum : sum + (answers / total) * Math.abs(confidence! - accuracy!),
      0,
    ),
    brierScore:
      judged.reduce((sum, { chance, right }) => sum + (chance - (right ? 1 : 0)) ** 2, 0) / total,
  };
}

const binOf = (chance: number) => Math.min(BINS - 1, Math.floor(chance * BINS));

const FEATURES = ['mean', 'min'] as const;
type Feature = (typeof FEATURES)[number];

export function fitPlatt(samples: readonly Omit<CalibrationSample, 'document'>[]): PlattCurve {
  const both = fitFeatures(samples, FEATURES);
  if (both.curve.mean >= 0 && both.curve.min >= 0) return both.curve;
  const single = FEATURES.map((feature) => fitFeatures(samples, [feature]))
    .filter(({ curve }) => curve.mean >= 0 && curve.min >= 0)
    .sort((a, b) => a.loss - b.loss)[0];
  return (single ?? fitFeatures(samples, [])).curve;
}

function fitFeatures(
  samples: readonly Omit<CalibrationSample, 'document'>[],
  features: readonly Feature[],
): { curve: PlattCurve; loss: number } {
  // Features of mean 0 and spread 1, so that one pull suits all.
  const scales = features.map((feature) => {
    const values = samples.map(({ logProb }) => logProb[feature]);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const spread = Math.sqrt(
      values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length,
    );
    return { mean, spread: spread > 1e-9 ? spread : 1 };
  });
  const rows = samples.map(({ logProb }) => [
    1,
    ...features.map((feature, n) => (logProb[feature] - scales[n]!.mean) / scales[n]!.spread),
  ]);
  const right = samples.filter((sample) => sample.right).length;
  const wrong = samples.length - right;
  // Platt's targets: as if one more answer of each kind had been seen.
  const targets = samples.map((sample) =>
    sample.right ? (right + 1) / (right + 2) : 1 / (wrong + 2),
  );
  const { weights, loss } = logisticRegression(rows, targets);
  const curve: PlattCurve = { intercept: weights[0]!, mean: 0, min: 0 };
  features.forEach((feature, n) => {
    const { mean, spread } = scales[n]!;
    curve[feature] = weights[n + 1]! / spread;
    curve.intercept -= (weights[n + 1]! * mean) / spread;
  });
  return { curve, loss };
}

/** Newton's method with halved steps; the loss is convex, so any start will do. */
function logisticRegression(rows: readonly (readonly number[])[], targets: readonly number[]) {
  const size = rows[0]!.length;
  const scoreOf = (row: readonly number[], weights: readonly number[]) =>
    row.reduce((sum, value, n) => sum + value * weights[n]!, 0);
  const lossOf = (weights: readonly number[]) =>
    rows.reduce((sum, row, i) => {
      const score = scoreOf(row, weights);
      // log(1 + e^s) − t·s, without overflow
      return (
        sum + Math.max(0, score) + Math.log1p(Math.exp(-Math.abs(score))) - targets[i]! * score
      );
    }, 0) +
    (PULL / 2) * weights.slice(1).reduce((sum, weight) => sum + weight * weight, 0);

  let weights = new Array<number>(size).fill(0);
  let loss = lossOf(weights);
  for (let step = 0; step < 100; step++) {
    const gradient = weights.map((weight, n) => (n === 0 ? 0 : PULL * weight));
    const curvature = Array.from({ length: size }, (_, n) =>
      Array.from({ length: size }, (_, m) => (n === m ? (n === 0 ? 1e-9 : PULL) : 0)),
    );
    rows.forEach((row, i) => {
      const chance = 1 / (1 + Math.exp(-scoreOf(row, weights)));
      for (let n = 0; n < size; n++) {
        gradient[n]! += (chance - targets[i]!) * row[n]!;
        for (let m = 0; m < size; m++)
          curvature[n]![m]! += chance * (1 - chance) * row[n]! * row[m]!;
      }
    });
    const direction = solve(curvature, gradient);
    let length = 1;
    let next = weights;
    let nextLoss = loss;
    do {
      next = weights.map((weight, n) => weight - length * direction[n]!);
      nextLoss = lossOf(next);
      length /= 2;
    } while (!(nextLoss <= loss) && length > 1e-6);
    if (!(nextLoss < loss - 1e-10)) break;
    [weights, loss] = [next, nextLoss];
  }
  return { weights, loss };
}

/** Gaussian elimination; the matrix is positive definite. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, n) => [...row, right[n]!]);
  for (let n = 0; n < rows.length; n++) {
    for (let m = n + 1; m < rows.length; m++) {
      const factor = rows[m]![n]! / rows[n]![n]!;
      for (let k = n; k <= rows.length; k++) rows[m]![k]! -= factor * rows[n]![k]!;
    }
  }
  const solution = new Array<number>(rows.length).fill(0);
  for (let n = rows.length - 1; n >= 0; n--) {
    const known = solution.reduce((sum, value, k) => (k > n ? sum + rows[n]![k]! * value : sum), 0);
    solution[n] = (rows[n]!.at(-1)! - known) / rows[n]![n]!;
  }
  return solution;
}
