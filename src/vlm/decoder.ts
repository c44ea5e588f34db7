/**
 * One pass of some rows through one decoder stage, with its cache.
 */
import type { TextConfig } from './decoders/text-config.js';
import type { DeepStackRows } from './deepstack.js';
import type { Feed, Feeds } from './feed.js';
import type { LayerCache } from './kv-cache.js';
import { type RowPositions, rotaryTables } from './positions.js';
import type { Stage } from './stage-pool.js';

export interface StageOutput {
  /** float32 [rows, D] */
  output?: Float32Array;
  /** float32 [rows] */
  variation?: Float32Array;
  /** Rotated, of each layer of the stage: float32 [rows, heads · headDim] */
  queries?: Float32Array[];
}

/**
 * Runs `rows` rows [from, to) of `positions` through the stage and appends their keys and values.
 *
 * @param hidden float32 [to − from, D], input of the stage
 * @param wants outputs to bring back; each one is a copy, so ask for no more than needed
 * @param deepStack of the rows of `positions`. @defaultValue all rows are text
 */
export async function runStage(
  stage: Stage,
  text: TextConfig,
  caches: readonly LayerCache[],
  hidden: Float32Array,
  positions: RowPositions,
  [from, to]: readonly [number, number],
  wants: readonly (keyof StageOutput)[],
  deepStack?: DeepStackRows,
): Promise<StageOutput> {
  const rows = to - from;
  const { cos, sin } = rotaryTables(positions, text.rope, from, to);
  const half = text.rope.dim / 2;
  // Every layer of a stage holds the same rows.
  const { length } = caches[stage.from]!;
  const isOneRow = rows === 1 && length > 0;
  const session = await stage.session(isOneRow);
  const feeds: Feeds = {
    hidden: { data: hidden, dims: [rows, text.hiddenSize] },
    cos: { data: cos, dims: [rows, half] },
    sin: { data: sin, dims: [rows, half] },
    // A graph takes of these what its form has.
    seqlens_k: { data: Int32Array.of(length + rows - 1), dims: [1] },
    total_sequence_length: { data: Int32Array.of(length + rows), dims: [] },
    past_mask: pastMask(caches.slice(stage.from, stage.to), isOneRow),
  };
  for (let layer = stage.from; layer < Math.min(stage.to, text.deepStackLevels); layer += 1) {
    const data = deepStack?.read(layer, from, to) ?? new Float32Array(rows * text.hiddenSize);
    feeds[`deepstack.${layer}`] = { data, dims: [rows, text.hiddenSize] };
  }
  const layers = Array.from({ length: stage.to - stage.from }, (_, n) => stage.from + n);
  const whole = wants.filter((name) => name !== 'queries');
  const queries = wants.includes('queries') ? layers.map((layer) => `query.${layer}`) : [];
  const outputs: string[] = [...whole, ...queries];
  for (let layer = stage.from; layer < stage.to; layer += 1) {
    const cache = caches[layer]!;
    Object.assign(feeds, cache.keys.feeds(`past_key.${layer}`));
    Object.assign(feeds, cache.values.feeds(`past_value.${layer}`));
    outputs.push(`key.${layer}`, `value.${layer}`);
  }
  const results = await session.run(feeds, outputs);
  for (let layer = stage.from; layer < stage.to; layer += 1) {
    caches[layer]!.append(results[`key.${layer}`]!, results[`value.${layer}`]!, rows);
  }
  return {
    ...Object.fromEntries(whole.map((name) => [name, results[name]!])),
    ...(queries.length > 0 && { queries: queries.map((name) => results[name]!) }),
  };
}

/** Far below any score, and finite. */
const HIDDEN = -1e30;

/**
 * One row reads its past in place, up to the capacity of its buffers; for several rows an empty mask,
 * which has them attended otherwise.
 */
function pastMask(caches: readonly LayerCache[], isOneRow: boolean): Feed {
  if (!isOneRow) return { data: new Float32Array(0), dims: [1, 0, 1] };
  const capacity = Math.max(...caches.map((cache) => cache.capacity));
  const { length } = caches[0]!;
  for (const cache of caches) cache.reserve(capacity);
  return { data: new Float32Array(capacity).fill(HIDDEN, length), dims: [1, capacity, 1] };
}
