/**
 * GLM's merger: a convolution over each cell, then a projection, a norm and a gated MLP.
 *
 * Source: transformers 5.24.0, Glm4vVisionModel.downsample and Glm4vVisionPatchMerger.
 */
import { activate, gated, layerNorm } from '../blocks.js';
import { type Merger, type VisionTower, withBias } from './tower.js';

const VISUAL = 'model.visual';
const MERGER = `${VISUAL}.merger`;
/** PyTorch's LayerNorm default, whatever the config says. */
const NORM_EPS = 1e-5;

/** @param innerWidth of the gated MLP */
export function glmMerger(
  { hiddenSize: C, mergeSize }: VisionTower,
  { outWidth: O, innerWidth }: { outWidth: number; innerWidth: number },
): Merger {
  return {
    *weights() {
      yield* withBias(`${VISUAL}.downsample`, [O, C, mergeSize, mergeSize]);
      yield [`${MERGER}.proj.weight`, [O, O]];
      yield* withBias(`${MERGER}.post_projection_norm`, [O]);
      yield [`${MERGER}.gate_proj.weight`, [innerWidth, O]];
      yield [`${MERGER}.up_proj.weight`, [innerWidth, O]];
      yield [`${MERGER}.down_proj.weight`, [O, innerWidth]];
    },

    build(g, { patches }) {
      // The patches of a cell are consecutive rows: [P, C] → [P/4, 4, C] → [P/4, C, 4] → [P/4, 4·C]
      const cell = mergeSize ** 2;
      const grouped = g.op('Transpose', [g.reshape(patches, [-1, cell, C])], { perm: [0, 2, 1] });
      const merged = g.linear(g.reshape(grouped, [-1, cell * C]), `${VISUAL}.downsample.weight`, {
        bias: `${VISUAL}.downsample.bias`,
      });
      const projected = g.linear(merged, `${MERGER}.proj.weight`);
      const normed = layerNorm(g, projected, `${MERGER}.post_projection_norm`, NORM_EPS);
      const x = activate(g, normed, 'gelu');
      const gate = g.linear(x, `${MERGER}.gate_proj.weight`);
      const up = g.linear(x, `${MERGER}.up_proj.weight`);
      return g.linear(gated(g, gate, up), `${MERGER}.down_proj.weight`);
    },
  };
}
