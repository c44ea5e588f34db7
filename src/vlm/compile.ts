/**
 * Checkpoint → ONNX graphs. Graphs are small and made in memory; what is cached on disk are the
 * weights in the form of the dtype, and, for people to look at, the graphs of `glyphpress model compile`.
 */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GlyphpressError } from '../errors.js';
import { makeFolder } from '../output-folder.js';
import type { RunForm } from './attention.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import type { StageRange, VariationMetric } from './families/family.js';
import { headGraph, stageGraph, visionGraph } from './families/graphs.js';
import { GraphBuilder } from './graph-builder.js';
import type { KvDtype } from './kv-rows.js';
import { chooseDtype } from './weights/dtype.js';
import {
  modelCacheDir,
  type PlacedWeights,
  type PlaceOptions,
  placeWeights,
} from './weights/placement.js';
import { type Dtype, modelHash, weightUses } from './weights/recipe.js';

export interface CompiledModel {
  checkpoint: Checkpoint;
  dtype: Dtype;
  /** Folder that the graphs' weights are relative to. */
  weightsFolder: string;
  /** Weights turned to this dtype; undefined where the checkpoint's own files are used. */
  weightsFile: string | undefined;
  /** @throws {GlyphpressError} GP_MODEL_NO_VISION for a model that reads text only */
  visionGraph(): Uint8Array;
  /** @param form which runs it is for, @defaultValue any */
  stageGraph(range: StageRange, form?: RunForm): Uint8Array;
  /** Whether its layers are too much to be held beside a tower. */
  isLarge: boolean;
  /** The forms that stages are run in. */
  runForms: RunForms;
  headGraph(): Uint8Array;
}

/** Graphs of their own for one row and for several, or one for both. */
export type RunForms = readonly ['row', 'rows'] | readonly ['any'];

/**
 * Layers up to this size are held once for each form: one row is then multiplied by the codes, several in
 * float32, which is faster there and exact, and no branch is chosen at each layer. Products of larger ones
 * gain little by it, and their layers would take much memory twice. Figures: docs/results/models.md.
 */
const TWO_FORMS_BYTES = 256 * 1024 ** 2;

const LARGE_BYTES = 1024 ** 3;

export interface CompiledOptions extends PlaceOptions {
  kvDtype?: KvDtype | undefined;
  /** Layers of more bytes than this are a large model's. @defaultValue 1 GiB */
  largeBytes?: number | undefined;
}

export async function compile(
  checkpoint: Checkpoint,
  dtype: Dtype,
  { kvDtype = 'fp32', largeBytes = LARGE_BYTES, ...options }: CompiledOptions = {},
): Promise<CompiledModel> {
  const weights = await placeWeights(checkpoint, dtype, options);
  const { config } = checkpoint;
  const bytes = layerBytes(checkpoint, weights);
  const build = (name: string, fill: (g: GraphBuilder) => void, exact = false) => {
    const builder = new GraphBuilder(name, weights, exact);
    fill(builder);
    return builder.encode();
  };
  return {
    checkpoint,
    dtype,
    weightsFolder: weights.folder,
    weightsFile: weights.derivedFile,
    visionGraph: () => build('vision', (g) => visionGraph(g, config)),
    stageGraph: (range, form = 'any') =>
      build(stageName(range), (g) => stageGraph(g, config, range, kvDtype, form), form === 'rows'),
    isLarge: bytes > largeBytes,
    runForms: bytes > TWO_FORMS_BYTES ? ['any'] : ['row', 'rows'],
    headGraph: () => build('head', (g) => headGraph(g, config)),
  };
}

function layerBytes(checkpoint: Checkpoint, weights: PlacedWeights): number {
  let bytes = 0;
  for (const [name, { part }] of weightUses(checkpoint)) {
    if (part !== 'decoder') continue;
    const placed = weights.locate(name);
    bytes += placed.form === 'float' ? placed.data.length : placed.blocks.length;
  }
  return bytes;
}

export function stageName({ from, to, variation }: StageRange): string {
  const measured = variation === 'l2' || !variation ? '' : `-${variation}`;
  return `stage-${from}-${to}${variation ? '-variation' : ''}${measured}`;
}

/**
 * Stages between cuts: [0, c₁), [c₁, c₂), … A stage that ends at a cut outputs the variation there, by
 * the metric of that cut.
 *
 * @param metrics by cut; L2 where there is none
 */
export function stageRanges(
  cuts: readonly number[],
  layers: number,
  metrics: ReadonlyMap<number, VariationMetric> = new Map(),
): StageRange[] {
  const edges = [0, ...cuts, layers];
  return edges.slice(1).map((to, n) => ({
    from: edges[n]!,
    to,
    variation: to < layers ? (metrics.get(to) ?? 'l2') : null,
  }));
}

/** @throws GP_PRUNE_PLAN unless every cut lies between two layers */
export function checkCuts(cuts: readonly number[], layers: number): number[] {
  const outside = cuts.find((cut) => !Number.isInteger(cut) || cut < 1 || cut >= layers);
  if (outside !== undefined) {
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `A drop before layer ${outside} is impossible; this model has layers 0 to ${layers - 1}.`,
      hint: `Choose layers from 1 to ${layers - 1}.`,
      details: { layer: outside, layers },
    });
  }
  return [...new Set(cuts)].sort((a, b) => a - b);
}

export interface CompileManifest {
  family: string;
  checkpointHash: string;
  dtype: Dtype;
  /** Weights turned to this dtype; null where the checkpoint's own file is used. */
  weightsFile: string | null;
  folder: string;
  weightsFolder: string;
  graphs: { name: string; file: string; bytes: number }[];
}

export interface CompileOptions extends Pick<PlaceOptions, 'cacheDir' | 'onProgress'> {
  dtype?: string | undefined;
  cuts?: readonly number[];
}

/** What `glyphpress model compile DIR` does: weights in the dtype's form and every graph in one folder. */
export async function compileToFolder(
  dir: string,
  { dtype: requested, cuts = [], ...placing }: CompileOptions = {},
): Promise<CompileManifest> {
  const checkpoint = openCheckpoint(dir);
  try {
    const { dtype } = chooseDtype(checkpoint, requested);
    const { layers } = checkpoint.config.text;
    const ranges = stageRanges(checkCuts(cuts, layers), layers);
    const compiled = await compile(checkpoint, dtype, placing);
    const folder = join(modelCacheDir(checkpoint, placing.cacheDir), dtype);
    await makeFolder(folder);
    const graphs: CompileManifest['graphs'] = [];
    const write = async (name: string, bytes: Uint8Array) => {
      const file = join(folder, `${name}.onnx`);
      await writeThenRename(file, bytes);
      graphs.push({ name, file, bytes: bytes.byteLength });
    };
    if (checkpoint.config.vision) await write('vision', compiled.visionGraph());
    for (const range of ranges) await write(stageName(range), compiled.stageGraph(range));
    await write('head', compiled.headGraph());
    const manifest: CompileManifest = {
      family: checkpoint.config.family,
      checkpointHash: modelHash(checkpoint.hash, dtype),
      dtype,
      weightsFile: compiled.weightsFile ?? null,
      folder,
      weightsFolder: compiled.weightsFolder,
      graphs,
    };
    await writeThenRename(
      join(folder, 'manifest.json'),
      Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`),
    );
    return manifest;
  } finally {
    checkpoint.close();
  }
}

async function writeThenRename(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, bytes);
  await rename(temporary, file);
}
