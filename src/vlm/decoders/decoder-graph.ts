/**
 * The graphs of a text decoder: runs of layers, and the head. One way to write them down for every
 * kind; `TextConfig.traits` says where kinds differ.
 */
import {
  type CacheInputs,
  cachedAttention,
  cacheInputs,
  type RotaryInputs,
  type RunForm,
  rotaryInputs,
} from '../attention.js';
import { gated, headNorm, rmsNorm, rowVariation } from '../blocks.js';
import type { StageRange } from '../families/family.js';
import type { GraphBuilder, Value } from '../graph-builder.js';
import type { KvDtype } from '../kv-rows.js';
import type { TextConfig } from './text-config.js';

export const TEXT = 'model.language_model';
export const EMBEDDING = `${TEXT}.embed_tokens.weight`;
const HEAD = 'lm_head.weight';

/** Canonical name → shape. @param tiedHead the head's matrix is the embedding's */
export function* decoderWeights(
  text: TextConfig,
  tiedHead: boolean,
): Generator<[name: string, shape: readonly number[]]> {
  const { hiddenSize: D, intermediateSize: M, traits } = text;
  const Q = text.heads * text.headDim;
  const KV = text.kvHeads * text.headDim;
  yield [EMBEDDING, [text.vocabSize, D]];
  for (let n = 0; n < text.layers; n += 1) {
    const prefix = `${TEXT}.layers.${n}`;
    const attention = `${prefix}.self_attn`;
    yield [`${prefix}.input_layernorm.weight`, [D]];
    for (const [projection, width] of [
      ['q', Q],
      ['k', KV],
      ['v', KV],
    ] as const) {
      yield [`${attention}.${projection}_proj.weight`, [width, D]];
      if (traits.qkvBias) yield [`${attention}.${projection}_proj.bias`, [width]];
    }
    if (traits.headNorm) {
      yield [`${attention}.q_norm.weight`, [text.headDim]];
      yield [`${attention}.k_norm.weight`, [text.headDim]];
    }
    yield [`${attention}.o_proj.weight`, [D, Q]];
    if (traits.outputBias) yield [`${attention}.o_proj.bias`, [D]];
    if (traits.branchNorms) yield [`${prefix}.post_self_attn_layernorm.weight`, [D]];
    yield [`${prefix}.post_attention_layernorm.weight`, [D]];
    if (traits.fusedGateUp) {
      yield [`${prefix}.mlp.gate_up_proj.weight`, [2 * M, D]];
    } else {
      yield [`${prefix}.mlp.gate_proj.weight`, [M, D]];
      yield [`${prefix}.mlp.up_proj.weight`, [M, D]];
    }
    yield [`${prefix}.mlp.down_proj.weight`, [D, M]];
    if (traits.branchNorms) yield [`${prefix}.post_mlp_layernorm.weight`, [D]];
  }
  yield [`${TEXT}.norm.weight`, [D]];
  if (!tiedHead) yield [HEAD, [text.vocabSize, D]];
}

/**
 * hidden [rows, D] → output [rows, D], and the new key and value rows of each layer.
 *
 * @param kvDtype what the cache is held in; new rows are float32
 * @param form which runs the graph is for
 *
 * Layer l < `deepStackLevels` is followed by the addition of `deepstack.l` [rows, D], which the host
 * feeds; it is zero at text rows.
 */
export function buildStage(
  g: GraphBuilder,
  text: TextConfig,
  { from, to, variation }: StageRange,
  kvDtype: KvDtype = 'fp32',
  form: RunForm = 'any',
): void {
  let h = g.input('hidden', 'float32', ['rows', text.hiddenSize]);
  const rotary = rotaryInputs(g, 'rows', text.rope.dim / 2);
  const cache = cacheInputs(g, kvDtype, form);
  let lastInput = h;
  for (let layer = from; layer < to; layer += 1) {
    lastInput = h;
    h = decoderLayer(g, h, layer, text, rotary, cache);
    if (layer < text.deepStackLevels) {
      h = g.op('Add', [h, g.input(`deepstack.${layer}`, 'float32', ['rows', text.hiddenSize])]);
    }
  }
  g.output('output', 'float32', ['rows', text.hiddenSize], h);
  if (variation) {
    g.output('variation', 'float32', ['rows'], rowVariation(g, lastInput, h, variation));
  }
}

function decoderLayer(
  g: GraphBuilder,
  h: Value,
  layer: number,
  text: TextConfig,
  rotary: RotaryInputs,
  cache: CacheInputs,
): Value {
  const { traits, headDim } = text;
  const prefix = `${TEXT}.layers.${layer}`;
  const norm = (x: Value, name: string) =>
    rmsNorm(g, x, `${prefix}.${name}.weight`, text.rmsNormEps);
  const branch = (x: Value, name: string) => (traits.branchNorms ? norm(x, name) : x);
  const project = (x: Value, name: string, bias: boolean) => {
    const full = `${prefix}.self_attn.${name}_proj`;
    return g.linear(x, `${full}.weight`, bias ? { bias: `${full}.bias` } : {});
  };
  const x = norm(h, 'input_layernorm');
  const perHead = (name: 'q' | 'k', heads: number) => {
    const projected = project(x, name, traits.qkvBias);
    if (!traits.headNorm) return projected;
    const shape = { heads, headDim, epsilon: text.rmsNormEps };
    return headNorm(g, projected, `${prefix}.self_attn.${name}_norm.weight`, shape);
  };
  const projected = {
    q: perHead('q', text.heads),
    k: perHead('k', text.kvHeads),
    v: project(x, 'v', traits.qkvBias),
  };
  const attended = cachedAttention(g, layer, projected, rotary, cache, {
    ...text,
    rotaryDim: text.rope.dim,
    interleaved: text.rope.interleavedPairs,
  });
  const attention = project(attended, 'o', traits.outputBias);
  const middle = g.op('Add', [h, branch(attention, 'post_self_attn_layernorm')]);
  const [gate, up] = gateAndUp(g, norm(middle, 'post_attention_layernorm'), prefix, text);
  const mlp = g.linear(gated(g, gate, up), `${prefix}.mlp.down_proj.weight`);
  return g.op('Add', [middle, branch(mlp, 'post_mlp_layernorm')]);
}

function gateAndUp(
  g: GraphBuilder,
  y: Value,
  prefix: string,
  { traits, intermediateSize }: TextConfig,
): [Value, Value] {
  if (!traits.fusedGateUp) {
    return [
      g.linear(y, `${prefix}.mlp.gate_proj.weight`),
      g.linear(y, `${prefix}.mlp.up_proj.weight`),
    ];
  }
  const half = (index: number) =>
    g.linear(y, `${prefix}.mlp.gate_up_proj.weight`, {
      rows: [index * intermediateSize, intermediateSize],
    });
  return [half(0), half(1)];
}

/** hidden [rows, D] → logits [rows, vocabulary] */
export function buildHead(g: GraphBuilder, text: TextConfig, tiedHead: boolean): void {
  const hidden = g.input('hidden', 'float32', ['rows', text.hiddenSize]);
  const normed = rmsNorm(g, hidden, `${TEXT}.norm.weight`, text.rmsNormEps);
  g.output(
    'logits',
    'float32',
    ['rows', text.vocabSize],
    g.linear(normed, tiedHead ? EMBEDDING : HEAD),
  );
}
