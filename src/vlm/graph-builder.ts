/**
 * Builds one ONNX graph node by node. Values are names; a weight is an initializer that points into
 * the checkpoint's own bytes, so a graph is a few kilobytes whatever the model's size.
 */
import {
  type Attribute,
  type ElementType,
  type ExternalData,
  encodeModel,
  type OnnxGraph,
} from './onnx-model.js';

/** Where the float32 bytes of a weight lie. */
export interface WeightPlacement {
  /** Absolute folder that every location is relative to. */
  readonly folder: string;
  locate(name: string): ExternalData & { shape: readonly number[] };
}

/** A value inside the graph under construction. */
export type Value = string;

export interface WeightView {
  /** Shape to see the bytes under. @defaultValue the stored shape */
  shape?: readonly number[];
  /** First row and number of rows of the stored matrix. @defaultValue all rows */
  rows?: readonly [first: number, count: number];
}

export class GraphBuilder {
  readonly #graph: OnnxGraph;
  #count = 0;
  readonly #constants = new Map<string, Value>();

  constructor(
    name: string,
    private readonly weights: WeightPlacement,
  ) {
    this.#graph = { name, nodes: [], inputs: [], outputs: [], initializers: [] };
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

  /** A weight, or some of its rows, optionally seen under another shape. */
  weight(name: string, view: WeightView = {}): Value {
    const { location, offset, length, shape } = this.weights.locate(name);
    const rowBytes = length / (shape[0] ?? 1);
    const [first, count] = view.rows ?? [0, shape[0] ?? 1];
    const dims = view.shape ?? [count, ...shape.slice(1)];
    const id = view.rows || view.shape ? `${name}[${first}+${count}:${dims.join('x')}]` : name;
    if (!this.#graph.initializers.some((initializer) => initializer.name === id)) {
      const data = { location, offset: offset + first * rowBytes, length: count * rowBytes };
      this.#graph.initializers.push({ name: id, type: 'float32', dims, data });
    }
    return id;
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
    const { shape } = this.weights.locate(weight);
    const [, ...rest] = shape;
    const count = rows?.[1] ?? shape[0]!;
    const matrix = [count, rest.reduce((product, size) => product * size, 1)];
    const view = { ...(rows && { rows }), ...(rest.length > 1 && { shape: matrix }) };
    const inputs = [x, this.weight(weight, view)];
    if (bias !== undefined) inputs.push(this.weight(bias, rows && { rows }));
    return this.op('Gemm', inputs, { transB: 1 });
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
    this.#graph.nodes.push({ opType, domain, inputs, outputs, attributes });
  }
}
