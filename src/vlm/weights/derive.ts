/**
 * Weights in another form than the checkpoint's, as tensors to be written: read, turned and passed on
 * a few rows at a time, so memory stays at a few pieces whatever the model's size.
 */
import { GlyphpressError } from '../../errors.js';
import { float32ToFloat16 } from '../float16.js';
import type { WritableDtype, WritableTensor } from '../safetensors-writer.js';
import {
  type BlockLayout,
  isHeldSymmetrically,
  quantiseAsymmetric,
  quantiseSymmetric,
} from './quantise.js';
import { storedForm, type WeightForm } from './recipe.js';
import {
  matrixShape,
  readRows,
  rowsPerPiece,
  type StoredWeight,
  storedTensorNames,
} from './stored-weight.js';

const PIECE_ELEMENTS = 4 * 1024 * 1024;

/** Whether the weight is in this form already. */
export function isInForm(weight: StoredWeight, form: WeightForm): boolean {
  return JSON.stringify(storedForm(weight)) === JSON.stringify(form);
}

/** Rows that tell whether a weight was trained in four bits. */
const SAMPLE_ROWS = 64;

/** Four symmetric bits for a weight that was trained in them, which then keeps every number; else `form`. */
export function formAsTrained(weight: StoredWeight, form: WeightForm): WeightForm {
  if (!('bits' in form) || form.bits !== 4 || form.offset !== 'zeros') return form;
  const { rows, columns } = matrixShape(weight.shape);
  const sample = Math.min(rows, SAMPLE_ROWS);
  const values = readRows(weight, 0, sample);
  return isHeldSymmetrically(values, { rows: sample, columns }, form.blockSize)
    ? { ...form, offset: 'none' }
    : form;
}

/**
 * The tensors that hold `weight` under `name` in `form`. Their data must be taken in order.
 *
 * @param pieceElements how many numbers are turned at a time
 * @param onElements told after each piece how many numbers it was
 * @throws GP_TENSOR_VALUE for weights that are not finite, which no code stands for
 */
export function derivedTensors(
  weight: StoredWeight,
  name: string,
  form: WeightForm,
  { pieceElements = PIECE_ELEMENTS, onElements = (_: number) => {} } = {},
): WritableTensor[] {
  const { rows, columns } = matrixShape(weight.shape);
  const step = rowsPerPiece(weight.shape, pieceElements);
  function* pieces(): Generator<Piece> {
    for (let first = 0; first < rows; first += step) {
      const count = Math.min(step, rows - first);
      yield { first, count, values: readRows(weight, first, count) };
      onElements(count * columns);
    }
  }
  if (weight.form === 'float' && isInForm(weight, form)) {
    const { tensor } = weight;
    const rowBytes = tensor.byteLength / rows;
    function* bytes() {
      for (let first = 0; first < rows; first += step) {
        const count = Math.min(step, rows - first);
        yield tensor.shard.readBytes(tensor.name, first * rowBytes, count * rowBytes);
        onElements(count * columns);
      }
    }
    return [{ name, dtype: tensor.dtype as WritableDtype, shape: weight.shape, data: bytes }];
  }
  if ('float' in form) {
    const isHalf = form.float === 'F16';
    function* floats() {
      for (const { values } of pieces()) yield isHalf ? float32ToFloat16(values) : values;
    }
    return [{ name, dtype: isHalf ? 'F16' : 'F32', shape: weight.shape, data: floats }];
  }
  const shape = { rows, columns };
  function* checked() {
    for (const piece of pieces()) {
      checkFinite(piece.values, name);
      yield piece;
    }
  }
  return form.offset === 'zeros'
    ? asymmetricTensors(name, form, shape, checked)
    : symmetricTensors(name, form, shape, checked);
}

interface Piece {
  first: number;
  count: number;
  values: Float32Array;
}

// What belongs to a block is small beside the codes, and complete once the codes have been read.

function symmetricTensors(
  name: string,
  layout: BlockLayout,
  { rows, columns }: { rows: number; columns: number },
  pieces: () => Iterable<Piece>,
): WritableTensor[] {
  const { bits, blockSize } = layout;
  const perRow = Math.ceil(columns / blockSize);
  const names = storedTensorNames(name, bits);
  const scales = new Uint16Array(rows * perRow);
  function* blocks() {
    for (const { first, count, values } of pieces()) {
      const quantised = quantiseSymmetric(values, { rows: count, columns }, layout);
      scales.set(quantised.scales, first * perRow);
      yield quantised.blocks;
    }
  }
  const shape = [rows, perRow, (blockSize * bits) / 8];
  return [
    { name: names.blocks, dtype: 'U8', shape, data: blocks },
    { name: names.scales, dtype: 'F16', shape: [rows, perRow], data: () => [scales] },
  ];
}

function asymmetricTensors(
  name: string,
  { blockSize }: BlockLayout,
  { rows, columns }: { rows: number; columns: number },
  pieces: () => Iterable<Piece>,
): WritableTensor[] {
  const perRow = columns / blockSize;
  const names = storedTensorNames(name, 4);
  const scales = new Uint8Array(rows * perRow);
  const zeros = new Uint8Array(rows * perRow);
  const steps = new Float32Array(rows);
  function* blocks() {
    for (const { first, count, values } of pieces()) {
      const quantised = quantiseAsymmetric(values, { rows: count, columns }, blockSize);
      scales.set(quantised.scales, first * perRow);
      zeros.set(quantised.zeros, first * perRow);
      steps.set(quantised.steps, first);
      yield quantised.blocks;
    }
  }
  const side = [rows, perRow];
  return [
    { name: names.blocks, dtype: 'U8', shape: [rows, perRow, blockSize / 2], data: blocks },
    { name: names.scales, dtype: 'U8', shape: side, data: () => [scales] },
    { name: names.zeros, dtype: 'U8', shape: side, data: () => [zeros] },
    { name: names.steps, dtype: 'F32', shape: [rows], data: () => [steps] },
  ];
}

function checkFinite(values: Float32Array, name: string): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new GlyphpressError('GP_TENSOR_VALUE', {
    message: `Weight ${name} holds ${values[at]}, which cannot be quantised.`,
    hint: 'Get the checkpoint again; if it is the same, use --dtype fp32.',
    details: { tensor: name, value: String(values[at]) },
  });
}
