/** Answers without a kept cache, to hold against those with one: every row through every layer at once. */
import { compile } from '../../src/vlm/compile.js';
import { runStage } from '../../src/vlm/decoder.js';
import { EMBEDDING } from '../../src/vlm/decoders/decoder-graph.js';
import { tokenWidth } from '../../src/vlm/decoders/text-config.js';
import { DeepStackRows } from '../../src/vlm/deepstack.js';
import type { Engine } from '../../src/vlm/engine.js';
import { LayerCache } from '../../src/vlm/kv-cache.js';
import { selectPositions } from '../../src/vlm/positions.js';
import type { PromptRows } from '../../src/vlm/prompt.js';
import { Session } from '../../src/vlm/runtime.js';
import { argmax } from '../../src/vlm/sampler.js';
import { StagePool } from '../../src/vlm/stage-pool.js';
import { readRows } from '../../src/vlm/weights/stored-weight.js';

/** What a drop before `layer` left, each row as `image:cell`, and its new values if it changed them. */
export interface KeptRows {
  layer: number;
  keys: string[];
  hidden?: Float32Array;
}

/** Text and visual rows as they enter layer 0, read from the checkpoint. */
export function embedRows(engine: Engine, rows: PromptRows): Float32Array {
  const weight = engine.checkpoint.weights.get(EMBEDDING)!;
  const table = readRows(weight, 0, weight.shape[0]!);
  const { text } = engine.checkpoint.config;
  const width = text.hiddenSize;
  const visual = Float32Array.from(rows.features.flatMap((feature) => [...feature]));
  const hidden = new Float32Array(rows.tokenIds.length * width);
  let taken = 0;
  for (const [row, id] of rows.tokenIds.entries()) {
    const from = id < 0 ? visual.subarray(taken, taken + width) : table.subarray(id * width);
    if (id < 0) taken += tokenWidth(text);
    hidden.set(from.subarray(0, width), row * width);
  }
  return hidden;
}

/**
 * The answer by running every row through every layer at once, without a kept cache; rows leave, and
 * change, where the drops said so.
 */
export async function recomputeAnswer(
  engine: Engine,
  prefix: PromptRows,
  question: number[],
  answer: number[],
  drops: readonly KeptRows[],
): Promise<number[]> {
  const { text } = engine.checkpoint.config;
  const width = text.hiddenSize;
  const behind = [...question, ...answer.slice(0, -1)];
  const counting = behind.map((_, n) => prefix.next + n);
  const join = (a: Int32Array, b: number[]) => Int32Array.of(...a, ...b);
  const rows: PromptRows = {
    ...prefix,
    tokenIds: join(prefix.tokenIds, behind),
    image: join(
      prefix.image,
      behind.map(() => -1),
    ),
    cell: join(
      prefix.cell,
      behind.map(() => -1),
    ),
    positions: {
      temporal: join(prefix.positions.temporal, counting),
      row: join(prefix.positions.row, counting),
      column: join(prefix.positions.column, counting),
    },
  };
  let hidden = embedRows(engine, rows);
  let alive = Int32Array.from(rows.image.keys());
  const added = new DeepStackRows(rows.features, width, text.deepStackLevels, rows.image);
  const pool = new StagePool(await compile(engine.checkpoint, 'fp32'), 1, [1, 2, 3]);
  const lease = await pool.acquire([]);
  try {
    for (const stage of lease.stages) {
      const drop = drops.find(({ layer }) => layer === stage.from);
      if (drop) {
        const place = new Map(drop.keys.map((key, n) => [key, n]));
        const key = (row: number) => `${rows.image[row]}:${rows.cell[row]}`;
        const next: number[] = [];
        alive.forEach((row, n) => {
          if (rows.image[row]! >= 0 && !place.has(key(row))) return;
          const given = drop.hidden && place.get(key(row));
          const source = given === undefined ? hidden : drop.hidden!;
          const at = (given ?? n) * width;
          next.push(...source.subarray(at, at + width));
        });
        alive = alive.filter((row) => rows.image[row]! < 0 || place.has(key(row)));
        hidden = Float32Array.from(next);
      }
      const caches = Array.from(
        { length: text.layers },
        () => new LayerCache({ ...text, dtype: 'fp32' }),
      );
      for (const cache of caches) cache.reserve(alive.length);
      const positions = selectPositions(rows.positions, alive);
      const span = [0, alive.length] as const;
      hidden = Float32Array.from(
        (
          await runStage(
            stage,
            text,
            caches,
            hidden,
            positions,
            span,
            ['output'],
            added.select(alive),
          )
        ).output!,
      );
    }
  } finally {
    await lease.release();
    await pool.close();
  }
  return likeliest(engine, hidden.subarray(-answer.length * width));
}

async function likeliest(engine: Engine, hidden: Float32Array): Promise<number[]> {
  const model = await compile(engine.checkpoint, 'fp32');
  const session = await Session.create('head', model.headGraph(), {
    weightsFolder: model.weightsFolder,
    threads: 1,
    arena: false,
  });
  const width = engine.checkpoint.config.text.hiddenSize;
  const rows = hidden.length / width;
  const { logits } = await session.run({ hidden: { data: hidden, dims: [rows, width] } }, [
    'logits',
  ]);
  await session.release();
  const vocabulary = logits.length / rows;
  return Array.from({ length: rows }, (_, n) =>
    argmax(logits.subarray(n * vocabulary, (n + 1) * vocabulary)),
  );
}
