/**
 * The towers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: one skeleton, three choices of norm, MLP, position
 * table and reach of attention.
 *
 * Source: transformers 5.24.0, models/{qwen2_vl,qwen2_5_vl,qwen3_vl}/modeling_*.py. Where they surprise:
 * every norm's epsilon is 1e-6 whatever the config says; Qwen2-VL calls the tower's width `embed_dim`
 * and the decoder's `hidden_size`. Rows stay in `patchOrder` here where the reference moves Qwen2.5-VL's
 * into window order: only attention within windows needs that order.
 */
import { fullAttention, rotaryInputs, windowAttention } from '../attention.js';
import { type Activation, activate, gated, layerNorm, rmsNorm } from '../blocks.js';
import type { ConfigReader } from '../config-reader.js';
import type { GraphBuilder, Value } from '../graph-builder.js';
import { axialFeeds } from './axial-feeds.js';
import { linearWeights, patchWindows, sharedAxialFrequencies } from './patch-grid.js';
import { sampledTable, tableFeeds } from './position-table.js';
import { readActivation, readSizes, readTheta } from './read-tower.js';
import { embedPatches, fusedQkv, type VisionTower, type WeightShapes, withBias } from './tower.js';

const VISUAL = 'model.visual';
const TABLE = `${VISUAL}.pos_embed.weight`;
export const QWEN_NORM_EPS = 1e-6;

export function qwen2vlTower(vision: ConfigReader): VisionTower {
  return qwenTower(vision, {
    hiddenSizeKey: 'embed_dim',
    patchSize: 14,
    patchBias: false,
    norm: 'layer',
    mlp: {
      kind: 'plain',
      names: ['fc1', 'fc2'],
      width: vision.count('embed_dim') * vision.number('mlp_ratio', 4),
      activation: readActivation(vision, 'quick_gelu'),
    },
    earlierBlocks: [],
  });
}

export function qwen25vlTower(vision: ConfigReader): VisionTower {
  const patchSize = vision.count('patch_size', 14);
  const mergeSize = vision.count('spatial_merge_size', 2);
  // Cells along a side of a window.
  const side = Math.floor(Math.floor(vision.count('window_size', 112) / mergeSize) / patchSize);
  vision.check(side >= 1, 'window_size', `at least one cell of ${patchSize * mergeSize} px`);
  return qwenTower(vision, {
    hiddenSizeKey: 'hidden_size',
    patchSize: 14,
    patchBias: false,
    norm: 'rms',
    mlp: {
      kind: 'gated',
      width: vision.count('intermediate_size'),
      activation: readActivation(vision, 'silu'),
    },
    windows: { side, fullBlocks: vision.indices('fullatt_block_indexes', [7, 15, 23, 31]) },
    earlierBlocks: [],
  });
}

export function qwen3vlTower(vision: ConfigReader): VisionTower {
  const positions = vision.count('num_position_embeddings', 2304);
  const tableSide = Math.sqrt(positions);
  vision.check(Number.isInteger(tableSide), 'num_position_embeddings', 'a square number');
  const earlierBlocks = vision.indices('deepstack_visual_indexes', [8, 16, 24]);
  const depth = vision.count('depth');
  vision.check(
    earlierBlocks.every((block, n) => block < depth && block > (earlierBlocks[n - 1] ?? -1)),
    'deepstack_visual_indexes',
    `ascending blocks below depth ${depth}`,
  );
  return qwenTower(vision, {
    hiddenSizeKey: 'hidden_size',
    patchSize: 16,
    patchBias: true,
    tableSide,
    norm: 'layer',
    mlp: {
      kind: 'plain',
      names: ['linear_fc1', 'linear_fc2'],
      width: vision.count('intermediate_size'),
      activation: readActivation(vision, 'gelu_pytorch_tanh'),
    },
    earlierBlocks,
  });
}

interface QwenTraits {
  hiddenSizeKey: string;
  /** Where the config does not say. */
  patchSize: number;
  patchBias: boolean;
  /** Side of the learned position table in patches, if there is one. */
  tableSide?: number;
  norm: 'layer' | 'rms';
  mlp: QwenMlp;
  /** Side of an attention window in cells, in all but some blocks. */
  windows?: { side: number; fullBlocks: readonly number[] };
  /** Blocks whose output DeepStack takes. */
  earlierBlocks: readonly number[];
}

type QwenMlp =
  | { kind: 'plain'; names: readonly [string, string]; width: number; activation: Activation }
  | { kind: 'gated'; width: number; activation: Activation };

function qwenTower(vision: ConfigReader, traits: QwenTraits): VisionTower {
  const { hiddenSize: C, ...sizes } = readSizes(vision, {
    depth: 'depth',
    hiddenSize: traits.hiddenSizeKey,
    heads: 'num_heads',
  });
  const frequencies = sharedAxialFrequencies(readTheta(vision), sizes.headDim);
  const { mlp, tableSide, windows } = traits;

  const tower: VisionTower = {
    ...sizes,
    hiddenSize: C,
    deepStackLevels: traits.earlierBlocks.length,
    // The field is called in_chans in the published files, in_channels in transformers.
    channels: vision.count('in_channels', vision.count('in_chans', 3)),
    patchSize: vision.count('patch_size', traits.patchSize),
    temporalPatchSize: vision.count('temporal_patch_size', 2),
    mergeSize: vision.count('spatial_merge_size', 2),

    *weights(): WeightShapes {
      const { channels, temporalPatchSize, patchSize } = tower;
      const embedding = `${VISUAL}.patch_embed.proj`;
      yield [`${embedding}.weight`, [C, channels, temporalPatchSize, patchSize, patchSize]];
      if (traits.patchBias) yield [`${embedding}.bias`, [C]];
      if (tableSide !== undefined) yield [TABLE, [tableSide ** 2, C]];
      for (let n = 0; n < sizes.depth; n += 1) {
        const block = `${VISUAL}.blocks.${n}`;
        yield* normWeights(`${block}.norm1`, C, traits.norm);
        yield* withBias(`${block}.attn.qkv`, [3 * C, C]);
        yield* withBias(`${block}.attn.proj`, [C, C]);
        yield* normWeights(`${block}.norm2`, C, traits.norm);
        yield* mlpWeights(`${block}.mlp`, C, mlp);
      }
    },

    build(g) {
      const rotary = rotaryInputs(g, 'patches', sizes.headDim / 2);
      const places = windows && windowInputs(g, windows.side ** 2 * tower.mergeSize ** 2);
      const embedding = `${VISUAL}.patch_embed.proj`;
      const bias = traits.patchBias ? `${embedding}.bias` : undefined;
      let h = embedPatches(g, tower, `${embedding}.weight`, bias);
      if (tableSide !== undefined) {
        h = g.op('Add', [h, sampledTable(g, TABLE, { side: tableSide, width: C })]);
      }
      const earlier: Value[] = [];
      for (let n = 0; n < sizes.depth; n += 1) {
        const block = `${VISUAL}.blocks.${n}`;
        const x = qwenNorm(g, h, `${block}.norm1`, traits.norm);
        const projected = fusedQkv(g, x, `${block}.attn.qkv`, C, true);
        const attended =
          places && !windows.fullBlocks.includes(n)
            ? windowAttention(g, projected, rotary, places, sizes)
            : fullAttention(g, projected, rotary, sizes);
        const middle = g.op('Add', [h, biased(g, attended, `${block}.attn.proj`)]);
        const y = qwenNorm(g, middle, `${block}.norm2`, traits.norm);
        h = g.op('Add', [middle, buildMlp(g, y, `${block}.mlp`, mlp)]);
        if (traits.earlierBlocks.includes(n)) earlier.push(h);
      }
      return { patches: h, earlier };
    },

    feeds(gridH, gridW) {
      const { mergeSize } = tower;
      return {
        ...axialFeeds(gridH, gridW, mergeSize, frequencies),
        ...(tableSide !== undefined &&
          tableFeeds([gridH, gridW], mergeSize, tableSide, linearWeights)),
        ...(windows && windowFeeds(gridH, gridW, mergeSize, windows.side)),
      };
    },
  };
  return tower;
}

function windowInputs(g: GraphBuilder, length: number) {
  return {
    places: g.input('window_places', 'int64', ['window_places']),
    lengths: g.input('window_lengths', 'int32', ['windows']),
    patches: g.input('window_patches', 'int64', ['patches']),
    length,
  };
}

function windowFeeds(gridH: number, gridW: number, mergeSize: number, side: number) {
  const { places, lengths, patches } = patchWindows(gridH, gridW, mergeSize, side);
  return {
    window_places: { data: places, dims: [places.length] },
    window_lengths: { data: lengths, dims: [lengths.length] },
    window_patches: { data: patches, dims: [patches.length] },
  };
}

export function* normWeights(prefix: string, width: number, norm: 'layer' | 'rms') {
  if (norm === 'layer') yield* withBias(prefix, [width]);
  else yield [`${prefix}.weight`, [width]] as const;
}

export function qwenNorm(g: GraphBuilder, x: Value, prefix: string, norm: 'layer' | 'rms'): Value {
  return norm === 'layer'
    ? layerNorm(g, x, prefix, QWEN_NORM_EPS)
    : rmsNorm(g, x, `${prefix}.weight`, QWEN_NORM_EPS);
}

export function biased(g: GraphBuilder, x: Value, prefix: string): Value {
  return g.linear(x, `${prefix}.weight`, { bias: `${prefix}.bias` });
}

function* mlpWeights(prefix: string, C: number, mlp: QwenMlp) {
  const into = mlp.kind === 'gated' ? ['gate_proj', 'up_proj'] : [mlp.names[0]];
  for (const name of into) yield* withBias(`${prefix}.${name}`, [mlp.width, C]);
  const outOf = mlp.kind === 'gated' ? 'down_proj' : mlp.names[1];
  yield* withBias(`${prefix}.${outOf}`, [C, mlp.width]);
}

function buildMlp(g: GraphBuilder, x: Value, prefix: string, mlp: QwenMlp): Value {
  if (mlp.kind === 'plain') {
    const inner = activate(g, biased(g, x, `${prefix}.${mlp.names[0]}`), mlp.activation);
    return biased(g, inner, `${prefix}.${mlp.names[1]}`);
  }
  const [gate, up] = [biased(g, x, `${prefix}.gate_proj`), biased(g, x, `${prefix}.up_proj`)];
  return biased(g, gated(g, gate, up, mlp.activation), `${prefix}.down_proj`);
}
