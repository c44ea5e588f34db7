/** Which rows of a context are visual, and which cell of which page each of them is. */
import type { ContextLayer } from './kv-cache.js';
import type { KeptCells } from './prefill.js';

/** What a context says of its rows. */
export interface PlacedContext {
  layers: readonly Pick<ContextLayer, 'length'>[];
  layerVisualTokens: readonly number[];
  promptTokens: number;
  keptCells: readonly (readonly KeptCells[])[];
  places?: { image: Int32Array; cell: Int32Array };
}

export interface VisualRows {
  /** Rows of the layer's cache, ascending. */
  rows: Int32Array;
  /** Image and cell of each. */
  image: Int32Array;
  cell: Int32Array;
}

/** @returns null for a context that was stored before places were kept with it */
export function visualRows(context: PlacedContext, layer: number): VisualRows | null {
  const { places, keptCells, layerVisualTokens, promptTokens } = context;
  if (!places) return null;
  // Drops leave fewer rows each, so the count tells which of them came before the layer.
  const dropped = promptTokens - context.layers[layer]!.length;
  const kept =
    dropped === 0
      ? null
      : keptCells.findLast(
          (images) =>
            images.reduce((sum, { cell }) => sum + cell.length, 0) === layerVisualTokens[layer],
        );
  const stays = kept && new Set(kept.flatMap(({ image, cell }) => [...cell].map(key(image))));
  const rows: number[] = [];
  const image: number[] = [];
  const cell: number[] = [];
  let row = 0;
  for (const [at, ofImage] of places.image.entries()) {
    const ofCell = places.cell[at]!;
    if (ofImage >= 0 && stays && !stays.has(key(ofImage)(ofCell))) continue;
    if (ofImage >= 0) {
      rows.push(row);
      image.push(ofImage);
      cell.push(ofCell);
    }
    row += 1;
  }
  // Rows that a drop merged into others have no cell of their own.
  if (row !== context.layers[layer]!.length) return null;
  return {
    rows: Int32Array.from(rows),
    image: Int32Array.from(image),
    cell: Int32Array.from(cell),
  };
}

const key = (image: number) => (cell: number) => image * 2 ** 24 + cell;
