/**
 * Checkpoint → ONNX graphs. Graphs are small and made in memory; what is cached on disk is the
 * widened weights, and, for people to look at, the graphs of `glyphpress model compile`.
 */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GlyphpressError } from '../errors.js';
import { makeFolder } from '../output-folder.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { buildHead, buildStage } from './decoders/decoder-graph.js';
import { tokenWidth } from './decoders/text-config.js';
import { requireVision, type StageRange, type VariationMetric } from './families/family.js';
import { GraphBuilder } from './graph-builder.js';
import { buildVision } from './towers/tower.js';
import { modelCacheDir, placeWeights } from './weight-files.js';

export interface CompiledModel {
  checkpoint: Checkpoint;
  /** Folder that the graphs' weights are relative to. */
  weightsFolder: string;
  /** @throws {GlyphpressError} GP_MODEL_NO_VISION for a model that reads text only */
  visionGraph(): Uint8Array;
  stageGraph(range: StageRange): Uint8Array;
  headGraph(): Uint8Array;
}

export async function compile(checkpoint: Checkpoint, cacheDir?: string): Promise<CompiledModel> {
  const weights = await placeWeights(checkpoint, cacheDir);
  const { config } = checkpoint;
  const { text } = config;
  const build = (name: string, fill: (g: GraphBuilder) => void) => {
    const builder = new GraphBuilder(name, weights);
    fill(builder);
    return builder.encode();
  };
  return {
    checkpoint,
    weightsFolder: weights.folder,
    visionGraph: () =>
      build('vision', (g) => buildVision(g, requireVision(config), tokenWidth(text))),
    stageGraph: (range) => build(stageName(range), (g) => buildStage(g, text, range)),
    headGraph: () => build('head', (g) => buildHead(g, text, config.tiedHead)),
  };
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
  dtype: 'fp32';
  folder: string;
  weightsFolder: string;
  graphs: { name: string; file: string; bytes: number }[];
}

/** What `glyphpress model compile DIR` does: widened weights (if needed) and every graph in one folder. */
export async function compileToFolder(
  dir: string,
  options: { dtype?: string; cacheDir?: string; cuts?: readonly number[] } = {},
): Promise<CompileManifest> {
  checkDtype(options.dtype ?? 'fp32');
  const checkpoint = openCheckpoint(dir);
  try {
    const { layers } = checkpoint.config.text;
    const ranges = stageRanges(checkCuts(options.cuts ?? [], layers), layers);
    const compiled = await compile(checkpoint, options.cacheDir);
    const folder = modelCacheDir(checkpoint, options.cacheDir);
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
      checkpointHash: checkpoint.hash,
      dtype: 'fp32',
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

function checkDtype(dtype: string): void {
  if (dtype === 'fp32') return;
  const quantised = dtype === 'int8' || dtype === 'int4';
  throw new GlyphpressError('GP_MODEL_DTYPE', {
    message: quantised
      ? `Quantised weights (${dtype}) are not available yet.`
      : `Unknown weight type ${JSON.stringify(dtype)}; fp32 is available, int8 and int4 are planned.`,
    hint: 'Use --dtype fp32.',
    details: { dtype, available: ['fp32'] },
  });
}

async function writeThenRename(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, bytes);
  await rename(temporary, file);
}
