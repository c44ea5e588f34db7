/**
 * Prefill, stage by stage: all chunks through one stage, then the drop, then the kept rows through the
 * next. Memory: one chunk, the cache, and one hidden row per prompt row.
 */
import { ShapeError } from '../errors.js';
import { chunkRows, type RunLimits } from './chunk-rows.js';
import { runStage } from './decoder.js';
import type { TextConfig } from './decoders/text-config.js';
import type { DeepStackRows } from './deepstack.js';
import type { VariationMetric } from './families/family.js';
import { LayerCache } from './kv-cache.js';
import type { KvDtype } from './kv-rows.js';
import { type RowPositions, selectPositions } from './positions.js';
import { checkAscending } from './prompt.js';
import type { InTurn } from './run-turns.js';
import type { Stage } from './stage-pool.js';

export interface DropPoint {
  layer: number;
  needs: DropNeeds;
}

/** What a drop reads; each is only computed and copied when asked for. */
export interface DropNeeds {
  /** The change of each row over the layer before, by this metric; true stands for `l2`. */
  variation: boolean | VariationMetric;
  hidden: boolean;
}

/**
 * What a drop decides: ascending indices of the visual rows to keep, and float32 [kept, D] where the
 * kept rows go on with other values (merging).
 */
export type Selection = Int32Array | { kept: Int32Array; hidden: Float32Array };

/** The metric of each drop that reads the variation, by layer. */
export function variationMetrics(drops: readonly DropPoint[]): Map<number, VariationMetric> {
  const metrics = new Map<number, VariationMetric>();
  for (const { layer, needs } of drops) {
    if (needs.variation) metrics.set(layer, needs.variation === true ? 'l2' : needs.variation);
  }
  return metrics;
}

export interface DropInput {
  layer: number;
  /** Visual rows still present. */
  rows: number;
  /** [rows]: change from the input of the layer before to the input of `layer` */
  variation?: Float32Array;
  /** [rows, D]: input of `layer` */
  hidden?: Float32Array;
  /** Image and cell of each row. */
  image: Int32Array;
  cell: Int32Array;
}

export interface PrefillRows {
  /** float32 [N, D]; overwritten. */
  hidden: Float32Array;
  positions: RowPositions;
  /** −1 for text rows. */
  image: Int32Array;
  cell: Int32Array;
  /** Only of models with DeepStack. */
  deepStack?: DeepStackRows | undefined;
}

export interface PrefillHooks {
  select(drop: DropPoint, input: DropInput): Promise<Selection>;
  onProgress?(done: number, total: number): void;
  /** Each run waits for its turn. @defaultValue none has to */
  inTurn?: InTurn;
  signal?: AbortSignal | undefined;
}

export interface KeptCells {
  image: number;
  cell: Int32Array;
}

export interface PrefillResult {
  caches: LayerCache[];
  layerVisualTokens: number[];
  /** Per drop, what was left. */
  keptCells: KeptCells[][];
}

/** Rows that a first question and its answer may take without moving the cache. */
const SPARE_ROWS = 256;

export async function runPrefill(
  stages: readonly Stage[],
  text: TextConfig,
  input: PrefillRows,
  drops: readonly DropPoint[],
  { run, kvDtype }: { run: RunLimits; kvDtype: KvDtype },
  hooks: PrefillHooks,
): Promise<PrefillResult> {
  const { inTurn = (work) => work() } = hooks;
  const caches = Array.from(
    { length: text.layers },
    () => new LayerCache({ ...text, dtype: kvDtype }),
  );
  const layerVisualTokens: number[] = [];
  const keptCells: KeptCells[][] = [];
  const width = text.hiddenSize;
  let rows = input;
  let variation: Float32Array | undefined;
  // Progress counts rows × layers as if nothing were dropped, and reaches the total at the end.
  const work = input.image.length * text.layers;
  for (const stage of stages) {
    for (const drop of drops.filter(({ layer }) => layer === stage.from)) {
      rows = await dropRows(rows, drop, variation, width, hooks);
      keptCells.push(groupCells(rows));
    }
    const count = rows.image.length;
    const visual = rows.image.reduce((sum, image) => sum + (image >= 0 ? 1 : 0), 0);
    for (let layer = stage.from; layer < stage.to; layer += 1) {
      layerVisualTokens.push(visual);
      caches[layer]!.reserve(count + SPARE_ROWS);
    }
    const last = stage.to === text.layers;
    const scores = drops.some(({ layer, needs }) => layer === stage.to && needs.variation);
    const wants = [...(last ? [] : ['output' as const]), ...(scores ? ['variation' as const] : [])];
    variation = scores ? new Float32Array(count) : undefined;
    for (let from = 0, to = 0; from < count; from = to) {
      hooks.signal?.throwIfAborted();
      to = Math.min(from + chunkRows(run, from, text), count);
      const hidden = rows.hidden.subarray(from * width, to * width);
      const span = [from, to] as const;
      const { positions, deepStack } = rows;
      const result = await inTurn(() =>
        runStage(stage, text, caches, hidden, positions, span, wants, deepStack),
      );
      if (result.output) hidden.set(result.output);
      if (result.variation) variation!.set(result.variation, from);
      const share = (to / count) * (stage.to - stage.from);
      hooks.onProgress?.(Math.round(((stage.from + share) / text.layers) * work), work);
    }
  }
  return { caches, layerVisualTokens, keptCells };
}

async function dropRows(
  rows: PrefillRows,
  drop: DropPoint,
  variation: Float32Array | undefined,
  width: number,
  hooks: PrefillHooks,
): Promise<PrefillRows> {
  const all = Int32Array.from(rows.image.keys());
  const visual = all.filter((row) => rows.image[row]! >= 0);
  const pick = (source: Int32Array, indices: Int32Array) =>
    Int32Array.from(indices, (row) => source[row]!);
  const selection = await hooks.select(drop, {
    layer: drop.layer,
    rows: visual.length,
    image: pick(rows.image, visual),
    cell: pick(rows.cell, visual),
    ...(drop.needs.variation && variation
      ? { variation: Float32Array.from(visual, (row) => variation[row]!) }
      : {}),
    ...(drop.needs.hidden ? { hidden: gatherRows(rows.hidden, visual, width) } : {}),
  });
  const { kept, hidden } = checkedSelection(selection, visual.length, drop.layer, width);
  // New values first, at the rows' old places: they are moved together with the others below.
  for (const [n, index] of hidden ? kept.entries() : []) {
    rows.hidden.set(hidden!.subarray(n * width, (n + 1) * width), visual[index]! * width);
  }
  const stays = new Uint8Array(all.length);
  for (const row of all) if (rows.image[row]! < 0) stays[row] = 1;
  for (const index of kept) stays[visual[index]!] = 1;
  const remaining = all.filter((row) => stays[row] === 1);
  // In place: the target row never lies after its source.
  for (const [target, source] of remaining.entries()) {
    rows.hidden.copyWithin(target * width, source * width, (source + 1) * width);
  }
  return {
    hidden: rows.hidden.subarray(0, remaining.length * width),
    positions: selectPositions(rows.positions, remaining),
    image: pick(rows.image, remaining),
    cell: pick(rows.cell, remaining),
    deepStack: rows.deepStack?.select(remaining),
  };
}

/**
 * What a drop chose, in one form.
 *
 * @param count rows it could choose from
 * @throws {ShapeError} where it chose rows that there are not, or hands back other rows than it chose
 */
function checkedSelection(
  selection: Selection,
  count: number,
  layer: number,
  width: number,
): { kept: Int32Array; hidden: Float32Array | undefined } {
  const { kept, hidden } =
    selection !== null && typeof selection === 'object' && 'kept' in selection
      ? selection
      : { kept: selection, hidden: undefined };
  if (!(kept instanceof Int32Array)) {
    throw new ShapeError(
      'rows kept by a layer drop',
      'Int32Array',
      [],
      'Return an Int32Array from select(), or an object with one as `kept`.',
    );
  }
  checkAscending(kept, count, `rows kept before layer ${layer}`);
  if (hidden && hidden.length !== kept.length * width) {
    throw new ShapeError(
      'hidden rows kept by a layer drop',
      `[${kept.length}, ${width}]`,
      [hidden.length],
      'Return one row for each kept row from select().',
    );
  }
  return { kept, hidden };
}

function gatherRows(hidden: Float32Array, rows: Int32Array, width: number): Float32Array {
  const gathered = new Float32Array(rows.length * width);
  for (const [target, source] of rows.entries()) {
    gathered.set(hidden.subarray(source * width, (source + 1) * width), target * width);
  }
  return gathered;
}

function groupCells({ image, cell }: PrefillRows): KeptCells[] {
  const groups = new Map<number, number[]>();
  for (const [row, index] of image.entries()) {
    if (index < 0) continue;
    const cells = groups.get(index);
    if (cells) cells.push(cell[row]!);
    else groups.set(index, [cell[row]!]);
  }
  return [...groups].map(([index, cells]) => ({ image: index, cell: Int32Array.from(cells) }));
}
