/**
 * What a model family is: how its config reads, which weights it has, and its three graphs.
 * A family states only what differs; shared pieces are in `../blocks.ts`.
 */
import type { Feeds } from '../feed.js';
import type { GraphBuilder } from '../graph-builder.js';

export interface TextConfig {
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  rmsNormEps: number;
  maxPositions: number;
  rope: {
    theta: number;
    /** Dimensions of each head that are rotated. */
    dim: number;
    /** Frequencies that take the temporal, row and column position. Sums to dim / 2. */
    sections: readonly number[];
    /** Pairs are (even, odd) rather than (first half, second half). */
    interleaved: boolean;
  };
}

export interface VisionConfig {
  depth: number;
  hiddenSize: number;
  heads: number;
  headDim: number;
  /** Width of the MLP inside a block. */
  blockIntermediateSize: number;
  mergerIntermediateSize: number;
  outHiddenSize: number;
  rmsNormEps: number;
  ropeTheta: number;
  channels: number;
  patchSize: number;
  temporalPatchSize: number;
  mergeSize: number;
  qkvBias: boolean;
  /** Side of the learned position table, in patches. */
  positionTableSide: number;
}

export interface ModelConfig {
  family: string;
  text: TextConfig;
  vision: VisionConfig;
  imageTokenId: number;
  tiedHead: boolean;
}

/** How the change of a row over a layer is measured; see `rowVariation` in `../blocks.ts`. */
export type VariationMetric = 'l2' | 'l1' | 'cosine';

/** A run of decoder layers [from, to), compiled as one graph. */
export interface StageRange {
  from: number;
  to: number;
  /** Also output `variation` [rows], the change of each row over the last layer; null for none. */
  variation: VariationMetric | null;
}

export interface ModelFamily {
  readonly name: string;
  /** Values of `model_type` that this family reads. */
  readonly modelTypes: readonly string[];
  parseConfig(raw: Record<string, unknown>, file: string): ModelConfig;
  /** Canonical weight name → shape, in file order. */
  weightShapes(config: ModelConfig): Map<string, readonly number[]>;
  /** Names a weight may be stored under, most usual first. */
  storedNames(name: string): readonly string[];
  readonly embeddingName: string;
  /** `pixel_values` [patches, width] and what `visionFeeds` names → `image_features` [cells, D] */
  buildVision(g: GraphBuilder, config: ModelConfig): void;
  /** Host-made inputs of the vision graph for an image of gridH × gridW patches. */
  visionFeeds(gridH: number, gridW: number, config: ModelConfig): Feeds;
  buildStage(g: GraphBuilder, config: ModelConfig, range: StageRange): void;
  buildHead(g: GraphBuilder, config: ModelConfig): void;
}
