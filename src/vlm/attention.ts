/**
 * Attention in graphs: rotary by host-made tables, causal with a cache for decoders, full or within
 * windows for vision towers.
 */
import type { GraphBuilder, Value } from './graph-builder.js';

/** Host-made cosines and sines, one row per token: [S, R/2]. Row s belongs to token s. */
export interface RotaryInputs {
  cos: Value;
  sin: Value;
}

export interface Projected {
  q: Value;
  k: Value;
  v: Value;
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
  projected: Projected,
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

interface VisionHeads {
  heads: number;
  headDim: number;
}

/** Full attention among the patches of one image. q, k, v and the result are [P, heads·headDim]. */
export function fullAttention(
  g: GraphBuilder,
  projected: Projected,
  rotary: RotaryInputs,
  shape: VisionHeads,
): Value {
  const { q, k, v } = rotated(g, projected, rotary, shape);
  const [attended] = g.contrib('MultiHeadAttention', [q, k, v], headAttributes(shape));
  return g.reshape(attended!, [-1, shape.heads * shape.headDim]);
}

/** Host-made indices of windowed attention, made by `patchWindows`. */
export interface WindowInputs {
  /** int64 [windows · length]: patch in each place; places beyond a window's end hold any patch */
  places: Value;
  /** int32 [windows]: patches of each window */
  lengths: Value;
  /** int64 [P]: place of each patch */
  patches: Value;
  /** Places of a window. */
  length: number;
}

/** As `fullAttention`, among the patches of each window. */
export function windowAttention(
  g: GraphBuilder,
  projected: Projected,
  rotary: RotaryInputs,
  windows: WindowInputs,
  shape: VisionHeads,
): Value {
  const width = shape.heads * shape.headDim;
  const { q, k, v } = rotated(g, projected, rotary, shape);
  // [1, P, width] → [windows, length, width]
  const cut = (x: Value) =>
    g.reshape(g.op('Gather', [x, windows.places], { axis: 1 }), [-1, windows.length, width]);
  const [attended] = g.contrib(
    'MultiHeadAttention',
    [cut(q), cut(k), cut(v), '', windows.lengths],
    headAttributes(shape),
  );
  return g.op('Gather', [g.reshape(attended!, [-1, width]), windows.patches], { axis: 0 });
}

/** Each [1, P, heads·headDim], q and k rotated over the whole head in (first half, second half) pairs. */
function rotated(
  g: GraphBuilder,
  { q, k, v }: Projected,
  rotary: RotaryInputs,
  { heads, headDim }: VisionHeads,
): Projected {
  const shape = { heads, headDim, rotaryDim: headDim, interleaved: false };
  const batched = (x: Value) => g.reshape(x, [1, -1, heads * headDim]);
  return {
    q: rotate(g, batched(q), rotary, shape),
    k: rotate(g, batched(k), rotary, shape),
    v: batched(v),
  };
}

function headAttributes({ heads, headDim }: VisionHeads) {
  return { num_heads: heads, scale: { float: 1 / Math.sqrt(headDim) } };
}
