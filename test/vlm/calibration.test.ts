import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import {
  type Calibration,
  calibrationJson,
  chanceOf,
  confidenceOf,
  curveFor,
  parseCalibration,
} from '../../src/vlm/calibration.js';
import { ConfigReader } from '../../src/vlm/config-reader.js';
import type { EvidenceCurve } from '../../src/vlm/evidence-curve.js';
import { logSumExp, summariseLogProbs } from '../../src/vlm/log-probability.js';

const logProbs = fc.double({ min: -60, max: 0, noNaN: true });

describe('log-probabilities', () => {
  it('are normalised by log Σ exp', () => {
    expect(logSumExp(Float32Array.of(0, 0, 0, 0))).toBeCloseTo(Math.log(4));
    // Worked by hand: log(e + e²) = 1 + log(1 + e).
    expect(logSumExp(Float32Array.of(1, 2))).toBeCloseTo(1 + Math.log(1 + Math.E));
    expect(logSumExp(Float32Array.of(1000, 1000))).toBeCloseTo(1000 + Math.log(2));
  });
  it('of an answer are its mean and its least', () => {
    expect(summariseLogProbs([])).toBeNull();
    expect(summariseLogProbs([-1, -3, -2])).toEqual({ mean: -2, min: -3 });
    fc.assert(
      fc.property(fc.array(logProbs, { minLength: 1 }), (all) => {
        const { mean, min } = summariseLogProbs(all)!;
        expect(min).toBeLessThanOrEqual(mean + 1e-9);
        expect(mean).toBeLessThanOrEqual(0);
      }),
    );
  });
});

const curve = fc.record({
  intercept: fc.double({ min: -20, max: 20, noNaN: true }),
  mean: fc.double({ min: 0, max: 20, noNaN: true }),
  min: fc.double({ min: 0, max: 20, noNaN: true }),
});

describe('a confidence', () => {
  it('without calibration is exp(mean), and says so', () => {
    expect(confidenceOf({ mean: Math.log(0.5), min: -9 }, null)).toEqual({
      confidence: 0.5,
      meanLogProb: Math.log(0.5),
      calibrated: false,
      doubtful: false,
    });
  });
  it('of nothing is null', () => {
    expect(confidenceOf(null, { intercept: 0, mean: 1, min: 1 })).toEqual({
      confidence: null,
      meanLogProb: null,
      calibrated: false,
      doubtful: false,
    });
  });
  it('is worked out by hand', () => {
    // 1 / (1 + e^−(2 − 1 − 1))
    expect(chanceOf({ mean: -0.5, min: -2 }, { intercept: 2, mean: 2, min: 0.5 })).toBeCloseTo(0.5);
  });
  it('is within 0 and 1, and grows with what it is made from', () => {
    fc.assert(
      fc.property(curve, logProbs, logProbs, (platt, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        for (const chance of [chanceOf({ mean: a, min: b }, platt)]) {
          expect(chance).toBeGreaterThanOrEqual(0);
          expect(chance).toBeLessThanOrEqual(1);
        }
        expect(chanceOf({ mean: high, min: low }, platt)).toBeGreaterThanOrEqual(
          chanceOf({ mean: low, min: low }, platt),
        );
      }),
    );
    expect(
      chanceOf({ mean: -Infinity, min: -Infinity }, { intercept: 1, mean: 0, min: 0 }),
    ).toBeCloseTo(0.731, 3);
  });
});

describe('a confidence by evidence', () => {
  const evidence = { notFound: false, verdict: false, asked: 1, beside: 0.5 };
  const curve: EvidenceCurve = {
    intercept: -1,
    weights: {
      not_found: 2,
      not_found_asked: -3,
      mean_log_prob: 1,
      min_log_prob: 0.5,
      beside: 4,
      verdict: 1,
    },
    doubtfulBelow: 0.2,
  };
  const logProb = { mean: -0.5, min: -1 };
  const logistic = (score: number) => 1 / (1 + Math.exp(-score));

  it('is worked out by hand', () => {
    const { confidence, calibrated, doubtful } = confidenceOf(logProb, curve, evidence);
    expect(confidence).toBeCloseTo(logistic(-1 - 0.5 - 0.5 + 2));
    expect({ calibrated, doubtful }).toEqual({ calibrated: true, doubtful: false });
    // Of an answer that says "not found" what stands in the text counts, and not how it is put.
    const absent = { ...evidence, notFound: true, asked: 0.5 };
    expect(confidenceOf(logProb, curve, absent).confidence).toBeCloseTo(logistic(-1 + 2 - 1.5));
    const yes = confidenceOf(logProb, curve, { ...evidence, verdict: true, beside: 0 });
    expect(yes.confidence).toBeCloseTo(logistic(-1 - 0.5 - 0.5 + 1));
  });

  it('is doubted below its bound, unless the answer says itself that nothing was found', () => {
    const bare = { ...evidence, beside: 0 };
    expect(confidenceOf(logProb, curve, bare)).toMatchObject({ calibrated: true, doubtful: true });
    const absent = { ...bare, notFound: true };
    expect(confidenceOf(logProb, curve, absent).confidence).toBeLessThan(0.2);
    expect(confidenceOf(logProb, curve, absent).doubtful).toBe(false);
    const boundless = { ...curve, doubtfulBelow: null };
    expect(confidenceOf(logProb, boundless, bare).doubtful).toBe(false);
  });

  it('without evidence is not calibrated', () => {
    const found = confidenceOf({ mean: Math.log(0.5), min: -1 }, curve);
    expect(found).toMatchObject({ calibrated: false, doubtful: false });
    expect(found.confidence).toBeCloseTo(0.5);
  });

  it('is within 0 and 1, and grows with what speaks for the answer', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(logProbs, share, share, fc.boolean(), (mean, a, b, verdict) => {
        const chance = (beside: number) =>
          confidenceOf({ mean, min: -Infinity }, curve, { ...evidence, verdict, beside })
            .confidence!;
        expect(chance(a)).toBeGreaterThanOrEqual(0);
        expect(chance(a)).toBeLessThanOrEqual(1);
        expect(chance(Math.max(a, b))).toBeGreaterThanOrEqual(chance(Math.min(a, b)));
      }),
    );
  });

  describe('in config.json', () => {
    const calibration: Calibration = {
      ...curve,
      questions: 200,
      right: 150,
      expectedCalibrationError: 0.03,
    };
    const parse = (raw: Record<string, unknown>) =>
      parseCalibration(new ConfigReader(raw, 'config.json', 'glyphpress.text_calibration.'));

    it('is read as it was written', () => {
      const json = JSON.parse(JSON.stringify(calibrationJson(calibration)));
      expect(json).toMatchObject({ method: 'evidence', version: 1, beside: 4 });
      expect(parse(json)).toEqual(calibration);
      const boundless = { ...calibration, doubtfulBelow: null };
      expect(parse(JSON.parse(JSON.stringify(calibrationJson(boundless))))).toEqual(boundless);
    });
    it.each([
      ['version', 2],
      ['version', undefined],
      ['beside', -1],
      ['verdict', 'yes'],
      ['not_found', undefined],
      ['doubtful_below', 3],
    ])('with %s of %j is refused by name', (key, value) => {
      const raw = { ...calibrationJson(calibration), [key]: value };
      expect(() => parse(raw)).toThrow(`glyphpress.text_calibration.${key}`);
    });
  });
});

it('text is judged by its own curve, else by that of pages', () => {
  const curve = {
    intercept: 1,
    mean: 1,
    min: 1,
    questions: 40,
    right: 20,
    expectedCalibrationError: null,
  };
  const ofText = { ...curve, intercept: 2 };
  expect(curveFor({ pages: curve, text: ofText }, 'text')).toBe(ofText);
  expect(curveFor({ pages: curve, text: ofText }, 'pages')).toBe(curve);
  expect(curveFor({ pages: curve, text: null }, 'text')).toBe(curve);
  expect(curveFor({ pages: null, text: ofText }, 'pages')).toBeNull();
});

describe('a calibration in config.json', () => {
  const calibration: Calibration = {
    intercept: 3.5,
    mean: 2,
    min: 0.25,
    questions: 200,
    right: 150,
    expectedCalibrationError: 0.03,
  };
  const parse = (raw: Record<string, unknown>) =>
    parseCalibration(new ConfigReader(raw, 'config.json', 'glyphpress.calibration.'));

  it('is read as it was written', () => {
    expect(parse(calibrationJson(calibration))).toEqual(calibration);
    const unknown = { ...calibration, expectedCalibrationError: null };
    expect(parse(JSON.parse(JSON.stringify(calibrationJson(unknown))))).toEqual(unknown);
    expect(parseCalibration(undefined)).toBeNull();
  });
  it.each([
    ['method', 'isotonic'],
    ['intercept', 'high'],
    ['intercept', undefined],
    ['mean_log_prob', -1],
    ['min_log_prob', null],
    ['questions', 0],
    ['right', 201],
    ['expected_calibration_error', 2],
  ])('with %s of %j is refused by name', (key, value) => {
    const raw = { ...calibrationJson(calibration), [key]: value };
    expect(() => parse(raw)).toThrow(GlyphpressError);
    expect(() => parse(raw)).toThrow(`glyphpress.calibration.${key}`);
  });
});
