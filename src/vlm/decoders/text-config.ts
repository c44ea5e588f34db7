/** What a text decoder is, as read from `config.json`. */
import type { ConfigReader } from '../config-reader.js';
import { parseRope, type RopeConfig, type RopeLayout } from './rope.js';

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
  rope: RopeConfig;
  traits: DecoderTraits;
  /** Layers 0, 1, … behind which visual rows add a part of themselves again (DeepStack). */
  deepStackLevels: number;
}

/**
 * Floats of one visual token: what enters the first decoder layer, then what DeepStack adds behind
 * layers 0, 1, …: one row, so that dropping and storing rows keeps them together.
 */
export function tokenWidth({ hiddenSize, deepStackLevels }: TextConfig): number {
  return hiddenSize * (1 + deepStackLevels);
}

/** Where decoders differ beyond their sizes. */
export interface DecoderTraits {
  /** Query, key and value projections have a bias. */
  qkvBias: boolean;
  /** The output projection of attention has one. */
  outputBias: boolean;
  /** Query and key are normed head by head before they are rotated. */
  headNorm: boolean;
  /** What attention and MLP give is normed before it is added. */
  branchNorms: boolean;
  /** Gate and up projection are one matrix, gate first. */
  fusedGateUp: boolean;
}

/** A kind of decoder: what its configs leave unsaid, and its traits. */
export interface DecoderKind {
  /** `model_type` of a checkpoint that is this decoder alone. */
  readonly modelType: string;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly maxPositions: number;
  /** Of each head, where the config does not say. @defaultValue hidden size / heads */
  readonly headDim?: number;
  /** Rotation takes (even, odd) pairs. @defaultValue (first half, second half) */
  readonly interleavedPairs?: boolean;
  traits(text: ConfigReader): DecoderTraits;
}

const MAX_LAYERS = 1000;

/** @param layout how positions reach the frequencies */
export function parseTextConfig(
  text: ConfigReader,
  kind: DecoderKind,
  layout: RopeLayout,
): Omit<TextConfig, 'deepStackLevels'> {
  const heads = text.count('num_attention_heads');
  const kvHeads = text.count('num_key_value_heads', heads);
  text.check(heads % kvHeads === 0, 'num_key_value_heads', `a divisor of the ${heads} heads`);
  const hiddenSize = text.count('hidden_size');
  const headDim = text.number('head_dim', kind.headDim ?? hiddenSize / heads);
  text.check(
    Number.isInteger(headDim) && headDim > 0,
    'hidden_size',
    'a multiple of num_attention_heads',
  );
  text.check(text.string('hidden_act', 'silu') === 'silu', 'hidden_act', 'silu');
  const windowed =
    text.boolean('use_sliding_window', false) && text.number('sliding_window', 0) > 0;
  text.check(!windowed, 'use_sliding_window', 'false; attention within a window is not supported');
  return {
    vocabSize: text.count('vocab_size'),
    hiddenSize,
    intermediateSize: text.count('intermediate_size'),
    layers: text.count('num_hidden_layers', undefined, MAX_LAYERS),
    heads,
    kvHeads,
    headDim,
    rmsNormEps: text.number('rms_norm_eps', kind.rmsNormEps),
    maxPositions: text.count('max_position_embeddings', kind.maxPositions),
    rope: parseRope(text, headDim, layout, {
      theta: kind.ropeTheta,
      interleavedPairs: kind.interleavedPairs ?? false,
    }),
    traits: kind.traits(text),
  };
}
