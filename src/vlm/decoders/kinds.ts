/**
 * The text decoders.
 *
 * Source: transformers 5.24.0, models/{glm4v,glm_ocr,llama,qwen2,qwen3}/{modeling,configuration}_*.py.
 */
import type { DecoderKind, DecoderTraits } from './text-config.js';

const PLAIN: DecoderTraits = {
  qkvBias: false,
  outputBias: false,
  headNorm: false,
  branchNorms: false,
  fusedGateUp: false,
};

export const llama: DecoderKind = {
  modelType: 'llama',
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  maxPositions: 2048,
  traits: (text) => {
    text.check(!text.boolean('mlp_bias', false), 'mlp_bias', 'false');
    const bias = text.boolean('attention_bias', false);
    return { ...PLAIN, qkvBias: bias, outputBias: bias };
  },
};

/** Qwen2 and Qwen2.5. */
export const qwen2: DecoderKind = {
  modelType: 'qwen2',
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  maxPositions: 32_768,
  traits: () => ({ ...PLAIN, qkvBias: true }),
};

export const qwen3: DecoderKind = {
  modelType: 'qwen3',
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  maxPositions: 32_768,
  headDim: 128,
  traits: (text) => {
    const bias = text.boolean('attention_bias', false);
    return { ...PLAIN, headNorm: true, qkvBias: bias, outputBias: bias };
  },
};

/** The decoder of GLM-4V; GLM-OCR has it without biases. */
export const glm4: DecoderKind = {
  modelType: 'glm4',
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  maxPositions: 32_768,
  interleavedPairs: true,
  traits: () => ({ ...PLAIN, qkvBias: true, branchNorms: true, fusedGateUp: true }),
};

export const glmOcr: DecoderKind = {
  ...glm4,
  modelType: 'glm_ocr',
  maxPositions: 131_072,
  traits: () => ({ ...PLAIN, branchNorms: true, fusedGateUp: true }),
};

/** Decoders that stand alone, and that a LightOnOCR may have. */
export const TEXT_DECODERS: readonly DecoderKind[] = [llama, qwen2, qwen3];
