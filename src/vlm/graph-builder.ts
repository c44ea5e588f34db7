/**
 * Builds one ONNX graph node by node. Values are names; a weight is an initializer that points into
 * the checkpoint's own bytes, so a graph is a few kilobytes whatever the model's size.
 */
import {
  type Attribute,
  type ElementType,
  type ExternalData,
  elementTypeNumber,
  encodeModel,
  type OnnxGraph,
  type OnnxNode,
} from './onnx-model.js';
import { ZERO_PARTS } from './weights/quantise.js';
import type { StoredOffset } from './weights/stored-weight.js';

export interface PlacedFloats {
  form: 'float';
  element: 'float32' | 'float16' | 'bfloat16';
  data: ExternalData;
  shape: readonly number[];
}

/** Blocks as `MatMulNBits` reads them; what belongs to a block is stored as `stored-weight.ts` says. */
export interface PlacedBlocks {
  form: 'quantised';
  bits: 4 | 8;
  blockSize: number;
  /** Accuracy level of `MatMulNBits`, or by float32 products of what eight bits are widened to at load. */
  product: 1 | 4 | 'widened';
  /** Of the weight. */
  shape: readonly number[];
  blocks: ExternalData;
  scales: ExternalData;
  offset: StoredOffset<ExternalData>;
}

/** Where the bytes of each weight lie, and in which form. */
export interface WeightPlacement {
  /** Absolute folder that every location is relative to. */
  readonly folder: string;
  locate(name: string): PlacedFloats | PlacedBlocks;
}

/** A value inside the graph under construction. */
export type Value = string;

/** Some rows of a quantised weight in a graph. */
interface BlockValues {
  codes: Value;
  /** float32 [rows, blocks] */
  scales: Value;
  /** Another number of each block, as float32. */
  side(suffix: string, type: ElementType, data: ExternalData): Value;
  count: number;
  perRow: number;
  columns: number;
}

export interface WeightView {
  /** Shape to see the bytes under. @defaultValue the stored shape */
  shape?: readonly number[];
  /** First row and number of rows of the stored matrix. @defaultValue all rows */
  rows?: readonly [first: number, count: number];
}

export class GraphBuilder {
  readonly #graph: OnnxGraph;
  /** Of the graph, or of the branch that is being built. */
  #nodes: OnnxNode[];
  #count = 0;
  readonly #constants = new Map<string, Value>();
  readonly #initializers = new Set<string>();
  readonly #widened = new Map<Value, Value>();
  readonly #sums = new Map<string, Value>();
  readonly #weightsUsed = new Map<string, boolean>();

  /** @param exact whether blocks of four bits are multiplied in float32, whatever their placement says */
  constructor(
    name: string,
    private readonly weights: WeightPlacement,
    private readonly exact = false,
  ) {
    this.#graph = { name, nodes: [], inputs: [], outputs: [], initializers: [] };
    this.#nodes = this.#graph.nodes;
  }

  input(name: string, type: ElementType, dims: readonly (number | string)[]): Value {
    this.#graph.inputs.push({ name, type, dims });
    return name;
  }

  output(name: string, type: ElementType, dims: readonly (number | string)[], value: Value): void {
    this.#push('Identity', '', [value], [name], {});
    this.#graph.outputs.push({ name, type, dims });
  }

  /** Standard operator with one output. An empty input name leaves an optional input out. */
  op(opType: string, inputs: readonly Value[], attributes: Record<string, Attribute> = {}): Value {
    return this.#emit(opType, '', inputs, 1, attributes)[0]!;
  }

  /** ONNX Runtime's own operator (`com.microsoft`). */
  contrib(
    opType: string,
    inputs: readonly Value[],
    attributes: Record<string, Attribute>,
    outputs = 1,
  ): Value[] {
    return this.#emit(opType, 'com.microsoft', inputs, outputs, attributes);
  }

  /**
   * What one of two branches computes; the other is not run. Both may use values of the graph around
   * them, and are small: what they add (sums of a weight, widened weights) is not for others.
   *
   * @param condition a scalar truth value
   */
  choose(condition: Value, whenTrue: () => Value, whenFalse: () => Value): Value {
    const branch = (name: string, fill: () => Value) => {
      const around = this.#nodes;
      const nodes: OnnxNode[] = [];
      this.#nodes = nodes;
      try {
        const outputs = [{ name: fill(), type: 'float32' as const, dims: null }];
        return { graph: { name, nodes, inputs: [], outputs, initializers: [] } };
      } finally {
        this.#nodes = around;
      }
    };
    return this.op('If', [condition], {
      then_branch: branch('when-true', whenTrue),
      else_branch: branch('when-false', whenFalse),
    });
  }

  int64s(values: readonly number[], dims: readonly number[] = [values.length]): Value {
    const key = `int64 ${dims.join('x')}: ${values.join(' ')}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const name = `const_${this.#constants.size}`;
    const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.#graph.initializers.push({ name, type: 'int64', dims, data });
    this.#constants.set(key, name);
    return name;
  }

  /** A scalar. */
  float32(value: number): Value {
    const key = `float32 ${value}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const name = `const_${this.#constants.size}`;
    const data = new Uint8Array(Float32Array.of(value).buffer);
    this.#graph.initializers.push({ name, type: 'float32', dims: [], data });
    this.#constants.set(key, name);
    return name;
  }

  /**
   * Every weight that the graph uses, by name: true where rows are multiplied by it and nothing else
   * happens to it.
   */
  get weightsUsed(): ReadonlyMap<string, boolean> {
    return this.#weightsUsed;
  }

  /** A weight, or some of its rows, optionally seen under another shape, as float32. */
  weight(name: string, view: WeightView = {}): Value {
    this.#weightsUsed.set(name, false);
    return this.#floats(name, view);
  }

  /**
   * y = x · Wᵀ (+ b): the only place that multiplies by a weight, so that how weights are held
   * (float32, quantised) is decided here alone.
   *
   * @param x [S, in]
   * @param weight [out, in] as PyTorch's Linear stores it; a convolution's [out, …] is seen as a matrix
   * @param options.bias name of a weight [out]
   * @param options.rows first row and number of rows of weight and bias. @defaultValue all
   * @returns [S, out] or [S, number of rows]
   */
  linear(
    x: Value,
    weight: string,
    { bias, rows }: { bias?: string; rows?: readonly [first: number, count: number] } = {},
  ): Value {
    if (!this.#weightsUsed.has(weight)) this.#weightsUsed.set(weight, true);
    const placed = this.weights.locate(weight);
    const biasValue = bias === undefined ? undefined : this.weight(bias, rows && { rows });
    if (placed.form === 'quantised') {
      return this.#quantisedLinear(x, weight, placed, biasValue, rows);
    }
    const [out, ...rest] = placed.shape;
    const matrix = [rows?.[1] ?? out!, rest.reduce((product, size) => product * size, 1)];
    const view = { ...(rows && { rows }), ...(rest.length > 1 && { shape: matrix }) };
    const inputs = [x, this.#floats(weight, view)];
    if (biasValue !== undefined) inputs.push(biasValue);
    return this.op('Gemm', inputs, { transB: 1 });
  }

  #quantisedLinear(
    x: Value,
    name: string,
    placed: PlacedBlocks,
    bias: Value | undefined,
    rows: readonly [first: number, count: number] = [0, placed.shape[0]!],
  ): Value {
    const blocks = this.#blocks(name, placed, rows);
    const { codes, scales, count, perRow, columns } = blocks;
    const { bits, blockSize, offset, product } = placed;
    if (product === 'widened') {
      const matrix = this.#widenedBlocks(name, placed, blocks, rows);
      return this.op('Gemm', bias === undefined ? [x, matrix] : [x, matrix, bias], { transB: 1 });
    }
    const inputs = [x, codes, scales];
    if (bias !== undefined) inputs.push('', '', bias);
    const [multiplied] = this.contrib('MatMulNBits', inputs, {
      K: columns,
      N: count,
      bits,
      block_size: blockSize,
      accuracy_level: this.exact && bits === 4 ? 1 : product,
    });
    if (offset.kind === 'none') return multiplied!;
    // The operator takes code c for (c − 8) · scale. What is missing is the same for a whole block, times
    // the sum of x in it: one small product more, of matrices that are folded when loaded.
    const missing = this.#missing(blocks, offset, 2 ** (bits - 1));
    const sums = this.#blockSums(x, perRow, blockSize);
    return this.op('Gemm', [sums, missing, multiplied!], { transB: 1 });
  }

  /** Codes, and the scales as float32, of some rows; and what else a block has, on demand. */
  #blocks(
    name: string,
    { bits, blockSize, shape, blocks, scales, offset }: PlacedBlocks,
    [first, count]: readonly [first: number, count: number],
  ): BlockValues {
    const [, ...rest] = shape;
    const columns = rest.reduce((product, size) => product * size, 1);
    const perRow = Math.ceil(columns / blockSize);
    const slice = (suffix: string, type: ElementType, dims: number[], data: ExternalData) => {
      const rowBytes = data.length / shape[0]!;
      const id = `${name}.${suffix}[${first}+${count}]`;
      return this.#initializer(id, type, dims, {
        location: data.location,
        offset: data.offset + first * rowBytes,
        length: count * rowBytes,
      });
    };
    const side = (suffix: string, type: ElementType, data: ExternalData) =>
      this.asFloat32(slice(suffix, type, [count, perRow], data));
    const codes = slice('blocks', 'uint8', [count, perRow, (blockSize * bits) / 8], blocks);
    const asFloats = () => {
      if (offset.kind !== 'zeros') return side('scales', 'float16', scales);
      const steps = slice('scale_steps', 'float32', [count, 1], offset.steps);
      return this.op('Mul', [side('scales', 'uint8', scales), steps]);
    };
    return { codes, scales: asFloats(), side, count, perRow, columns };
  }

  /** [rows, blocks]: what the values of a block have in common beyond (code − middle) · scale */
  #missing(
    { scales, side }: BlockValues,
    offset: Exclude<PlacedBlocks['offset'], { kind: 'none' }>,
    middle: number,
  ): Value {
    if (offset.kind === 'minima') {
      const shift = this.op('Mul', [scales, this.float32(middle)]);
      return this.op('Add', [side('minima', 'float16', offset.minima), shift]);
    }
    const part = this.float32(1 / ZERO_PARTS);
    const zeros = this.op('Mul', [side('zeros', 'uint8', offset.zeros), part]);
    return this.op('Mul', [this.op('Sub', [this.float32(middle), zeros]), scales]);
  }

  /** Symmetric blocks of eight bits as float32 [rows, K]; folded when loaded. */
  #widenedBlocks(
    name: string,
    { blockSize }: PlacedBlocks,
    { codes, scales, perRow, columns }: BlockValues,
    [first, count]: readonly [first: number, count: number],
  ): Value {
    const id = `${name}[${first}+${count}] widened`;
    const known = this.#widened.get(id);
    if (known) return known;
    const centred = this.op('Sub', [this.asFloat32(codes), this.float32(128)]);
    const values = this.op('Mul', [centred, this.reshape(scales, [count, perRow, 1])]);
    const padded = this.reshape(values, [count, perRow * blockSize]);
    const [start, end, axis] = [[0], [columns], [1]].map((n) => this.int64s(n));
    const isWhole = perRow * blockSize === columns;
    const matrix = isWhole ? padded : this.op('Slice', [padded, start!, end!, axis!]);
    this.#widened.set(id, matrix);
    return matrix;
  }

  /** x [S, blocks · B] → [S, blocks]; once for all weights that x is multiplied by */
  #blockSums(x: Value, blocks: number, blockSize: number): Value {
    const key = `${x}/${blockSize}`;
    const known = this.#sums.get(key);
    if (known) return known;
    const grouped = this.reshape(x, [-1, blocks, blockSize]);
    const sums = this.op('ReduceSum', [grouped, this.int64s([2])], { keepdims: 0 });
    this.#sums.set(key, sums);
    return sums;
  }

  #floats(name: string, view: WeightView): Value {
    const placed = this.weights.locate(name);
    if (placed.form !== 'float') {
      throw new Error(`weight ${name} is quantised, but the graph needs its numbers`);
    }
    const { element, data, shape } = placed;
    const rowBytes = data.length / (shape[0] ?? 1);
    const [first, count] = view.rows ?? [0, shape[0] ?? 1];
    const dims = view.shape ?? [count, ...shape.slice(1)];
    const id = view.rows || view.shape ? `${name}[${first}+${count}:${dims.join('x')}]` : name;
    const slice = {
      location: data.location,
      offset: data.offset + first * rowBytes,
      length: count * rowBytes,
    };
    const value = this.#initializer(id, element, dims, slice);
    return element === 'float32' ? value : this.asFloat32(value);
  }

  #initializer(
    name: string,
    type: ElementType,
    dims: readonly number[],
    data: ExternalData,
  ): Value {
    if (!this.#initializers.has(name)) {
      this.#initializers.add(name);
      this.#graph.initializers.push({ name, type, dims, data });
    }
    return name;
  }

  /** A weight is widened when the graph is loaded, not at each run: the runtime folds a cast of a constant. */
  asFloat32(value: Value): Value {
    const known = this.#widened.get(value);
    if (known) return known;
    const widened = this.op('Cast', [value], { to: elementTypeNumber('float32') });
    this.#widened.set(value, widened);
    return widened;
  }

  reshape(value: Value, dims: readonly number[]): Value {
    return this.op('Reshape', [value, this.int64s(dims)]);
  }

  encode(): Uint8Array {
    return encodeModel(this.#graph);
  }

  #emit(
    opType: string,
    domain: '' | 'com.microsoft',
    inputs: readonly Value[],
    outputs: number,
    attributes: Record<string, Attribute>,
  ): Value[] {
    const names = Array.from({ length: outputs }, () => `v${this.#count++}`);
    this.#push(opType, domain, inputs, names, attributes);
    return names;
  }

  #push(
    opType: string,
    domain: '' | 'com.microsoft',
    inputs: readonly Value[],
    outputs: readonly Value[],
    attributes: Record<string, Attribute>,
  ): void {
    this.#nodes.push({ opType, domain, inputs, outputs, attributes });
  }
}
