/**
 * What a vision tower and a merger are. A tower turns the patches of one image into features, a merger
 * turns the features of neighbouring patches into visual tokens as wide as the decoder; any tower
 * goes with any merger that takes its width.
 */
import type { ConfigReader } from '../config-reader.js';
import type { Feeds } from '../feed.js';
import type { GraphBuilder, Value } from '../graph-builder.js';
import type { SizeRule } from '../page-size.js';

export interface TowerOutput {
  /** [P, C], patches in the order of `patchOrder` */
  patches: Value;
  /** The same after some earlier blocks, for DeepStack. */
  earlier: readonly Value[];
}

/** Name in the checkpoint as transformers writes it → shape. */
export type WeightShapes = Iterable<readonly [name: string, shape: readonly number[]]>;

export interface VisionTower {
  readonly depth: number;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly channels: number;
  readonly patchSize: number;
  /** Frames that a patch spans; a still image is repeated. */
  readonly temporalPatchSize: number;
  /** Outputs of earlier blocks that it gives, for decoder layers 0, 1, … to add behind themselves. */
  readonly deepStackLevels: number;
  /** Patches along a side of the square that becomes one visual token. */
  readonly mergeSize: number;
  weights(): WeightShapes;
  /** Adds `pixel_values` [P, channels·frames·patch²] and what `feeds` names as inputs. */
  build(g: GraphBuilder): TowerOutput;
  /** Host-made inputs for an image of gridH × gridW patches. */
  feeds(gridH: number, gridW: number): Feeds;
}

export interface Merger {
  weights(): WeightShapes;
  /** @returns [cells, tokenWidth] */
  build(g: GraphBuilder, output: TowerOutput): Value;
}

/** The visual half of a model, and how its tokens stand in a prompt. */
export interface VisionModel {
  tower: VisionTower;
  merger: Merger;
  imageTokenId: number;
  /** Positions of an image's cells: on a grid of rows and columns, or counting on like text. */
  imagePositions: 'grid' | 'sequence';
  /** Reads from `preprocessor_config.json` to which size a page is brought. */
  sizeRule(preprocessor: ConfigReader): SizeRule;
}

/** Pixels along a side of one visual token. */
export function cellPx({ patchSize, mergeSize }: VisionTower): number {
  return patchSize * mergeSize;
}

/** pixel_values [patches, channels·frames·patch²] and what `feeds` names → image_features [cells, tokenWidth] */
export function buildVision(g: GraphBuilder, vision: VisionModel, tokenWidth: number): void {
  const features = vision.merger.build(g, vision.tower.build(g));
  g.output('image_features', 'float32', ['cells', tokenWidth], features);
}

/** The patch embedding: a convolution whose stride is its kernel, over flattened patches one product. */
export function embedPatches(
  g: GraphBuilder,
  { channels, patchSize, temporalPatchSize }: VisionTower,
  weight: string,
  bias?: string,
): Value {
  const width = channels * temporalPatchSize * patchSize ** 2;
  const pixels = g.input('pixel_values', 'float32', ['patches', width]);
  return g.linear(pixels, weight, bias === undefined ? {} : { bias });
}

/** Query, key and value from one matrix, in this order. */
export function fusedQkv(
  g: GraphBuilder,
  x: Value,
  prefix: string,
  width: number,
  bias: boolean,
): { q: Value; k: Value; v: Value } {
  const part = (index: number) =>
    g.linear(x, `${prefix}.weight`, {
      rows: [index * width, width],
      ...(bias && { bias: `${prefix}.bias` }),
    });
  return { q: part(0), k: part(1), v: part(2) };
}

/** Weight and bias of a linear layer or a norm. */
export function* withBias(
  prefix: string,
  shape: readonly number[],
): Generator<readonly [string, readonly number[]]> {
  yield [`${prefix}.weight`, shape];
  yield [`${prefix}.bias`, shape.slice(0, 1)];
}
