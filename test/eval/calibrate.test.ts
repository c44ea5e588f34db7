import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CalibrationSample,
  calibrate,
  calibrationSamples,
  fitPlatt,
  reliabilityOf,
} from '../../src/eval/calibrate.js';
import { reliabilityPlot } from '../../src/eval/reliability-plot.js';
import type { ResultLine } from '../../src/eval/results-log.js';
import { SeededRandom } from '../../src/eval/seeded-random.js';
import { chanceOf, inspectModel, storeCalibration } from '../../src/vlm/index.js';
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
