import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areaUnderRoc } from '../../src/eval/auroc.js';
import {
  type CalibrationSample,
  calibrate,
  calibrationSamples,
  reliabilityOf,
} from '../../src/eval/calibrate.js';
import { fitEvidence, fitPlatt } from '../../src/eval/fit-curves.js';
import { reliabilityPlot } from '../../src/eval/reliability-plot.js';
import type { ResultLine } from '../../src/eval/results-log.js';
import { SeededRandom } from '../../src/eval/seeded-random.js';
import { chanceOf, confidenceOf, inspectModel, storeCalibration } from '../../src/vlm/index.js';
import { temporaryFolder } from '../support/folders.js';
import { untrainedModel } from '../support/models.js';

/** Answers whose chance to be right is the given curve of their log-probabilities. */
function draw(count: number, curve: { intercept: number; mean: number; min: number }, seed = 'a') {
  const random = new SeededRandom(seed);
  const share = () => random.below(1_000_000) / 1_000_000;
  return Array.from({ length: count }, (_, n): CalibrationSample => {
    const mean = -2 * share() ** 2;
    const logProb = { mean, min: mean * (2 + 6 * share()) };
    return { logProb, right: share() < chanceOf(logProb, curve), document: `d${n % 40}` };
  });
}

const TRUTH = { intercept: 3, mean: 1.5, min: 0.6 };

describe('a fitted curve', () => {
  it('comes near the one that the answers were drawn from', () => {
    const curve = fitPlatt(draw(4_000, TRUTH));
    const off = draw(500, TRUTH, 'b').map(({ logProb }) =>
      Math.abs(chanceOf(logProb, curve) - chanceOf(logProb, TRUTH)),
    );
    expect(off.reduce((sum, value) => sum + value, 0) / off.length).toBeLessThan(0.02);
  });

  it('never calls a less likely answer more certain', () => {
    // Here the less likely answers are right.
    const upsideDown = draw(400, TRUTH).map((sample) => ({ ...sample, right: !sample.right }));
    const curve = fitPlatt(upsideDown);
    expect(curve.mean).toBeGreaterThanOrEqual(0);
    expect(curve.min).toBeGreaterThanOrEqual(0);
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ mean: fc.double({ min: -9, max: 0, noNaN: true }), right: fc.boolean() }),
          { minLength: 20, maxLength: 60 },
        ),
        (answers) => {
          const { intercept, mean, min } = fitPlatt(
            answers.map(({ mean, right }) => ({ logProb: { mean, min: 3 * mean }, right })),
          );
          expect(mean).toBeGreaterThanOrEqual(0);
          expect(min).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(intercept)).toBe(true);
        },
      ),
    );
  });

  it('of answers that are all right, or all wrong, is sure of neither beyond what was seen', () => {
    const all = (right: boolean) =>
      fitPlatt(draw(50, TRUTH).map(({ logProb }) => ({ logProb, right })));
    const logProb = { mean: -0.1, min: -0.5 };
    expect(chanceOf(logProb, all(true))).toBeGreaterThan(0.95);
    expect(chanceOf(logProb, all(true))).toBeLessThan(0.99);
    expect(chanceOf(logProb, all(false))).toBeLessThan(0.05);
    expect(chanceOf(logProb, all(false))).toBeGreaterThan(0.01);
  });

  it('stays finite where one value parts right from wrong', () => {
    const samples = Array.from({ length: 40 }, (_, n) => ({
      logProb: { mean: n < 20 ? -1 : -0.01, min: -1 },
      right: n >= 20,
    }));
    const curve = fitPlatt(samples);
    expect(chanceOf({ mean: -0.01, min: -1 }, curve)).toBeGreaterThan(0.85);
    expect(chanceOf({ mean: -1, min: -1 }, curve)).toBeLessThan(0.15);
  });
});

/** Answers whose chance to be right is told by where they stand in the text. */
function drawEvident(count: number, seed = 'e') {
  const random = new SeededRandom(seed);
  const share = () => random.below(1_000_000) / 1_000_000;
  return Array.from({ length: count }, (_, n) => {
    const notFound = share() < 0.2;
    const evidence = { notFound, verdict: false, asked: share(), beside: notFound ? 0 : share() };
    const mean = -share();
    const score = notFound ? 2 - 4 * evidence.asked : 5 * evidence.beside + mean - 2;
    const right = share() < 1 / (1 + Math.exp(-score));
    const logProb = { mean, min: 2 * mean };
    return { logProb, evidence, right, document: `d${n % 40}` };
  });
}

describe('a curve that was fitted on evidence', () => {
  it('tells right from wrong where log-probabilities do not', () => {
    const samples = drawEvident(1_000);
    const curve = fitEvidence(samples);
    const others = drawEvident(1_000, 'f');
    const areaBy = (evident: boolean) =>
      areaUnderRoc(
        others.map(({ logProb, evidence, right }) => ({
          chance: (evident
            ? confidenceOf(logProb, curve, evidence)
            : confidenceOf(logProb, fitPlatt(samples))
          ).confidence!,
          right,
        })),
      )!;
    expect(areaBy(true)).toBeGreaterThan(areaBy(false) + 0.15);
    expect(curve.weights.beside).toBeGreaterThan(2);
    expect(curve.weights.not_found_asked).toBeLessThan(-1);
    expect(calibrate(samples).calibrated.expectedCalibrationError).toBeLessThan(0.06);
  });

  it('never holds against an answer what speaks for it', () => {
    const upsideDown = drawEvident(400).map((sample) => ({ ...sample, right: !sample.right }));
    const { weights } = fitEvidence(upsideDown);
    for (const name of ['mean_log_prob', 'min_log_prob', 'beside'] as const)
      expect(weights[name]).toBeGreaterThanOrEqual(0);
  });

  it('doubts answers that are hardly ever right, and says below which chance', () => {
    const hopeless = Array.from({ length: 100 }, (_, n) => ({
      logProb: { mean: -1, min: -2 },
      evidence: { notFound: false, verdict: false, asked: 1, beside: n % 2 },
      right: n % 2 === 1 && n % 10 !== 1,
      document: `d${n % 20}`,
    }));
    const { calibration } = calibrate(hopeless);
    if (!('weights' in calibration)) throw new Error('fitted without evidence');
    const chance = (beside: number) =>
      confidenceOf({ mean: -1, min: -2 }, calibration, { ...hopeless[0]!.evidence, beside });
    expect(calibration.doubtfulBelow).toBeGreaterThan(0);
    expect(chance(0).doubtful).toBe(true);
    expect(chance(1).doubtful).toBe(false);
  });

  it('needs the evidence of every answer', () => {
    const [first, ...others] = drawEvident(40);
    const { evidence: _, ...bare } = first!;
    expect('weights' in calibrate([first!, ...others]).calibration).toBe(true);
    expect('weights' in calibrate([bare, ...others]).calibration).toBe(false);
  });

  it('counts an answer as many times as its weight says', () => {
    const samples = drawEvident(60);
    const twice = [...samples, ...samples];
    const weighed = samples.map((sample) => ({ ...sample, weight: 2 }));
    const { beside } = fitEvidence(twice).weights;
    expect(fitEvidence(weighed).weights.beside).toBeCloseTo(beside);
    expect(reliabilityOf(weighed.map((one) => ({ ...one, chance: 0.3 }))).brierScore).toBeCloseTo(
      reliabilityOf(twice.map((one) => ({ ...one, chance: 0.3 }))).brierScore,
    );
    const judged = samples.map(({ logProb, right }, n) => ({
      chance: Math.exp(logProb.mean),
      right,
      weight: 1 + (n % 3),
    }));
    const repeated = judged.flatMap(({ weight, ...one }) =>
      Array.from({ length: weight }, () => one),
    );
    expect(areaUnderRoc(judged)).toBeCloseTo(areaUnderRoc(repeated)!);
  });
});

describe('reliability', () => {
  it('is worked out by hand', () => {
    const judged = [
      { chance: 0.95, right: true },
      { chance: 0.95, right: false },
      { chance: 0.15, right: false },
      { chance: 0.15, right: false },
    ];
    const { bins, expectedCalibrationError, brierScore } = reliabilityOf(judged);
    // (2/4)·|0.95 − 0.5| + (2/4)·|0.15 − 0|
    expect(expectedCalibrationError).toBeCloseTo(0.3);
    expect(brierScore).toBeCloseTo((0.05 ** 2 + 0.95 ** 2 + 2 * 0.15 ** 2) / 4);
    expect(bins[9]).toMatchObject({ answers: 2, accuracy: 0.5, from: 0.9, to: 1 });
    expect(bins[5]).toMatchObject({ answers: 0, accuracy: null, confidence: null });
    expect(reliabilityOf([{ chance: 1, right: true }]).bins[9]!.answers).toBe(1);
  });

  it('of calibrated chances on held-out documents beats exp(mean)', () => {
    const { calibration, calibrated, uncalibrated } = calibrate(draw(1_000, TRUTH));
    expect(calibrated.expectedCalibrationError).toBeLessThan(0.04);
    expect(uncalibrated.expectedCalibrationError).toBeGreaterThan(0.08);
    expect(calibrated.brierScore).toBeLessThan(uncalibrated.brierScore);
    expect(calibration).toMatchObject({
      questions: 1_000,
      expectedCalibrationError: calibrated.expectedCalibrationError,
    });
  });

  it('needs enough answers', () => {
    expect(() => calibrate(draw(19, TRUTH))).toThrow('19 answers are too few to calibrate');
    expect(calibrate(draw(20, TRUTH)).calibration.questions).toBe(20);
  });
});

describe('samples', () => {
  it('are answers with known tokens', () => {
    const base = { id: 'q', document: 'd' };
    const answered = { ...base, score: { value: 1, notFound: false }, answer: 'a' } as ResultLine;
    const logProb = { mean: -0.5, min: -1 };
    expect(
      calibrationSamples([
        { ...base, error: { code: 'GP_BUSY', message: '', retryable: true } },
        answered,
        { ...answered, logProb } as ResultLine,
        { ...answered, logProb, score: { value: 0, notFound: true } } as ResultLine,
      ]),
    ).toEqual([
      { logProb, right: true, document: 'd' },
      { logProb, right: false, document: 'd' },
    ]);
  });
});

it('of samples, those that a text does not answer count as a fifth, with the document that they were made of', () => {
  const line = (id: string, document: string) =>
    ({
      id,
      document,
      answer: 'a',
      score: { value: 1, notFound: false },
      logProb: { mean: -1, min: -1 },
    }) as ResultLine;
  const lines = [
    ...Array.from({ length: 8 }, (_, n) => line(`q${n}`, 'letter.txt')),
    ...Array.from({ length: 4 }, (_, n) => line(`a${n}`, `letter.txt#cut-${n}`)),
  ];
  const absent = new Set(['a0', 'a1', 'a2', 'a3']);
  const samples = calibrationSamples(lines, absent);
  expect(samples.map(({ weight }) => weight ?? 1)).toEqual([
    ...Array(8).fill(1),
    ...Array(4).fill(0.5),
  ]);
  expect(new Set(samples.map(({ document }) => document))).toEqual(new Set(['letter.txt']));
  // Fewer are not made more.
  expect(
    calibrationSamples(lines, new Set(['a0'])).every(({ weight }) => weight === undefined),
  ).toBe(true);
});

it('the picture is SVG with both curves', () => {
  const svg = reliabilityPlot('a <model>', calibrate(draw(300, TRUTH)));
  expect(svg).toMatch(/^<svg xmlns/);
  expect(svg).toContain('a &lt;model&gt;');
  expect(svg.match(/<polyline/g)).toHaveLength(2);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

describe('a stored calibration', () => {
  const { calibration } = calibrate(draw(100, TRUTH));
  it('is found in the model, and leaves the rest and the hash as they were', () => {
    const dir = untrainedModel(path.join(temporaryFolder(), 'model'));
    const before = inspectModel(dir);
    expect(before.calibrations).toEqual({ pages: null, text: null });
    storeCalibration(dir, calibration, 'pages');
    const calibrations = { pages: calibration, text: null };
    expect(inspectModel(dir)).toEqual({ ...before, calibrations });
    const ofText = { ...calibration, expectedCalibrationError: null };
    storeCalibration(dir, ofText, 'text');
    expect(inspectModel(dir)).toEqual({
      ...before,
      calibrations: { ...calibrations, text: ofText },
    });
  });
  it('leaves the hash also of a model that said nothing of itself, and its indentation', () => {
    const dir = untrainedModel(path.join(temporaryFolder(), 'model'));
    const file = path.join(dir, 'config.json');
    const { glyphpress: _, ...plain } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify(plain, null, 4));
    const before = inspectModel(dir).checkpointHash;
    storeCalibration(dir, calibration, 'pages');
    storeCalibration(dir, calibration, 'text');
    expect(inspectModel(dir).checkpointHash).toBe(before);
    expect(readFileSync(file, 'utf8')).toMatch(/^\{\n {4}"/);
  });
});
