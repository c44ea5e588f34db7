/**
 * A learned table of positions, side × side, resampled to the grid of an image. Resampling is separable:
 * rows first, then columns, as two products with weights that the host makes.
 */
import type { Feeds } from '../feed.js';
import type { GraphBuilder, Value } from '../graph-builder.js';
import { rasterIndices } from './patch-grid.js';

/** [P, width] in `patchOrder`, to be added to the patches. */
export function sampledTable(
  g: GraphBuilder,
  weight: string,
  { side, width }: { side: number; width: number },
): Value {
  const rowWeights = g.input('row_weights', 'float32', ['grid_h', side]);
  const columnWeights = g.input('column_weights', 'float32', ['grid_w', side]);
  const order = g.input('patch_order', 'int64', ['patches']);
  const table = g.weight(weight, { shape: [side, side * width] });
  const byRow = g.reshape(g.op('MatMul', [rowWeights, table]), [-1, side, width]); // [grid_h, side, width]
  const raster = g.reshape(g.op('MatMul', [columnWeights, byRow]), [-1, width]); // [grid_h · grid_w, width]
  return g.op('Gather', [raster, order], { axis: 0 });
}

/** @param weights [length, side] of one axis: `bicubicWeights` or `linearWeights` */
export function tableFeeds(
  [gridH, gridW]: readonly [number, number],
  mergeSize: number,
  side: number,
  weights: (length: number, side: number) => Float32Array,
): Feeds {
  return {
    row_weights: { data: weights(gridH, side), dims: [gridH, side] },
    column_weights: { data: weights(gridW, side), dims: [gridW, side] },
    patch_order: { data: rasterIndices(gridH, gridW, mergeSize), dims: [gridH * gridW] },
  };
}
