/**
 * Which form each weight of a model takes for a dtype, and the name that the choice gives the model.
 *
 * Nothing here knows a family: graphs are built once on paper, and what they multiply by may be
 * quantised; what they add, look up or scale by stays float.
 */
import { createHash } from 'node:crypto';
import type { Checkpoint } from '../checkpoint.js';
import { EMBEDDING } from '../decoders/decoder-graph.js';
import { headGraph, stageGraph, visionGraph } from '../families/graphs.js';
import { GraphBuilder } from '../graph-builder.js';
import type { QuantisedBits } from './quantise.js';
import { matrixShape, type StoredWeight } from './stored-weight.js';

/** What the weights of the decoder are held in. Sums are float32 whatever it is. */
export type Dtype = 'fp32' | 'fp16' | 'int8' | 'int4';

export const DTYPES: readonly Dtype[] = ['fp32', 'fp16', 'int8', 'int4'];

/** Raise it when equal weights come out as other codes, or equal codes are multiplied otherwise. */
export const QUANTISER_VERSION = 4;

/** Values that share a scale. */
export const BLOCK_SIZE = 32;

export type WeightForm =
  | { float: 'F32' | 'F16' | 'BF16' }
  | { bits: QuantisedBits; blockSize: number; offset: BlockOffset };

/**
 * What lets the values of a block lie unevenly around zero: nothing, the code that stands for zero, or
 * (in a GGUF file) what code 0 stands for.
 */
export type BlockOffset = 'none' | 'zeros' | 'minima';

/** Where a weight is used. The embedding is looked up by the host, in no graph. */
export type ModelPart = 'vision' | 'decoder' | 'head' | 'embedding';

export interface WeightUse {
  part: ModelPart;
  /** Rows are multiplied by it, and nothing else happens to it. */
  multiplied: boolean;
  /** It belongs to one of a row of equal blocks; patch embedding, merger and head do not. */
  inBlock: boolean;
}

const IN_BLOCK = /\.(layers|blocks)\.\d+\./;

/** What the numbers of a matrix can be held in, by the name of the dtype that holds all of them so. */
export const MATRIX_FORMS = {
  fp32: { float: 'F32' },
  fp16: { float: 'F16' },
  int8: { bits: 8, blockSize: BLOCK_SIZE, offset: 'none' },
  int4: { bits: 4, blockSize: BLOCK_SIZE, offset: 'zeros' },
} as const satisfies Record<Dtype, WeightForm>;

const { fp32: F32, fp16: F16, int8: INT8, int4: INT4 } = MATRIX_FORMS;

/**
 * Form of the multiplied weights of each part. The vision tower stays in half precision: what eight bits
 * cost it has to be measured model by model, as `glyphpress model quantise` does. Head and embedding keep eight bits beside a decoder of four.
 * docs/results/models.md has the figures.
 */
const FORMS: Readonly<Record<Dtype, Readonly<Record<ModelPart, WeightForm>>>> = {
  fp32: { vision: F32, decoder: F32, head: F32, embedding: F32 },
  fp16: { vision: F16, decoder: F16, head: F16, embedding: F16 },
  int8: { vision: F16, decoder: INT8, head: INT8, embedding: INT8 },
  int4: { vision: F16, decoder: INT4, head: INT8, embedding: INT8 },
};

/**
 * How exactly MatMulNBits multiplies: at level 1 in float32; at level 4 the rows are rounded to eight
 * bits too, block by block, which makes one row alone 2 to 4 times faster, and several slower where the
 * processor has AVX-512. So models that are small enough take several rows in float32 (`RunForms`).
 */
export type AccuracyLevel = 1 | 4;

/** Eight-bit weights know one fast way only: at level 1 they are 100 times slower. */
export const ACCURACY_LEVEL: AccuracyLevel = 4;

/**
 * What is added, looked up or scaled by stays as it is stored, but in a float32 model all is float32.
 *
 * @param parts forms of some parts other than the dtype's
 */
export function formFor(
  weight: StoredWeight,
  use: WeightUse,
  dtype: Dtype,
  parts: Partial<Record<ModelPart, WeightForm>> = {},
): WeightForm {
  const isTurned = use.multiplied || use.part === 'embedding' || dtype === 'fp32';
  if (!isTurned) return storedForm(weight);
  const asked = parts[use.part] ?? FORMS[dtype][use.part];
  // Patch embedding and merger are a tenth of a tower, and half of what eight bits would cost it.
  const form = use.part === 'vision' && 'bits' in asked && !use.inBlock ? F16 : asked;
  // Either kind of half will do, and is exact where it is stored.
  const isHalf = weight.form === 'float' && weight.tensor.dtype !== 'F32';
  if (form === F16 && isHalf) return storedForm(weight);
  if ('float' in form) return form;
  // Sums over blocks are sums over whole blocks.
  const whole = matrixShape(weight.shape).columns % form.blockSize === 0;
  return whole ? form : { ...form, offset: 'none' };
}

export function storedForm(weight: StoredWeight): WeightForm {
  if (weight.form === 'float') return { float: weight.tensor.dtype as 'F32' | 'F16' | 'BF16' };
  const { bits, blockSize, offset } = weight;
  return { bits, blockSize, offset: offset.kind };
}

/** What of a checkpoint decides the forms of its weights: shapes and types, no bytes. */
export type ModelWeights = Pick<Checkpoint, 'config' | 'weights'>;

/** How the graphs of a model use each weight. */
export function weightUses({ config, weights }: ModelWeights): Map<string, WeightUse> {
  const uses = new Map<string, WeightUse>();
  const onPaper = {
    folder: '',
    locate: (name: string) => {
      const weight = weights.get(name);
      if (!weight) throw new Error(`family ${config.family} uses undeclared weight ${name}`);
      const data = { location: name, offset: 0, length: 0 };
      return { form: 'float' as const, element: 'float32' as const, data, shape: weight.shape };
    },
  };
  const record = (part: ModelPart, fill: (g: GraphBuilder) => void) => {
    const builder = new GraphBuilder(part, onPaper);
    fill(builder);
    for (const [name, multiplied] of builder.weightsUsed) {
      const known = uses.get(name);
      const use = { part, multiplied: multiplied && (known?.multiplied ?? true) };
      uses.set(name, { ...use, inBlock: IN_BLOCK.test(name) });
    }
  };
  if (config.vision) record('vision', (g) => visionGraph(g, config));
  const range = { from: 0, to: config.text.layers, variation: null };
  record('decoder', (g) => stageGraph(g, config, range));
  record('head', (g) => headGraph(g, config));
  if (!uses.has(EMBEDDING)) {
    uses.set(EMBEDDING, { part: 'embedding', multiplied: false, inBlock: false });
  }
  return uses;
}

/** Raised when the same weights are multiplied in another way. */
const MULTIPLIER_VERSION = 2;

/**
 * Names what a model computes: the checkpoint, how its weights are held and how they are multiplied. A
 * float32 model has the checkpoint's own name.
 */
export function modelHash(
  checkpointHash: string,
  dtype: Dtype,
  accuracyLevel: AccuracyLevel = ACCURACY_LEVEL,
): string {
  if (dtype === 'fp32') return checkpointHash;
  const versions = { version: QUANTISER_VERSION, multiplier: MULTIPLIER_VERSION };
  const recipe = { dtype, ...versions, forms: FORMS[dtype], accuracyLevel };
  return createHash('sha256').update(checkpointHash).update(JSON.stringify(recipe)).digest('hex');
}
