/**
 * What a vision tower is held in when a model is written to be shipped: its blocks in eight bits where that
 * costs its rows little, else halves.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from './checkpoint.js';
import { drawnPage } from './drawn-page.js';
import { visionGraph } from './families/graphs.js';
import { GraphBuilder } from './graph-builder.js';
import { type RowErrors, rowErrors } from './relative-error.js';
import { Session } from './runtime.js';
import { cellPx } from './towers/tower.js';
import { encodeImage } from './vision-encoder.js';
import { deriveWeights, type PlacedWeights, placeStored } from './weights/placement.js';
import { ACCURACY_LEVEL, formFor, MATRIX_FORMS, weightUses } from './weights/recipe.js';

/** Share of a row's norm that eight bits may cost on average. */
export const TOWER_TOLERANCE = 0.01;

/** Cells along a side of the page that is measured on. */
const SIDE_CELLS = 8;

export interface TowerCost {
  form: 'int8' | 'fp16';
  /** Of visual tokens of a drawn page with the tower in eight bits, against the tower as it is stored. */
  int8Error: RowErrors;
}

/**
 * @param folder for a file as large as the tower in eight bits, which is removed again
 * @returns null for a model that reads text only
 */
export async function chooseTowerForm(
  checkpoint: Checkpoint,
  folder: string,
): Promise<TowerCost | null> {
  const { vision } = checkpoint.config;
  if (!vision) return null;
  const wanted = [...weightUses(checkpoint)].flatMap(([name, use]) => {
    const weight = checkpoint.weights.get(name)!;
    if (use.part !== 'vision') return [];
    return [{ name, weight, form: formFor(weight, use, 'int8', { vision: MATRIX_FORMS.int8 }) }];
  });
  const names = new Set(wanted.map(({ name }) => name));
  const stored = new Map(wanted.map(({ name, weight }) => [name, weight]));
  const file = join(folder, `.tower-${process.pid}.safetensors`);
  try {
    const exact = await drawnTokens(checkpoint, placeStored(stored, ACCURACY_LEVEL, names));
    const int8 = placeStored(await deriveWeights(wanted, file), ACCURACY_LEVEL, names);
    const rounded = await drawnTokens(checkpoint, int8);
    const side = SIDE_CELLS ** 2;
    const int8Error = rowErrors(exact, rounded, exact.length / side);
    return { form: int8Error.mean < TOWER_TOLERANCE ? 'int8' : 'fp16', int8Error };
  } finally {
    await rm(file, { force: true });
  }
}

async function drawnTokens(checkpoint: Checkpoint, weights: PlacedWeights): Promise<Float32Array> {
  const graph = new GraphBuilder('vision', weights);
  visionGraph(graph, checkpoint.config);
  const session = await Session.create('vision', graph.encode(), {
    weightsFolder: weights.folder,
    threads: 1,
    arena: false,
  });
  try {
    const page = drawnPage(SIDE_CELLS * cellPx(checkpoint.config.vision!.tower));
    return (await encodeImage(session, checkpoint, page)).tokens;
  } finally {
    await session.release();
  }
}
