/**
 * Pieces of transformer graphs that several model families share. Rows are 2-D, [S, D].
 */
import type { VariationMetric } from './families/family.js';
import type { GraphBuilder, Value } from './graph-builder.js';

export function rmsNorm(g: GraphBuilder, x: Value, weight: string, epsilon: number): Value {
  const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 };
  return g.op('SimplifiedLayerNormalization', [x, g.weight(weight)], attributes);
}

export function silu(g: GraphBuilder, x: Value): Value {
  return g.op('Mul', [x, g.op('Sigmoid', [x])]);
}

/** down(silu(gate) ∘ up) */
export function gatedMlp(g: GraphBuilder, gate: Value, up: Value, down: string): Value {
  return g.linear(g.op('Mul', [silu(g, gate), up]), down);
}

/** Host-made cosines and sines, one row per token: [S, R/2]. Row s belongs to token s. */
export interface RotaryInputs {
  cos: Value;
  sin: Value;
}

export function rotaryInputs(g: GraphBuilder, rows: string, halfDim: number): RotaryInputs {
  return {
    cos: g.input('cos', 'float32', [rows, halfDim]),
    sin: g.input('sin', 'float32', [rows, halfDim]),
  };
}

/** Rotates x [1, S, heads·headDim]; the one-element position id 0 is the offset of the first row. */
export function rotate(
  g: GraphBuilder,
  x: Value,
  { cos, sin }: RotaryInputs,
  shape: { heads: number; headDim: number; rotaryDim: number; interleaved: boolean },
): Value {
  const partial = shape.rotaryDim < shape.headDim;
  const [rotated] = g.contrib('RotaryEmbedding', [x, g.int64s([0]), cos, sin], {
    interleaved: shape.interleaved ? 1 : 0,
    num_heads: shape.heads,
    rotary_embedding_dim: partial ? shape.rotaryDim : 0,
  });
  return rotated!;
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

export interface DecoderAttentionShape {
  heads: number;
  kvHeads: number;
  headDim: number;
  rotaryDim: number;
  interleaved: boolean;
}

/**
 * Causal attention with a cache: past rows come in, only the new rows go out as graph outputs
 * (the runtime copies every graph output, so the grown cache itself stays inside).
 *
 * @returns [S, heads·headDim]
 */
export function cachedAttention(
  g: GraphBuilder,
  layer: number,
  projected: { q: Value; k: Value; v: Value },
  rotary: RotaryInputs,
  lengths: { seqlensK: Value; total: Value },
  shape: DecoderAttentionShape,
): Value {
  const { heads, kvHeads, headDim } = shape;
  const batched = (x: Value, width: number) => g.reshape(x, [1, -1, width]);
  const q = rotate(g, batched(projected.q, heads * headDim), rotary, { ...shape, heads });
  const k = rotate(g, batched(projected.k, kvHeads * headDim), rotary, {
    ...shape,
    heads: kvHeads,
  });
  const v = batched(projected.v, kvHeads * headDim);
  const past = [1, kvHeads, `past_${layer}`, headDim];
  const pastKey = g.input(`past_key.${layer}`, 'float32', past);
  const pastValue = g.input(`past_value.${layer}`, 'float32', past);
  const [attended] = g.contrib(
    'GroupQueryAttention',
    [q, k, v, pastKey, pastValue, lengths.seqlensK, lengths.total],
    {
      num_heads: heads,
      kv_num_heads: kvHeads,
      do_rotary: 0,
      scale: { float: 1 / Math.sqrt(headDim) },
    },
    3,
  );
  g.output(`key.${layer}`, 'float32', [1, 'rows', kvHeads * headDim], k);
  g.output(`value.${layer}`, 'float32', [1, 'rows', kvHeads * headDim], v);
  return g.reshape(attended!, [-1, heads * headDim]);
}

/** Full attention among the patches of one image. q, k, v and the result are [P, heads·headDim]. */
export function fullAttention(
  g: GraphBuilder,
  { q, k, v }: { q: Value; k: Value; v: Value },
  rotary: RotaryInputs,
  { heads, headDim }: { heads: number; headDim: number },
): Value {
  const width = heads * headDim;
  const shape = { heads, headDim, rotaryDim: headDim, interleaved: false };
  const batched = (x: Value) => g.reshape(x, [1, -1, width]);
  const [attended] = g.contrib(
    'MultiHeadAttention',
    [rotate(g, batched(q), rotary, shape), rotate(g, batched(k), rotary, shape), batched(v)],
    { num_heads: heads, scale: { float: 1 / Math.sqrt(headDim) } },
  );
  return g.reshape(attended!, [-1, width]);
}
