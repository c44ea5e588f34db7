/**
 * Results of questions with known answers → the curve that makes them chances, and how true its chances are.
 *
 * Where the evidence of every answer is known the curve is fitted on it, else on log-probabilities alone
 * (src/eval/fit-curves.ts).
 */
import { GlyphpressError } from '../errors.js';
import type { Calibration, ConfidenceCurve } from '../vlm/index.js';
import { confidenceOf } from '../vlm/index.js';
import { areaUnderRoc } from './auroc.js';
import { type EvidentAnswer, type FittedAnswer, fitEvidence, fitPlatt } from './fit-curves.js';
import { type Interval, wilsonInterval } from './interval.js';
import type { ResultLine } from './results-log.js';

export interface CalibrationSample extends FittedAnswer, Partial<Pick<EvidentAnswer, 'evidence'>> {
  /** Questions about one document depend on each other: they are held out together. */
  document: string;
}

/** Fewer answers than this say nothing. */
export const MIN_SAMPLES = 20;
const FOLDS = 5;
const BINS = 10;
/** How many of the questions that people ask a text does not answer, where too many of such were asked. */
const ABSENT_SHARE = 0.2;
/** Of answers that are called doubtful, at most this share may be right. */
const RIGHT_OF_DOUBTFUL = 0.1;

/**
 * Answers with known tokens; a question that failed is none.
 *
 * @param absent ids of questions that their text does not answer: where they are more than
 *   {@link ABSENT_SHARE}, each counts for less than one
 */
export function calibrationSamples(
  results: Iterable<ResultLine>,
  absent: ReadonlySet<string> = new Set(),
): CalibrationSample[] {
  const answered = [...results].flatMap((result) =>
    'error' in result || !result.logProb ? [] : [{ ...result, logProb: result.logProb }],
  );
  const absentCount = answered.filter(({ id }) => absent.has(id)).length;
  const others = answered.length - absentCount;
  const weight = Math.min(1, (ABSENT_SHARE / (1 - ABSENT_SHARE)) * (others / absentCount));
  return answered.map(({ id, document, logProb, score, evidence }) => ({
    logProb,
    right: score.value === 1,
    // What was made of a document depends on it.
    document: document.replace(/#.*$/, ''),
    ...(evidence && { evidence }),
    ...(absent.has(id) && weight < 1 && { weight }),
  }));
}

export interface ReliabilityBin extends Interval {
  from: number;
  to: number;
  /** By their weight. */
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
  /** See {@link areaUnderRoc}. */
  areaUnderRoc: number | null;
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
  const heldOut = heldOutChances(samples);
  const calibrated = reliabilityOf(heldOut);
  const uncalibrated = reliabilityOf(
    samples.map((sample) => ({ ...sample, chance: chanceBy(null, sample) })),
  );
  const curve = fitCurve(samples);
  const calibration = {
    ...curve,
    ...('weights' in curve && { doubtfulBelow: boundOfDoubt(heldOut) }),
    questions: samples.length,
    right: samples.filter(({ right }) => right).length,
    expectedCalibrationError: calibrated.expectedCalibrationError,
  };
  return { calibration, calibrated, uncalibrated };
}

interface Judged extends Pick<FittedAnswer, 'right' | 'weight'> {
  chance: number;
}

function fitCurve(samples: readonly CalibrationSample[]): ConfidenceCurve {
  const isEvident = (sample: CalibrationSample): sample is CalibrationSample & EvidentAnswer =>
    sample.evidence !== undefined;
  return samples.every(isEvident) ? fitEvidence(samples) : fitPlatt(samples);
}

const chanceBy = (curve: ConfidenceCurve | null, { logProb, evidence }: CalibrationSample) =>
  confidenceOf(logProb, curve, evidence).confidence!;

/** The highest of the bins' borders below which answers that say something are hardly ever right; null for none. */
function boundOfDoubt(judged: readonly (Judged & CalibrationSample)[]): number | null {
  const said = judged.filter(({ evidence }) => !evidence?.notFound);
  const bounds = Array.from({ length: 2 * BINS }, (_, n) => (n + 1) / (2 * BINS));
  const isHopeless = (bound: number) => {
    const below = said.filter(({ chance }) => chance < bound);
    return (
      below.length > 0 &&
      weightOf(below.filter(({ right }) => right)) <= RIGHT_OF_DOUBTFUL * weightOf(below)
    );
  };
  return bounds.filter(isHopeless).at(-1) ?? null;
}

const weightOf = (judged: readonly Pick<Judged, 'weight'>[]) =>
  judged.reduce((sum, { weight = 1 }) => sum + weight, 0);

/** Every answer judged by a curve that knows nothing of its document. */
function heldOutChances(samples: readonly CalibrationSample[]): (Judged & CalibrationSample)[] {
  const documents = [...new Set(samples.map(({ document }) => document))];
  const foldOf = (sample: CalibrationSample, n: number) =>
    (documents.length >= FOLDS ? documents.indexOf(sample.document) : n) % FOLDS;
  return Array.from({ length: FOLDS }, (_, fold) => {
    const curve = fitCurve(samples.filter((sample, n) => foldOf(sample, n) !== fold));
    return samples
      .filter((sample, n) => foldOf(sample, n) === fold)
      .map((sample) => ({ ...sample, chance: chanceBy(curve, sample) }));
  }).flat();
}

export function reliabilityOf(judged: readonly Judged[]): Reliability {
  const bins = Array.from({ length: BINS }, (_, n): ReliabilityBin => {
    const inside = judged.filter(({ chance }) => binOf(chance) === n);
    const answers = weightOf(inside);
    const right = weightOf(inside.filter((one) => one.right));
    const sum = inside.reduce((total, { chance, weight = 1 }) => total + weight * chance, 0);
    return {
      from: n / BINS,
      to: (n + 1) / BINS,
      answers,
      confidence: answers === 0 ? null : sum / answers,
      accuracy: answers === 0 ? null : right / answers,
      ...wilsonInterval(right, answers),
    };
  });
  const total = weightOf(judged) || 1;
  const squared = (one: Judged) => (one.chance - (one.right ? 1 : 0)) ** 2;
  return {
    bins,
    expectedCalibrationError: bins.reduce(
      (sum, { answers, confidence, accuracy }) =>
        answers === 0 ? sum : sum + (answers / total) * Math.abs(confidence! - accuracy!),
      0,
    ),
    brierScore: judged.reduce((sum, one) => sum + (one.weight ?? 1) * squared(one), 0) / total,
    areaUnderRoc: areaUnderRoc(judged),
  };
}

const binOf = (chance: number) => Math.min(BINS - 1, Math.floor(chance * BINS));
