/**
 * The mergers of Qwen2-VL, Qwen2.5-VL and Qwen3-VL: norm, the patches of a cell side by side, two layers
 * with GELU between. For DeepStack (arXiv:2406.04334) each earlier output goes through a merger of its own,
 * whose norm comes behind the laying side by side.
 *
 * Source: transformers 5.24.0, PatchMerger, Qwen2_5_VLPatchMerger and Qwen3VLVisionPatchMerger.
 */
import { activate } from '../blocks.js';
import type { GraphBuilder, Value } from '../graph-builder.js';
import { biased, normWeights, qwenNorm } from './qwen-tower.js';
import { type Merger, type VisionTower, withBias } from './tower.js';

export interface QwenMergerNames {
  norm: string;
  layers: readonly [string, string];
}

const VISUAL = 'model.visual';
export const QWEN2_MERGER_NAMES: QwenMergerNames = { norm: 'ln_q', layers: ['mlp.0', 'mlp.2'] };
export const QWEN3_MERGER_NAMES: QwenMergerNames = {
  norm: 'norm',
  layers: ['linear_fc1', 'linear_fc2'],
};

export function qwenMerger(
  { hiddenSize: C, mergeSize, deepStackLevels }: VisionTower,
  { outWidth, norm, names }: { outWidth: number; norm: 'layer' | 'rms'; names: QwenMergerNames },
): Merger {
  const width = mergeSize ** 2 * C;
  const levels = Array.from(
    { length: deepStackLevels },
    (_, n) => `${VISUAL}.deepstack_merger_list.${n}`,
  );

  function* weightsOf(prefix: string, normWidth: number) {
    yield* normWeights(`${prefix}.${names.norm}`, normWidth, norm);
    yield* withBias(`${prefix}.${names.layers[0]}`, [width, width]);
    yield* withBias(`${prefix}.${names.layers[1]}`, [outWidth, width]);
  }
  /** @param cells [cells, width] */
  const layers = (g: GraphBuilder, cells: Value, prefix: string) => {
    const inner = activate(g, biased(g, cells, `${prefix}.${names.layers[0]}`), 'gelu');
    return biased(g, inner, `${prefix}.${names.layers[1]}`);
  };

  return {
    *weights() {
      yield* weightsOf(`${VISUAL}.merger`, C);
      for (const prefix of levels) yield* weightsOf(prefix, width);
    },

    build(g, { patches, earlier }) {
      const normed = qwenNorm(g, patches, `${VISUAL}.merger.${names.norm}`, norm);
      const main = layers(g, g.reshape(normed, [-1, width]), `${VISUAL}.merger`);
      if (levels.length === 0) return main;
      const added = levels.map((prefix, n) => {
        const cells = g.reshape(earlier[n]!, [-1, width]);
        return layers(g, qwenNorm(g, cells, `${prefix}.${names.norm}`, norm), prefix);
      });
      return g.op('Concat', [main, ...added], { axis: 1 });
    },
  };
}
