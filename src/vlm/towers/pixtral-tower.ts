/**
 * The tower of Pixtral, as in LightOnOCR and Mistral 3.
 *
 * Source: transformers 5.24.0, models/pixtral/modeling_pixtral.py. Where it surprises: rows turn by the
 * even frequencies of the head and columns by the odd ones; a page need not be whole cells, and the
 * patches at its rim are attended to although no token comes of them.
 */
import { fullAttention, rotaryInputs } from '../attention.js';
import { gated, rmsNorm } from '../blocks.js';
import type { ConfigReader } from '../config-reader.js';
import type { Value } from '../graph-builder.js';
import { axialFeeds } from './axial-feeds.js';
import { alternatingAxialFrequencies } from './patch-grid.js';
import { readActivation, readSizes, readTheta } from './read-tower.js';
import { embedPatches, type VisionTower, type WeightShapes } from './tower.js';

/** Written into the reference, whatever the config says. */
const NORM_EPS = 1e-5;

/** @param prefix of its weights. @param mergeSize stands beside `vision_config`, not in it */
export function pixtralTower(vision: ConfigReader, prefix: string, mergeSize: number): VisionTower {
  const { hiddenSize: C, ...sizes } = readSizes(vision, {
    depth: 'num_hidden_layers',
    hiddenSize: 'hidden_size',
    heads: 'num_attention_heads',
  });
  const M = vision.count('intermediate_size');
  const activation = readActivation(vision, 'gelu');
  const frequencies = alternatingAxialFrequencies(readTheta(vision), sizes.headDim);

  const tower: VisionTower = {
    ...sizes,
    hiddenSize: C,
    deepStackLevels: 0,
    channels: vision.count('num_channels', 3),
    patchSize: vision.count('patch_size', 16),
    temporalPatchSize: 1,
    mergeSize,

    *weights(): WeightShapes {
      yield [`${prefix}.patch_conv.weight`, [C, tower.channels, tower.patchSize, tower.patchSize]];
      yield [`${prefix}.ln_pre.weight`, [C]];
      for (let n = 0; n < sizes.depth; n += 1) {
        const layer = `${prefix}.transformer.layers.${n}`;
        yield [`${layer}.attention_norm.weight`, [C]];
        for (const name of ['q', 'k', 'v', 'o'])
          yield [`${layer}.attention.${name}_proj.weight`, [C, C]];
        yield [`${layer}.ffn_norm.weight`, [C]];
        yield [`${layer}.feed_forward.gate_proj.weight`, [M, C]];
        yield [`${layer}.feed_forward.up_proj.weight`, [M, C]];
        yield [`${layer}.feed_forward.down_proj.weight`, [C, M]];
      }
    },

    build(g) {
      const rotary = rotaryInputs(g, 'patches', sizes.headDim / 2);
      const embedded = embedPatches(g, tower, `${prefix}.patch_conv.weight`);
      let h = rmsNorm(g, embedded, `${prefix}.ln_pre.weight`, NORM_EPS);
      for (let n = 0; n < sizes.depth; n += 1) {
        const layer = `${prefix}.transformer.layers.${n}`;
        const linear = (x: Value, name: string) => g.linear(x, `${layer}.${name}_proj.weight`);
        const x = rmsNorm(g, h, `${layer}.attention_norm.weight`, NORM_EPS);
        const projected = {
          q: linear(x, 'attention.q'),
          k: linear(x, 'attention.k'),
          v: linear(x, 'attention.v'),
        };
        const attended = fullAttention(g, projected, rotary, sizes);
        const middle = g.op('Add', [h, linear(attended, 'attention.o')]);
        const y = rmsNorm(g, middle, `${layer}.ffn_norm.weight`, NORM_EPS);
        const [gate, up] = [linear(y, 'feed_forward.gate'), linear(y, 'feed_forward.up')];
        h = g.op('Add', [middle, linear(gated(g, gate, up, activation), 'feed_forward.down')]);
      }
      // Rim patches stand last and give no token.
      const inCells = g.input('patches_in_cells', 'int64', [1]);
      const patches = g.op('Slice', [h, g.int64s([0]), inCells, g.int64s([0])]);
      return { patches, earlier: [] };
    },

    feeds(gridH, gridW) {
      const whole = (patches: number) => patches - (patches % mergeSize);
      const inCells = BigInt64Array.of(BigInt(whole(gridH) * whole(gridW)));
      return {
        ...axialFeeds(gridH, gridW, mergeSize, frequencies),
        patches_in_cells: { data: inCells, dims: [1] },
      };
    },
  };
  return tower;
}
