/**
 * Pieces of transformer graphs that towers and decoders share. Rows are 2-D, [S, D].
 */
import type { VariationMetric } from './families/family.js';
import type { GraphBuilder, Value } from './graph-builder.js';

export function rmsNorm(g: GraphBuilder, x: Value, weight: string, epsilon: number): Value {
  const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 };
  return g.op('SimplifiedLayerNormalization', [x, g.weight(weight)], attributes);
}

/** LayerNorm with weight and bias, named `prefix`.weight and `prefix`.bias. */
export function layerNorm(g: GraphBuilder, x: Value, prefix: string, epsilon: number): Value {
  return g.op('LayerNormalization', [x, g.weight(`${prefix}.weight`), g.weight(`${prefix}.bias`)], {
    axis: -1,
    epsilon: { float: epsilon },
  });
}

/** RMSNorm of every head of x [S, heads·headDim] by itself; one weight [headDim] serves all. */
export function headNorm(
  g: GraphBuilder,
  x: Value,
  weight: string,
  { heads, headDim, epsilon }: { heads: number; headDim: number; epsilon: number },
): Value {
  const normed = rmsNorm(g, g.reshape(x, [-1, headDim]), weight, epsilon);
  return g.reshape(normed, [-1, heads * headDim]);
}

/** Names as in a checkpoint's `hidden_act`. */
export const ACTIVATIONS = ['silu', 'gelu', 'gelu_pytorch_tanh', 'quick_gelu'] as const;
export type Activation = (typeof ACTIVATIONS)[number];

export function activate(g: GraphBuilder, x: Value, activation: Activation): Value {
  switch (activation) {
    case 'silu':
      return g.op('Mul', [x, g.op('Sigmoid', [x])]);
    case 'gelu':
      return g.op('Gelu', [x], { approximate: 'none' });
    case 'gelu_pytorch_tanh':
      return g.op('Gelu', [x], { approximate: 'tanh' });
    case 'quick_gelu':
      return g.contrib('QuickGelu', [x], { alpha: { float: 1.702 } })[0]!;
  }
}

/** act(gate) ∘ up, the middle of a gated MLP */
export function gated(
  g: GraphBuilder,
  gate: Value,
  up: Value,
  activation: Activation = 'silu',
): Value {
  return g.op('Mul', [activate(g, gate, activation), up]);
}

/**
 * How much each row changed over a layer: ‖after − before‖₂, ‖after − before‖₁ or 1 − cos(before, after).
 * Computed where the rows are, so that only [S] numbers leave the graph.
 *
 * Source: V²Drop, arXiv:2509.01552. The cosine is taken as ½‖a/|a| − b/|b|‖², which is the same number
 * without the cancellation of 1 − 0.9999 in float32; norms are at least 1e-8, as in PyTorch.
 *
 * @param before [S, D], input of the layer
 * @param after [S, D], its output
 * @returns [S]
 */
export function rowVariation(
  g: GraphBuilder,
  before: Value,
  after: Value,
  metric: VariationMetric,
): Value {
  const axis = g.int64s([1]);
  if (metric !== 'cosine') {
    const reduce = metric === 'l1' ? 'ReduceL1' : 'ReduceL2';
    return g.op(reduce, [g.op('Sub', [after, before]), axis], { keepdims: 0 });
  }
  const unit = (x: Value) => {
    const norm = g.op('ReduceL2', [x, axis], { keepdims: 1 });
    return g.op('Div', [x, g.op('Max', [norm, g.float32(1e-8)])]);
  };
  const apart = g.op('Sub', [unit(after), unit(before)]);
  const square = g.op('ReduceSumSquare', [apart, axis], { keepdims: 0 });
  return g.op('Mul', [square, g.float32(0.5)]);
}
