/**
 * How one weight lies in files: as floats, or as blocks of small integers with a scale each.
 *
 * The quantised form, ours: for a weight `NAME` of shape [N, …] seen as a matrix [N, K],
 * - `NAME.int4` or `NAME.int8`, U8 [N, ⌈K/B⌉, B·bits/8]: codes of B = 32 neighbours of a row, unsigned,
 *   the first of two in the low nibble (the layout of ONNX Runtime's MatMulNBits);
 * - `NAME.scales`, F16 [N, ⌈K/B⌉]: a value is (code − 2^(bits − 1)) · scale. Or, with four bits,
 * - `NAME.scales` and `NAME.zeros`, U8 [N, ⌈K/B⌉], and `NAME.scale_steps`, F32 [N]: a value is
 *   (code − zero / 16) · scale · step of the row. Or, from GGUF files,
 * - `NAME.scales` and `NAME.minima`, F16 [N, ⌈K/B⌉]: a value is code · scale + minimum.
 */
import { GlyphpressError } from '../../errors.js';
import { float16ToFloat32 } from '../float16.js';
import { elementBytes, type SafetensorsFile, type TensorEntry } from '../safetensors.js';
import { dequantiseRows, type QuantisedBits, ZERO_PARTS } from './quantise.js';

/** A tensor and the file that holds it. */
export interface LocatedTensor extends TensorEntry {
  shard: SafetensorsFile;
}

export interface FloatWeight {
  form: 'float';
  /** Name of the weight in the file, which may differ from the canonical name. */
  name: string;
  shape: readonly number[];
  tensor: LocatedTensor;
}

export interface QuantisedWeight {
  form: 'quantised';
  name: string;
  /** Of the weight, not of its blocks. */
  shape: readonly number[];
  bits: QuantisedBits;
  blockSize: number;
  blocks: LocatedTensor;
  scales: LocatedTensor;
  offset: StoredOffset<LocatedTensor>;
}

/** What lets the values of a block lie unevenly around zero, and the tensors that hold it. */
export type StoredOffset<Tensor> =
  | { kind: 'none' }
  | { kind: 'zeros'; zeros: Tensor; steps: Tensor }
  | { kind: 'minima'; minima: Tensor };

export type StoredWeight = FloatWeight | QuantisedWeight;

const FLOATS = ['F32', 'F16', 'BF16'];

/** Names of the tensors that a quantised weight is stored in. */
export const storedTensorNames = (name: string, bits: QuantisedBits) => ({
  blocks: `${name}.int${bits}`,
  scales: `${name}.scales`,
  minima: `${name}.minima`,
  zeros: `${name}.zeros`,
  steps: `${name}.scale_steps`,
});

/**
 * The weight under the first of `names` that a shard holds, in either form; undefined if none does.
 *
 * @param expected the shape that config.json promises
 * @throws GP_CHECKPOINT where the shape is another or a quantised weight is incomplete, GP_MODEL_DTYPE
 *   for a type that cannot be read as numbers
 */
export function findWeight(
  names: readonly string[],
  expected: readonly number[],
  shards: readonly SafetensorsFile[],
): StoredWeight | undefined {
  const find = (name: string): LocatedTensor | undefined => {
    for (const shard of shards) {
      const entry = shard.tensors.get(name);
      if (entry) return { ...entry, shard };
    }
    return undefined;
  };
  for (const name of names) {
    const tensor = find(name);
    if (tensor) return floatWeight(name, expected, tensor);
    for (const bits of [4, 8] as const) {
      const stored = storedTensorNames(name, bits);
      const blocks = find(stored.blocks);
      if (!blocks) continue;
      const required = (part: string) => {
        const tensor = find(part);
        if (tensor) return tensor;
        throw damaged(blocks, `has ${stored.blocks} but no ${part}`);
      };
      const scales = required(stored.scales);
      const zeros = find(stored.zeros);
      const minima = find(stored.minima);
      const offset: StoredOffset<LocatedTensor> = zeros
        ? { kind: 'zeros', zeros, steps: required(stored.steps) }
        : minima
          ? { kind: 'minima', minima }
          : { kind: 'none' };
      return quantisedWeight(name, expected, bits, blocks, scales, offset);
    }
  }
  return undefined;
}

function floatWeight(
  name: string,
  expected: readonly number[],
  tensor: LocatedTensor,
): FloatWeight {
  checkShape(tensor, expected);
  if (!FLOATS.includes(tensor.dtype)) {
    throw new GlyphpressError('GP_MODEL_DTYPE', {
      message: `${tensor.shard.path}: tensor ${name} is ${tensor.dtype}; F32, F16 and BF16 are supported.`,
      hint: 'Use the original upload, and --dtype int8 or int4 to have it quantised here.',
      details: { file: tensor.shard.path, tensor: name, dtype: tensor.dtype },
    });
  }
  return { form: 'float', name, shape: tensor.shape, tensor };
}

function quantisedWeight(
  name: string,
  expected: readonly number[],
  bits: QuantisedBits,
  blocks: LocatedTensor,
  scales: LocatedTensor,
  offset: StoredOffset<LocatedTensor>,
): QuantisedWeight {
  const { rows, columns } = matrixShape(expected);
  const blockSize = ((blocks.shape[2] ?? 0) * 8) / bits;
  const isPowerOfTwo = blockSize >= 16 && Number.isInteger(Math.log2(blockSize));
  if (blocks.dtype !== 'U8' || blocks.shape.length !== 3 || !isPowerOfTwo) {
    throw damaged(
      blocks,
      `holds tensor ${blocks.name} as ${blocks.dtype} [${blocks.shape.join(', ')}], which are no blocks of ${bits} bits`,
    );
  }
  const count = Math.ceil(columns / blockSize);
  checkShape(blocks, [rows, count, (blockSize * bits) / 8]);
  const side = [rows, count];
  const parts: [LocatedTensor, shape: number[], dtype: string][] = [
    [scales, side, offset.kind === 'zeros' ? 'U8' : 'F16'],
  ];
  if (offset.kind === 'zeros')
    parts.push([offset.zeros, side, 'U8'], [offset.steps, [rows], 'F32']);
  if (offset.kind === 'minima') parts.push([offset.minima, side, 'F16']);
  for (const [tensor, shape, dtype] of parts) {
    checkShape(tensor, shape);
    if (tensor.dtype !== dtype) throw damaged(tensor, `holds ${tensor.name} not as ${dtype}`);
  }
  return { form: 'quantised', name, shape: expected, bits, blockSize, blocks, scales, offset };
}

/** A weight of any rank as a matrix: its rows, and what is in a row. */
export function matrixShape(shape: readonly number[]): { rows: number; columns: number } {
  const [rows = 1, ...rest] = shape;
  return { rows, columns: rest.reduce((product, size) => product * size, 1) };
}

/** Rows [first, first + count) as float32 [count, K], whatever the form. */
export function readRows(weight: StoredWeight, first: number, count: number): Float32Array {
  const { columns } = matrixShape(weight.shape);
  if (weight.form === 'float') {
    const { shard, name } = weight.tensor;
    return shard.readFloat32(name, first * columns, count * columns);
  }
  const { bits, blockSize, blocks } = weight;
  const perRow = blocks.shape[1]!;
  const blockBytes = (blockSize * bits) / 8;
  const codes = blocks.shard.readBytes(
    blocks.name,
    first * perRow * blockBytes,
    count * perRow * blockBytes,
  );
  const sides = readSides(weight, first, count);
  return dequantiseRows({ blocks: codes, ...sides }, { rows: count, columns, bits, blockSize });
}

/** Scale of each block of some rows, and what code 0 stands for where it is not symmetric. */
function readSides(
  { blocks, scales, offset }: QuantisedWeight,
  first: number,
  count: number,
): { scales: Float32Array; lows?: Float32Array } {
  const perRow = blocks.shape[1]!;
  const bytes = ({ shard, name }: LocatedTensor, size: number) =>
    shard.readBytes(name, first * perRow * size, count * perRow * size);
  const halves = (tensor: LocatedTensor) =>
    float16ToFloat32(new Uint16Array(bytes(tensor, 2).buffer));
  if (offset.kind === 'none') return { scales: halves(scales) };
  if (offset.kind === 'minima') return { scales: halves(scales), lows: halves(offset.minima) };
  const steps = offset.steps.shard.readFloat32(offset.steps.name, first, count);
  const zeros = bytes(offset.zeros, 1);
  const coded = Float32Array.from(
    bytes(scales, 1),
    (code, n) => code * steps[Math.floor(n / perRow)]!,
  );
  return { scales: coded, lows: coded.map((scale, n) => (-zeros[n]! / ZERO_PARTS) * scale) };
}

/** Every tensor that the weight is stored in. */
export function tensorsOf(weight: StoredWeight): LocatedTensor[] {
  if (weight.form === 'float') return [weight.tensor];
  const { blocks, scales, offset } = weight;
  if (offset.kind === 'none') return [blocks, scales];
  if (offset.kind === 'minima') return [blocks, scales, offset.minima];
  return [blocks, scales, offset.zeros, offset.steps];
}

/** `F32`, `BF16`, … or `int4`, `int8`. */
export function formOf(weight: StoredWeight): string {
  return weight.form === 'float' ? weight.tensor.dtype : `int${weight.bits}`;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Rows that come to about `elements` numbers, at least one. */
export function rowsPerPiece(shape: readonly number[], elements: number): number {
  return Math.max(1, Math.floor(elements / matrixShape(shape).columns));
}

export function floatBytes(weight: FloatWeight): number {
  return elementCount(weight.shape) * elementBytes(weight.tensor.dtype);
}

function checkShape(tensor: LocatedTensor, expected: readonly number[]): void {
  const { shape, shard, name } = tensor;
  if (shape.length === expected.length && shape.every((size, axis) => size === expected[axis])) {
    return;
  }
  throw new GlyphpressError('GP_CHECKPOINT', {
    message: `${shard.path}: tensor ${name} has shape [${shape.join(', ')}], config.json asks for [${expected.join(', ')}].`,
    hint: 'config.json and weights belong to different models; get both from one place.',
    details: { file: shard.path, tensor: name, expected, actual: shape },
  });
}

function damaged({ shard, name }: LocatedTensor, problem: string): GlyphpressError {
  return new GlyphpressError('GP_CHECKPOINT', {
    message: `${shard.path} ${problem}.`,
    hint: 'Get the file again, or write it again with glyphpress model quantise.',
    details: { file: shard.path, tensor: name },
  });
}
