/**
 * Attention in graphs: rotary by host-made tables, causal with a cache for decoders, full or within
 * windows for vision towers.
 */
import type { GraphBuilder, Value } from './graph-builder.js';
import { KV_ELEMENT, scalesOf } from './kv-buffer.js';
import type { KvDtype } from './kv-rows.js';

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
 * Which runs a graph is for: `row` one row behind a cache that is not empty, `rows` all others, `any` both.
 */
export const RUN_FORMS = ['row', 'rows', 'any'] as const;
export type RunForm = (typeof RUN_FORMS)[number];

/** float32 [1, capacity, 1]: 0 for rows that the cache holds, very low beyond; empty for several rows */
interface OneRowInputs {
  mask: Value;
}

interface SeveralRowsInputs {
  seqlensK: Value;
  total: Value;
}

/** Host-made lengths of the cache, the same for every layer of a stage. */
export interface CacheInputs {
  row: OneRowInputs | null;
  rows: SeveralRowsInputs | null;
  /** Whether one row alone is run; where a graph is for both. */
  isOneRow: Value | null;
  /** What the cache is held in. */
  dtype: KvDtype;
}

export function cacheInputs(g: GraphBuilder, dtype: KvDtype, form: RunForm): CacheInputs {
  const row = form === 'rows' ? null : { mask: g.input('past_mask', 'float32', [1, 'masked', 1]) };
  const rows =
    form === 'row'
      ? null
      : {
          seqlensK: g.input('seqlens_k', 'int32', [1]),
          total: g.input('total_sequence_length', 'int32', []),
        };
  return { row, rows, isOneRow: row && rows && isNotEmpty(g, row.mask), dtype };
}

function isNotEmpty(g: GraphBuilder, mask: Value): Value {
  const masked = g.op('Gather', [g.op('Shape', [mask]), g.int64s([1], [])], { axis: 0 });
  return g.op('Greater', [masked, g.int64s([0], [])]);
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
  cache: CacheInputs,
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
  const pastKey = pastRows(g, `past_key.${layer}`, cache.dtype, past);
  const pastValue = pastRows(g, `past_value.${layer}`, cache.dtype, past);
  const { row, rows, isOneRow } = cache;
  const oneRow = () => oneRowAttention(g, { q, k, v }, { pastKey, pastValue, ...row! }, shape);
  const severalRows = () =>
    groupedAttention(g, { q, k, v }, { pastKey, pastValue, ...rows! }, shape);
  const attended = isOneRow
    ? g.choose(isOneRow, oneRow, severalRows)
    : (row ? oneRow : severalRows)();
  g.output(`query.${layer}`, 'float32', [1, 'rows', heads * headDim], q);
  g.output(`key.${layer}`, 'float32', [1, 'rows', kvHeads * headDim], k);
  g.output(`value.${layer}`, 'float32', [1, 'rows', kvHeads * headDim], v);
  return g.reshape(attended, [-1, heads * headDim]);
}

/** Rows of the cache as float32; those of another type are widened anew at each run. */
function pastRows(
  g: GraphBuilder,
  name: string,
  dtype: KvDtype,
  dims: readonly (number | string)[],
): Value {
  const rows = g.input(name, KV_ELEMENT[dtype], dims);
  if (dtype === 'fp32') return rows;
  const widened = g.asFloat32(rows);
  if (dtype === 'fp16') return widened;
  return g.op('Mul', [widened, g.input(scalesOf(name), 'float32', [...dims.slice(0, -1), 1])]);
}

/** Any number of rows. The operator copies all of the past behind itself, to put the new rows there. */
function groupedAttention(
  g: GraphBuilder,
  { q, k, v }: Projected,
  past: SeveralRowsInputs & { pastKey: Value; pastValue: Value },
  { heads, kvHeads, headDim }: DecoderAttentionShape,
): Value {
  const [attended] = g.contrib(
    'GroupQueryAttention',
    [q, k, v, past.pastKey, past.pastValue, past.seqlensK, past.total],
    {
      num_heads: heads,
      kv_num_heads: kvHeads,
      do_rotary: 0,
      scale: { float: 1 / Math.sqrt(headDim) },
    },
    3,
  );
  return attended!;
}

/**
 * One row against the past and itself, by plain products that read the past where it lies: a token of an
 * answer then costs one pass over the cache. Below, K is kvHeads, G the query heads of each, P the capacity.
 */
function oneRowAttention(
  g: GraphBuilder,
  { q, k, v }: Projected,
  past: OneRowInputs & { pastKey: Value; pastValue: Value },
  { heads, kvHeads, headDim }: DecoderAttentionShape,
): Value {
  const group = heads / kvHeads;
  const scaled = g.op('Mul', [q, g.float32(1 / Math.sqrt(headDim))]);
  const query = g.op('Transpose', [g.reshape(scaled, [kvHeads, group, headDim])], {
    perm: [0, 2, 1],
  }); // [K, D, G]
  const perHead = (x: Value) => g.reshape(x, [kvHeads, -1, headDim]);
  const scores = g.op('MatMul', [perHead(past.pastKey), query]); // [K, P, G]
  const own = g.op('MatMul', [perHead(k), query]); // [K, 1, G]
  const all = g.op('Concat', [g.op('Add', [scores, past.mask]), own], { axis: 1 });
  const weights = g.op('Softmax', [g.op('Transpose', [all], { perm: [0, 2, 1] })], { axis: -1 });
  const part = (from: number, to: number) =>
    g.op('Slice', [weights, g.int64s([from]), g.int64s([to]), g.int64s([2])]);
  const fromPast = g.op('MatMul', [part(0, -1), perHead(past.pastValue)]); // [K, G, D]
  const fromOwn = g.op('MatMul', [part(-1, Number.MAX_SAFE_INTEGER), perHead(v)]);
  return g.reshape(g.op('Add', [fromPast, fromOwn]), [1, 1, heads * headDim]);
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
