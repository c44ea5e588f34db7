/**
 * The towers of GLM-4V and GLM-OCR.
 *
 * Source: transformers 5.24.0, models/glm4v/modeling_glm4v.py and models/glm_ocr/modeling_glm_ocr.py.
 * Where they surprise: in GLM-4V a block's MLP is as wide as the tower's output (`intermediate_size` is the
 * merger's), and the position table is added behind a norm. GLM-OCR has no table, norms query and key
 * head by head, and has biases.
 */
import { fullAttention, rotaryInputs } from '../attention.js';
import { gated, headNorm, rmsNorm } from '../blocks.js';
import type { ConfigReader } from '../config-reader.js';
import type { Value } from '../graph-builder.js';
import { axialFeeds } from './axial-feeds.js';
import { bicubicWeights, sharedAxialFrequencies } from './patch-grid.js';
import { sampledTable, tableFeeds } from './position-table.js';
import { readSizes, readTheta } from './read-tower.js';
import { embedPatches, fusedQkv, type VisionTower, type WeightShapes } from './tower.js';

const VISUAL = 'model.visual';
const TABLE = `${VISUAL}.embeddings.position_embedding.weight`;

export function glm4vTower(vision: ConfigReader): VisionTower {
  const patchSize = vision.count('patch_size', 14);
  const tableSide = vision.count('image_size', 336) / patchSize;
  vision.check(Number.isInteger(tableSide), 'image_size', `a multiple of patch_size ${patchSize}`);
  const qkvBias = vision.boolean('attention_bias', false);
  return glmTower(vision, {
    tableSide,
    qkvBias,
    bias: false,
    headNorm: false,
    mlpWidth: vision.count('out_hidden_size'),
  });
}

export function glmOcrTower(vision: ConfigReader): VisionTower {
  const bias = vision.boolean('attention_bias', true);
  return glmTower(vision, {
    tableSide: null,
    qkvBias: bias,
    bias,
    headNorm: true,
    mlpWidth: vision.count('intermediate_size'),
  });
}

interface GlmTraits {
  /** Side of the learned position table in patches; null for no table. */
  tableSide: number | null;
  qkvBias: boolean;
  /** Of the attention's output and the MLP. */
  bias: boolean;
  headNorm: boolean;
  mlpWidth: number;
}

function glmTower(vision: ConfigReader, traits: GlmTraits): VisionTower {
  const { hiddenSize: C, ...sizes } = readSizes(vision, {
    depth: 'depth',
    hiddenSize: 'hidden_size',
    heads: 'num_heads',
  });
  const epsilon = vision.number('rms_norm_eps', 1e-5);
  const frequencies = sharedAxialFrequencies(readTheta(vision), sizes.headDim);
  const { tableSide, mlpWidth: M } = traits;

  const tower: VisionTower = {
    ...sizes,
    hiddenSize: C,
    deepStackLevels: 0,
    channels: vision.count('in_channels', 3),
    patchSize: vision.count('patch_size', 14),
    temporalPatchSize: vision.count('temporal_patch_size', 2),
    mergeSize: vision.count('spatial_merge_size', 2),

    *weights(): WeightShapes {
      const { channels, temporalPatchSize, patchSize } = tower;
      yield [
        `${VISUAL}.patch_embed.proj.weight`,
        [C, channels, temporalPatchSize, patchSize, patchSize],
      ];
      yield [`${VISUAL}.patch_embed.proj.bias`, [C]];
      if (tableSide !== null) {
        yield [`${VISUAL}.post_conv_layernorm.weight`, [C]];
        yield [TABLE, [tableSide ** 2, C]];
      }
      for (let n = 0; n < sizes.depth; n += 1) {
        const block = `${VISUAL}.blocks.${n}`;
        yield [`${block}.norm1.weight`, [C]];
        yield [`${block}.attn.qkv.weight`, [3 * C, C]];
        if (traits.qkvBias) yield [`${block}.attn.qkv.bias`, [3 * C]];
        if (traits.headNorm) {
          yield [`${block}.attn.q_norm.weight`, [sizes.headDim]];
          yield [`${block}.attn.k_norm.weight`, [sizes.headDim]];
        }
        for (const [name, shape] of [
          ['attn.proj', [C, C]],
          ['mlp.gate_proj', [M, C]],
          ['mlp.up_proj', [M, C]],
          ['mlp.down_proj', [C, M]],
        ] as const) {
          yield [`${block}.${name}.weight`, shape];
          if (traits.bias) yield [`${block}.${name}.bias`, [shape[0]]];
        }
        yield [`${block}.norm2.weight`, [C]];
      }
      yield [`${VISUAL}.post_layernorm.weight`, [C]];
    },

    build(g) {
      const rotary = rotaryInputs(g, 'patches', sizes.headDim / 2);
      const norm = (x: Value, name: string) => rmsNorm(g, x, `${VISUAL}.${name}.weight`, epsilon);
      const linear = (x: Value, name: string) =>
        g.linear(
          x,
          `${VISUAL}.${name}.weight`,
          traits.bias ? { bias: `${VISUAL}.${name}.bias` } : {},
        );
      const perHead = (x: Value, name: string) =>
        traits.headNorm ? headNorm(g, x, `${VISUAL}.${name}.weight`, { ...sizes, epsilon }) : x;
      const embedding = `${VISUAL}.patch_embed.proj`;
      let h = embedPatches(g, tower, `${embedding}.weight`, `${embedding}.bias`);
      if (tableSide !== null) {
        const table = sampledTable(g, TABLE, { side: tableSide, width: C });
        h = g.op('Add', [norm(h, 'post_conv_layernorm'), table]);
      }
      for (let n = 0; n < sizes.depth; n += 1) {
        const block = `blocks.${n}`;
        const qkv = fusedQkv(
          g,
          norm(h, `${block}.norm1`),
          `${VISUAL}.${block}.attn.qkv`,
          C,
          traits.qkvBias,
        );
        const projected = {
          q: perHead(qkv.q, `${block}.attn.q_norm`),
          k: perHead(qkv.k, `${block}.attn.k_norm`),
          v: qkv.v,
        };
        const attended = fullAttention(g, projected, rotary, sizes);
        const middle = g.op('Add', [h, linear(attended, `${block}.attn.proj`)]);
        const y = norm(middle, `${block}.norm2`);
        const inner = gated(
          g,
          linear(y, `${block}.mlp.gate_proj`),
          linear(y, `${block}.mlp.up_proj`),
        );
        h = g.op('Add', [middle, linear(inner, `${block}.mlp.down_proj`)]);
      }
      return { patches: norm(h, 'post_layernorm'), earlier: [] };
    },

    feeds: (gridH, gridW) => ({
      ...axialFeeds(gridH, gridW, tower.mergeSize, frequencies),
      ...(tableSide !== null &&
        tableFeeds([gridH, gridW], tower.mergeSize, tableSide, bicubicWeights)),
    }),
  };
  return tower;
}
