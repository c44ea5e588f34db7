/**
 * GLM-4V (GLM-4.1V-9B, Glyph, and the reader).
 *
 * Source: transformers 5.18.0, models/glm4v/modeling_glm4v.py. Where it surprises: a vision block's
 * MLP is as wide as the tower's output, `intermediate_size` is the merger's; the decoder norms each
 * branch's output again before adding it; rotary takes part of each head, in (even, odd) pairs.
 */
import {
  cachedAttention,
  fullAttention,
  gatedMlp,
  rmsNorm,
  rotaryInputs,
  rowVariation,
} from '../blocks.js';
import { ConfigReader } from '../config-reader.js';
import type { Feeds } from '../feed.js';
import type { GraphBuilder, Value } from '../graph-builder.js';
import { visionPositions } from '../vision-positions.js';
import type { ModelConfig, ModelFamily, StageRange } from './family.js';

const TEXT = 'model.language_model';
const VISUAL = 'model.visual';
const HEAD = 'lm_head.weight';
const EMBEDDING = `${TEXT}.embed_tokens.weight`;
/** PyTorch's LayerNorm default, which the merger uses whatever the config says. */
const MERGER_NORM_EPS = 1e-5;
const MAX_LAYERS = 1000;

export const glm4v: ModelFamily = {
  name: 'glm4v',
  modelTypes: ['glm4v'],
  embeddingName: EMBEDDING,
  parseConfig,
  weightShapes,
  storedNames,
  buildVision,
  visionFeeds,
  buildStage,
  buildHead,
};

function parseConfig(raw: Record<string, unknown>, file: string): ModelConfig {
  const root = new ConfigReader(raw, file);
  // Early uploads keep the text fields at the top, later ones nest them.
  const text = root.child('text_config') ?? root;
  const vision = root.requiredChild('vision_config');
  // rope_parameters is the newer name; before, theta and the partial factor stood beside rope_scaling.
  const rope = text.child('rope_parameters') ?? text.child('rope_scaling') ?? text;
  const heads = text.count('num_attention_heads');
  const hiddenSize = text.count('hidden_size');
  const headDim = hiddenSize / heads;
  text.check(Number.isInteger(headDim), 'hidden_size', 'a multiple of num_attention_heads');
  const partial = rope.number('partial_rotary_factor', text.number('partial_rotary_factor', 1));
  const ropeDim = Math.trunc(headDim * partial);
  const sections = rope.counts('mrope_section', [8, 12, 12]);
  rope.check(
    2 * sections.reduce((sum, size) => sum + size, 0) === ropeDim,
    'mrope_section',
    `numbers that sum to ${ropeDim / 2}, half of the rotated dimensions`,
  );
  const ropeType = rope.string('rope_type', rope.string('type', 'default'));
  rope.check(['default', 'mrope'].includes(ropeType), 'rope_type', 'default or mrope');
  text.check(text.string('hidden_act', 'silu') === 'silu', 'hidden_act', 'silu');

  const visionHidden = vision.count('hidden_size');
  const visionHeads = vision.count('num_heads');
  vision.check(
    visionHidden % (4 * visionHeads) === 0,
    'num_heads',
    'such that each head has a multiple of 4 dimensions',
  );
  const patchSize = vision.count('patch_size', 14);
  const tableSide = vision.count('image_size', 336) / patchSize;
  vision.check(Number.isInteger(tableSide), 'image_size', `a multiple of patch_size ${patchSize}`);
  const outHiddenSize = vision.count('out_hidden_size');
  vision.check(
    outHiddenSize === hiddenSize,
    'out_hidden_size',
    `the text hidden_size ${hiddenSize}`,
  );
  return {
    family: 'glm4v',
    text: {
      vocabSize: text.count('vocab_size'),
      hiddenSize,
      intermediateSize: text.count('intermediate_size'),
      layers: text.count('num_hidden_layers', undefined, MAX_LAYERS),
      heads,
      kvHeads: text.count('num_key_value_heads', heads),
      headDim,
      rmsNormEps: text.number('rms_norm_eps', 1e-5),
      maxPositions: text.count('max_position_embeddings', 32_768),
      rope: {
        theta: rope.number('rope_theta', text.number('rope_theta', 10_000)),
        dim: ropeDim,
        sections,
        interleaved: true,
      },
    },
    vision: {
      depth: vision.count('depth', undefined, MAX_LAYERS),
      hiddenSize: visionHidden,
      heads: visionHeads,
      headDim: visionHidden / visionHeads,
      blockIntermediateSize: outHiddenSize,
      mergerIntermediateSize: vision.count('intermediate_size'),
      outHiddenSize,
      rmsNormEps: vision.number('rms_norm_eps', 1e-5),
      ropeTheta: vision.child('rope_parameters')?.number('rope_theta', 10_000) ?? 10_000,
      channels: vision.count('in_channels', 3),
      patchSize,
      temporalPatchSize: vision.count('temporal_patch_size', 2),
      mergeSize: vision.count('spatial_merge_size', 2),
      qkvBias: vision.boolean('attention_bias', false),
      positionTableSide: tableSide,
    },
    imageTokenId: root.count('image_token_id', 151_343),
    tiedHead: root.boolean('tie_word_embeddings', text.boolean('tie_word_embeddings', false)),
  };
}

function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { text, vision } = config;
  const shapes = new Map<string, readonly number[]>();
  const C = vision.hiddenSize;
  const V = (name: string, ...shape: number[]) => shapes.set(`${VISUAL}.${name}`, shape);
  V(
    'patch_embed.proj.weight',
    C,
    vision.channels,
    vision.temporalPatchSize,
    vision.patchSize,
    vision.patchSize,
  );
  V('patch_embed.proj.bias', C);
  V('post_conv_layernorm.weight', C);
  V('embeddings.position_embedding.weight', vision.positionTableSide ** 2, C);
  for (let n = 0; n < vision.depth; n += 1) {
    V(`blocks.${n}.norm1.weight`, C);
    V(`blocks.${n}.attn.qkv.weight`, 3 * C, C);
    if (vision.qkvBias) V(`blocks.${n}.attn.qkv.bias`, 3 * C);
    V(`blocks.${n}.attn.proj.weight`, C, C);
    V(`blocks.${n}.norm2.weight`, C);
    V(`blocks.${n}.mlp.gate_proj.weight`, vision.blockIntermediateSize, C);
    V(`blocks.${n}.mlp.up_proj.weight`, vision.blockIntermediateSize, C);
    V(`blocks.${n}.mlp.down_proj.weight`, C, vision.blockIntermediateSize);
  }
  const O = vision.outHiddenSize;
  V('post_layernorm.weight', C);
  V('downsample.weight', O, C, vision.mergeSize, vision.mergeSize);
  V('downsample.bias', O);
  V('merger.proj.weight', O, O);
  V('merger.post_projection_norm.weight', O);
  V('merger.post_projection_norm.bias', O);
  V('merger.gate_proj.weight', vision.mergerIntermediateSize, O);
  V('merger.up_proj.weight', vision.mergerIntermediateSize, O);
  V('merger.down_proj.weight', O, vision.mergerIntermediateSize);

  const D = text.hiddenSize;
  const Q = text.heads * text.headDim;
  const KV = text.kvHeads * text.headDim;
  shapes.set(EMBEDDING, [text.vocabSize, D]);
  for (let n = 0; n < text.layers; n += 1) {
    const L = (name: string, ...shape: number[]) =>
      shapes.set(`${TEXT}.layers.${n}.${name}`, shape);
    L('input_layernorm.weight', D);
    for (const [projection, width] of [
      ['q', Q],
      ['k', KV],
      ['v', KV],
    ] as const) {
      L(`self_attn.${projection}_proj.weight`, width, D);
      L(`self_attn.${projection}_proj.bias`, width);
    }
    L('self_attn.o_proj.weight', D, Q);
    L('post_self_attn_layernorm.weight', D);
    L('post_attention_layernorm.weight', D);
    L('mlp.gate_up_proj.weight', 2 * text.intermediateSize, D);
    L('mlp.down_proj.weight', D, text.intermediateSize);
    L('post_mlp_layernorm.weight', D);
  }
  shapes.set(`${TEXT}.norm.weight`, [D]);
  if (!config.tiedHead) shapes.set(HEAD, [text.vocabSize, D]);
  return shapes;
}

function storedNames(name: string): readonly string[] {
  if (name.startsWith(VISUAL)) return [name, name.slice('model.'.length)];
  if (name.startsWith(TEXT)) {
    const rest = name.slice(TEXT.length + 1);
    return [name, `model.${rest}`, `language_model.model.${rest}`];
  }
  return [name, `language_model.${name}`];
}

/** pixel_values [patches, C·T·p·p] → image_features [patches / 4, D] */
function buildVision(g: GraphBuilder, { vision }: ModelConfig): void {
  const C = vision.hiddenSize;
  const side = vision.positionTableSide;
  const patchWidth = vision.channels * vision.temporalPatchSize * vision.patchSize ** 2;
  const pixels = g.input('pixel_values', 'float32', ['patches', patchWidth]);
  const rotary = rotaryInputs(g, 'patches', vision.headDim / 2);

  // Convolution with stride = kernel over flattened patches: one product, the kernel seen as a matrix.
  const embedded = g.linear(pixels, `${VISUAL}.patch_embed.proj.weight`, {
    bias: `${VISUAL}.patch_embed.proj.bias`,
  });
  const normed = rmsNorm(g, embedded, `${VISUAL}.post_conv_layernorm.weight`, vision.rmsNormEps);

  // Bicubic sampling of the position table is separable: rows first, then columns, then merge order.
  const rowWeights = g.input('row_weights', 'float32', ['grid_h', side]);
  const columnWeights = g.input('column_weights', 'float32', ['grid_w', side]);
  const order = g.input('patch_order', 'int64', ['patches']);
  const table = g.weight(`${VISUAL}.embeddings.position_embedding.weight`, {
    shape: [side, side * C],
  });
  const byRow = g.reshape(g.op('MatMul', [rowWeights, table]), [-1, side, C]); // [grid_h, side, C]
  const raster = g.reshape(g.op('MatMul', [columnWeights, byRow]), [-1, C]); // [grid_h·grid_w, C]
  let h = g.op('Add', [normed, g.op('Gather', [raster, order], { axis: 0 })]);

  for (let n = 0; n < vision.depth; n += 1) h = visionBlock(g, h, n, vision, rotary);

  h = rmsNorm(g, h, `${VISUAL}.post_layernorm.weight`, vision.rmsNormEps);
  // Four neighbouring patches lie in consecutive rows: [P, C] → [P/4, 4, C] → [P/4, C, 4] → [P/4, 4·C]
  const cell = vision.mergeSize ** 2;
  const grouped = g.op('Transpose', [g.reshape(h, [-1, cell, C])], { perm: [0, 2, 1] });
  const merged = g.linear(g.reshape(grouped, [-1, cell * C]), `${VISUAL}.downsample.weight`, {
    bias: `${VISUAL}.downsample.bias`,
  });
  g.output('image_features', 'float32', ['cells', vision.outHiddenSize], merger(g, merged));
}

function visionFeeds(gridH: number, gridW: number, { vision }: ModelConfig): Feeds {
  const positions = visionPositions(gridH, gridW, vision);
  const patches = gridH * gridW;
  const half = vision.headDim / 2;
  const side = vision.positionTableSide;
  return {
    cos: { data: positions.cos, dims: [patches, half] },
    sin: { data: positions.sin, dims: [patches, half] },
    row_weights: { data: positions.rowWeights, dims: [gridH, side] },
    column_weights: { data: positions.columnWeights, dims: [gridW, side] },
    patch_order: { data: positions.patchOrder, dims: [patches] },
  };
}

function visionBlock(
  g: GraphBuilder,
  h: Value,
  n: number,
  vision: ModelConfig['vision'],
  rotary: { cos: Value; sin: Value },
): Value {
  const prefix = `${VISUAL}.blocks.${n}`;
  const C = vision.hiddenSize;
  const x = rmsNorm(g, h, `${prefix}.norm1.weight`, vision.rmsNormEps);
  const part = (index: number) =>
    g.linear(x, `${prefix}.attn.qkv.weight`, {
      rows: [index * C, C],
      ...(vision.qkvBias && { bias: `${prefix}.attn.qkv.bias` }),
    });
  const attended = fullAttention(g, { q: part(0), k: part(1), v: part(2) }, rotary, vision);
  const middle = g.op('Add', [h, g.linear(attended, `${prefix}.attn.proj.weight`)]);
  const y = rmsNorm(g, middle, `${prefix}.norm2.weight`, vision.rmsNormEps);
  const gate = g.linear(y, `${prefix}.mlp.gate_proj.weight`);
  const up = g.linear(y, `${prefix}.mlp.up_proj.weight`);
  return g.op('Add', [middle, gatedMlp(g, gate, up, `${prefix}.mlp.down_proj.weight`)]);
}

function merger(g: GraphBuilder, merged: Value): Value {
  const prefix = `${VISUAL}.merger`;
  const projected = g.linear(merged, `${prefix}.proj.weight`);
  const normed = g.op(
    'LayerNormalization',
    [
      projected,
      g.weight(`${prefix}.post_projection_norm.weight`),
      g.weight(`${prefix}.post_projection_norm.bias`),
    ],
    { axis: -1, epsilon: { float: MERGER_NORM_EPS } },
  );
  const activated = g.op('Gelu', [normed], { approximate: 'none' });
  const gate = g.linear(activated, `${prefix}.gate_proj.weight`);
  const up = g.linear(activated, `${prefix}.up_proj.weight`);
  return gatedMlp(g, gate, up, `${prefix}.down_proj.weight`);
}

/** hidden [rows, D] → output [rows, D], and the new key and value rows of each layer */
function buildStage(
  g: GraphBuilder,
  { text }: ModelConfig,
  { from, to, variation }: StageRange,
): void {
  let h = g.input('hidden', 'float32', ['rows', text.hiddenSize]);
  const rotary = rotaryInputs(g, 'rows', text.rope.dim / 2);
  const lengths = {
    seqlensK: g.input('seqlens_k', 'int32', [1]),
    total: g.input('total_sequence_length', 'int32', []),
  };
  let lastInput = h;
  for (let layer = from; layer < to; layer += 1) {
    lastInput = h;
    h = decoderLayer(g, h, layer, text, rotary, lengths);
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
  text: ModelConfig['text'],
  rotary: { cos: Value; sin: Value },
  lengths: { seqlensK: Value; total: Value },
): Value {
  const prefix = `${TEXT}.layers.${layer}`;
  const norm = (x: Value, name: string) =>
    rmsNorm(g, x, `${prefix}.${name}.weight`, text.rmsNormEps);
  const x = norm(h, 'input_layernorm');
  const project = (name: string) =>
    g.linear(x, `${prefix}.self_attn.${name}_proj.weight`, {
      bias: `${prefix}.self_attn.${name}_proj.bias`,
    });
  const projected = { q: project('q'), k: project('k'), v: project('v') };
  const attended = cachedAttention(g, layer, projected, rotary, lengths, {
    ...text,
    rotaryDim: text.rope.dim,
    interleaved: text.rope.interleaved,
  });
  const attention = g.linear(attended, `${prefix}.self_attn.o_proj.weight`);
  const middle = g.op('Add', [h, norm(attention, 'post_self_attn_layernorm')]);
  const y = norm(middle, 'post_attention_layernorm');
  const half = (index: number) =>
    g.linear(y, `${prefix}.mlp.gate_up_proj.weight`, {
      rows: [index * text.intermediateSize, text.intermediateSize],
    });
  const mlp = gatedMlp(g, half(0), half(1), `${prefix}.mlp.down_proj.weight`);
  return g.op('Add', [middle, norm(mlp, 'post_mlp_layernorm')]);
}

/** hidden [rows, D] → logits [rows, vocabulary] */
function buildHead(g: GraphBuilder, { text, tiedHead }: ModelConfig): void {
  const hidden = g.input('hidden', 'float32', ['rows', text.hiddenSize]);
  const normed = rmsNorm(g, hidden, `${TEXT}.norm.weight`, text.rmsNormEps);
  const logits = g.linear(normed, tiedHead ? EMBEDDING : HEAD);
  g.output('logits', 'float32', ['rows', text.vocabSize], logits);
}
