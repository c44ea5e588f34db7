/**
 * LightOnOCR's merger and projector: norm, the patches of a cell into one, two layers with GELU between.
 *
 * Source: transformers 5.24.0, LightOnOcrPatchMerger and LightOnOcrMultiModalProjector.
 */
import { activate, rmsNorm } from '../blocks.js';
import type { Merger, VisionTower } from './tower.js';

const PROJECTION = 'model.vision_projection';

/** @param normEps the text decoder's, which the norm takes */
export function lightonMerger(
  { hiddenSize: C, mergeSize }: VisionTower,
  { outWidth: D, normEps }: { outWidth: number; normEps: number },
): Merger {
  const cell = mergeSize ** 2;
  return {
    *weights() {
      yield [`${PROJECTION}.norm.weight`, [C]];
      yield [`${PROJECTION}.patch_merger.merging_layer.weight`, [C, cell * C]];
      yield [`${PROJECTION}.linear_1.weight`, [D, C]];
      yield [`${PROJECTION}.linear_2.weight`, [D, D]];
    },

    build(g, { patches }) {
      const normed = rmsNorm(g, patches, `${PROJECTION}.norm.weight`, normEps);
      // As torch's unfold lays a cell out, channel by channel: [P/4, 4, C] → [P/4, C, 4] → [P/4, 4·C]
      const grouped = g.op('Transpose', [g.reshape(normed, [-1, cell, C])], { perm: [0, 2, 1] });
      const merged = g.linear(
        g.reshape(grouped, [-1, cell * C]),
        `${PROJECTION}.patch_merger.merging_layer.weight`,
      );
      const inner = activate(g, g.linear(merged, `${PROJECTION}.linear_1.weight`), 'gelu');
      return g.linear(inner, `${PROJECTION}.linear_2.weight`);
    },
  };
}
