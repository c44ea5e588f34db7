/** Against the authors' own code: test/fixtures/prune/README.md says how the fixtures were made. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  APET_FORMS,
  type ApetForm,
  approximationErrors,
  type BasisChoice,
  dropBeforeLayer,
  predictTokens,
  pruneByApproximationError,
  selectByVariation,
  tokenVariation,
  V2DROP_SCHEDULES,
  type VariationMetric,
} from '../../src/prune/index.js';
import { SafetensorsFile } from '../../src/vlm/safetensors.js';

const FOLDER = fileURLToPath(new URL('../fixtures/prune', import.meta.url));
const json = (name: string) => JSON.parse(readFileSync(`${FOLDER}/${name}.json`, 'utf8'));

class Tensors {
  readonly #file: SafetensorsFile;

  constructor(name: string) {
    this.#file = SafetensorsFile.open(`${FOLDER}/${name}.safetensors`);
  }

  floats(name: string): Float32Array {
    return this.#file.readFloat32(name);
  }

  int32(name: string): number[] {
    const bytes = this.#file.readBytes(name);
    return [...new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)];
  }
}

/** Largest difference as a share of the largest value. */
function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  expect(actual).toHaveLength(expected.length);
  let [difference, largest] = [0, 0];
  expected.forEach((value, i) => {
    difference = Math.max(difference, Math.abs(actual[i]! - value));
    largest = Math.max(largest, Math.abs(value));
  });
  return difference / largest;
}

describe('ApET, as the authors’ code computes it', () => {
  interface Case {
    name: string;
    form: ApetForm;
    keepCount: number;
    basisTokenCount: number;
    basisChoice: BasisChoice;
    starts?: number[];
    basisRows?: number[][];
  }
  const { dim, cases } = json('apet') as { dim: number; cases: Case[] };
  const tensors = new Tensors('apet');

  it.each(cases)('$name: errors, kept rows and values', ({ name, form, ...given }) => {
    const x = tensors.floats(`${name}.x`);
    const kept = tensors.int32(`${name}.kept`);
    const images = kept.length / given.keepCount;
    const size = x.length / images;
    for (let image = 0; image < images; image++) {
      const options = {
        ...APET_FORMS[form],
        scope: 'document',
        keepCount: given.keepCount,
        basisTokenCount: given.basisTokenCount,
        basisChoice: given.basisChoice,
        ...(given.starts && { start: given.starts[image]! }),
        ...(given.basisRows && { basisRows: Int32Array.from(given.basisRows[image]!) }),
      } as const;
      const tokens = x.subarray(image * size, (image + 1) * size);
      const part = <T extends { slice(from: number, to: number): T; length: number }>(all: T): T =>
        all.slice((image * all.length) / images, ((image + 1) * all.length) / images);
      const { errors } = approximationErrors(tokens, dim, options);
      expect(relativeDifference(errors, part(tensors.floats(`${name}.errors`)))).toBeLessThan(1e-5);
      const result = pruneByApproximationError(tokens, dim, options);
      expect([...result.keptRows]).toEqual(part(kept));
      const expected = part(tensors.floats(`${name}.tokens`));
      for (let row = 0; row < given.keepCount; row++) {
        const at = (all: Float32Array) => all.subarray(row * dim, (row + 1) * dim);
        expect(relativeDifference(at(result.tokens), at(expected))).toBeLessThan(1e-5);
      }
    }
  });

  it('ranks two images apart in scope page, as LLaVA does per image', () => {
    const [{ name, form, keepCount, basisTokenCount, starts }] = cases as [Case, ...Case[]];
    const x = tensors.floats(`${name}.x`);
    const rows = x.length / dim / 2;
    const pageOfRow = Int32Array.from({ length: 2 * rows }, (_, row) => (row < rows ? 0 : 1));
    // The two images begin at different rows; given as their whole basis, which the errors name.
    const basisRows = Int32Array.from(
      [0, 1].flatMap((image) => {
        const tokens = x.subarray(image * rows * dim, (image + 1) * rows * dim);
        const options = { basisTokenCount, start: starts![image]! };
        const basis = approximationErrors(tokens, dim, options).basisRows;
        return [...basis].map((row) => row + image * rows);
      }),
    );
    const { keptRows, tokens } = pruneByApproximationError(x, dim, {
      ...APET_FORMS[form],
      scope: 'page',
      pageOfRow,
      keepCount: 2 * keepCount,
      basisRows,
    });
    const kept = tensors.int32(`${name}.kept`);
    expect([...keptRows]).toEqual(kept.map((row, i) => row + (i < keepCount ? 0 : rows)));
    expect(relativeDifference(tokens, tensors.floats(`${name}.tokens`))).toBeLessThan(1e-5);
  });
});

describe('V²Drop, as the authors’ code computes it', () => {
  interface Run {
    name: string;
    metric: VariationMetric;
    layers: number[];
    keep: number[];
    layerTokens: number[];
  }
  const { dim, runs, paper } = json('v2drop') as {
    dim: number;
    runs: Run[];
    paper: Record<string, Run>;
  };
  const tensors = new Tensors('v2drop');
  const scheduleOf = {
    llava: V2DROP_SCHEDULES['llava-code'],
    'llava-cosine': V2DROP_SCHEDULES['llava-code-cosine'],
    'qwen2-vl': V2DROP_SCHEDULES['qwen2-vl-code'],
  } as Record<string, (typeof V2DROP_SCHEDULES)[keyof typeof V2DROP_SCHEDULES]>;

  it.each(runs)('$name: scores and kept rows at every drop', ({ name, metric }) => {
    const { plan } = scheduleOf[name]!;
    plan.decoder.forEach((drop, n) => {
      const [before, after] = [`${name}.${n}.before`, `${name}.${n}.after`].map((part) =>
        tensors.floats(part),
      );
      const variation = tokenVariation(before!, after!, dim, metric);
      const scores = tensors.floats(`${name}.${n}.scores`);
      expect(relativeDifference(variation, scores)).toBeLessThan(1e-5);
      const kept = tensors.int32(`${name}.${n}.kept`);
      const budget = { keepRatio: drop.keepRatio, keepCount: drop.keepCount } as typeof drop;
      expect([...selectByVariation(variation, budget)]).toEqual(kept);
      const pageOfRow = new Int32Array(variation.length);
      expect([...dropBeforeLayer(variation, drop, plan, pageOfRow)]).toEqual(kept);
    });
  });

  it('l1 is the 1-norm of the difference', () => {
    for (let n = 0; n < 3; n++) {
      const [before, after, l1] = ['before', 'after', 'l1'].map((part) =>
        tensors.floats(`llava.${n}.${part}`),
      );
      expect(relativeDifference(tokenVariation(before!, after!, dim, 'l1'), l1!)).toBeLessThan(
        1e-5,
      );
    }
  });

  it.each(runs)('$name: the tokens of every layer', ({ name, layers, layerTokens }) => {
    const { plan, decoderLayers, visualTokens } = scheduleOf[name]!;
    expect(plan.decoder.map(({ layer }) => layer)).toEqual(layers);
    expect(predictTokens(visualTokens, decoderLayers, plan).layerTokens).toEqual(layerTokens);
  });

  it.each([
    ['192', 193.75],
    ['128', 131],
    ['64', 66.71875],
  ])('the paper’s schedule for %s tokens has a mean of %d', (name, mean) => {
    const { plan, visualTokens } = V2DROP_SCHEDULES[`paper-${name}` as 'paper-192'];
    const account = predictTokens(visualTokens, 32, plan);
    expect(account.layerTokens).toEqual(paper[name]!.layerTokens);
    expect(account.contextTokens).toBe(mean);
    expect(account.finalTokens).toBe(1);
  });

  it('counts 202.8 for the released LLaVA code and 22.6 % for the Qwen2-VL code', () => {
    const mean = ({ plan, visualTokens, decoderLayers }: (typeof scheduleOf)[string]) =>
      predictTokens(visualTokens, decoderLayers, plan).contextTokens;
    expect(mean(scheduleOf.llava!)).toBe(202.8125);
    expect(mean(scheduleOf['qwen2-vl']!) / 400).toBeCloseTo(0.226, 3);
  });
});
