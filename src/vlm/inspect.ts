/**
 * What `glyphpress model inspect DIR` tells about a checkpoint, and what the pipeline needs to know.
 */
import type { Calibrations } from './calibration.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { type TextConfig, tokenWidth } from './decoders/text-config.js';
import { type ImageProcessorConfig, type PageGrid, visualTokenGrid } from './image-processor.js';
import { type KvDtype, kvRowBytes, storedKvDtype } from './kv-rows.js';
import { type PageSize, pixelLimits, type SizeRule } from './page-size.js';
import type { PassageReading } from './passage-reading.js';
import { Tokenizer } from './tokenizer.js';
import { cellPx, type VisionModel } from './towers/tower.js';
import { type ChosenDtype, chooseDtype } from './weights/dtype.js';
import { type AccuracyLevel, type Dtype, modelHash } from './weights/recipe.js';

export interface ModelInfo {
  dir: string;
  family: string;
  /** Names what is computed: equal checkpoints in an equal dtype, equal hash. */
  checkpointHash: string;
  /** What the weights are held in; sums are float32 whatever it is. */
  dtype: Dtype;
  /** Why this dtype, when it was chosen for the user; null when there is nothing to say. */
  dtypeReason: string | null;
  /** Type of the weights in the checkpoint. */
  storedDtype: string;
  parameters: number;
  layers: number;
  hiddenSize: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediateSize: number;
  vocabSize: number;
  tokenizerVocabulary: number;
  /** Rows that a prompt and its answer may have in the first layer. */
  maxPositions: number;
  /** null for a model that reads text only. */
  vision: VisionInfo | null;
  /** What keys and values are held in. */
  kvDtype: KvDtype;
  /** Keys and values of one token over all layers, as they are held. */
  kvBytesPerToken: number;
  /** The same, as they are stored. */
  storedKvBytesPerToken: number;
  eosTokenIds: readonly number[];
  /** Longest answer, in tokens, unless a question asks for another; see {@link defaultAnswerTokens}. */
  answerTokens: number;
  /** False for a reader that has random weights. */
  trained: boolean;
  /** What its makers want said before its answers are believed; null for nothing. */
  notice: string | null;
  /** What makes log-probabilities of its answers chances; null where it is not calibrated. */
  calibrations: Calibrations;
  /** Render config that it was trained to read; null for models that say nothing of it. */
  rendering: Readonly<Record<string, unknown>> | null;
  /** How it reads passages of the source best. */
  passages: PassageReading;
}

export interface VisionInfo {
  depth: number;
  hiddenSize: number;
  heads: number;
  patchSize: number;
  mergeSize: number;
  /** Side of the square of pixels that becomes one visual token. */
  cellPx: number;
  /** Floats of one visual token: the decoder's hidden size, and that again for each DeepStack level. */
  tokenWidth: number;
  /** Pixel limits of one page. */
  minPagePixels: number;
  maxPagePixels: number;
  /** The size that a page is brought to before it is cut into cells. */
  sizeRule: SizeRule;
}

/** Cells that a page of this size becomes, known without opening the model. */
export function gridOfPage(
  page: PageSize,
  {
    sizeRule: size,
    patchSize,
    mergeSize,
  }: Pick<VisionInfo, 'sizeRule' | 'patchSize' | 'mergeSize'>,
): PageGrid {
  return visualTokenGrid(page, { size, patchSize, mergeSize });
}

/** How the model is opened, as far as it decides what is computed. */
export interface DescribeOptions {
  accuracyLevel?: AccuracyLevel | undefined;
  kvDtype?: KvDtype | undefined;
}

export function describeCheckpoint(
  checkpoint: Checkpoint,
  tokenizer: Tokenizer,
  { dtype, reason }: ChosenDtype,
  { accuracyLevel, kvDtype = 'fp32' }: DescribeOptions = {},
): ModelInfo {
  const { family, text, vision } = checkpoint.config;
  return {
    dir: checkpoint.dir,
    family,
    checkpointHash: modelHash(checkpoint.hash, dtype, accuracyLevel),
    dtype,
    dtypeReason: reason,
    storedDtype: checkpoint.storedDtype,
    parameters: checkpoint.parameters,
    layers: text.layers,
    hiddenSize: text.hiddenSize,
    heads: text.heads,
    kvHeads: text.kvHeads,
    headDim: text.headDim,
    intermediateSize: text.intermediateSize,
    vocabSize: text.vocabSize,
    tokenizerVocabulary: tokenizer.vocabularySize,
    maxPositions: text.maxPositions,
    vision: vision && describeVision(vision, checkpoint.imageProcessor!, tokenWidth(text)),
    kvDtype,
    kvBytesPerToken: kvBytesPerToken(text, kvDtype),
    storedKvBytesPerToken: kvBytesPerToken(text, storedKvDtype(kvDtype)),
    eosTokenIds: checkpoint.eosTokenIds,
    answerTokens: defaultAnswerTokens(checkpoint.maxNewTokens, tokenizer.vocabularySize),
    trained: checkpoint.trained,
    notice: checkpoint.notice,
    calibrations: checkpoint.calibrations,
    rendering: checkpoint.rendering,
    passages: checkpoint.passages,
  };
}

/** Bytes of the keys and values of one token over all layers. */
function kvBytesPerToken({ layers, kvHeads, headDim }: TextConfig, dtype: KvDtype): number {
  return layers * 2 * kvHeads * kvRowBytes(dtype, headDim);
}

/** Vocabularies below this are of bytes or letters. */
const SMALLEST_TEXT_VOCABULARY = 1_000;

/**
 * What the checkpoint states (`max_new_tokens` of generation_config.json), else 2,048 tokens (about
 * 1,500 words), or 1,024 where a token is a byte: such models are small and answer in sentences. Answers
 * end by themselves, and a loop ends after 128 to 1,024 tokens of repetition: the bound is for what
 * does neither.
 */
export function defaultAnswerTokens(stated: number | null, vocabularySize: number): number {
  return stated ?? (vocabularySize < SMALLEST_TEXT_VOCABULARY ? 1_024 : 2_048);
}

function describeVision(
  { tower }: VisionModel,
  processor: ImageProcessorConfig,
  width: number,
): VisionInfo {
  const { minPixels, maxPixels } = pixelLimits(processor.size);
  return {
    depth: tower.depth,
    hiddenSize: tower.hiddenSize,
    heads: tower.heads,
    patchSize: tower.patchSize,
    mergeSize: tower.mergeSize,
    cellPx: cellPx(tower),
    tokenWidth: width,
    minPagePixels: minPixels,
    maxPagePixels: maxPixels,
    sizeRule: processor.size,
  };
}

/** The render config that a model was trained to read; null for models that say nothing of it. */
export function renderingOf(dir: string): ModelInfo['rendering'] {
  const checkpoint = openCheckpoint(dir);
  try {
    return checkpoint.rendering;
  } finally {
    checkpoint.close();
  }
}

export interface Inspection extends ModelInfo {
  /** Visual tokens of one page of the size asked for; null for a model that reads text only. */
  page: {
    widthPx: number;
    heightPx: number;
    rows: number;
    cols: number;
    visualTokens: number;
  } | null;
}

/** Counts text tokens of a checkpoint that need not be opened for it. @throws {GlyphpressError} GP_CHECKPOINT */
export function textTokenCounter(dir: string): (text: string) => number {
  const checkpoint = openCheckpoint(dir);
  try {
    const { tokenizerJson, tokenizerConfig } = checkpoint;
    const file = `${checkpoint.dir}/tokenizer.json`;
    const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig, file);
    return (text) => tokenizer.encodeLiteral(text).length;
  } finally {
    checkpoint.close();
  }
}

/**
 * @param page size in pixels @defaultValue 588 × 840
 * @param dtype and kvDtype as for opening the model
 */
export function inspectModel(
  dir: string,
  page: { widthPx: number; heightPx: number } = { widthPx: 588, heightPx: 840 },
  dtype?: string,
  kvDtype?: KvDtype,
): Inspection {
  const checkpoint = openCheckpoint(dir);
  try {
    const tokenizer = new Tokenizer(
      checkpoint.tokenizerJson,
      checkpoint.tokenizerConfig,
      `${checkpoint.dir}/tokenizer.json`,
    );
    const { imageProcessor } = checkpoint;
    const { rows, cols } = imageProcessor
      ? visualTokenGrid(page, imageProcessor)
      : { rows: 0, cols: 0 };
    return {
      ...describeCheckpoint(checkpoint, tokenizer, chooseDtype(checkpoint, dtype), { kvDtype }),
      page: imageProcessor && { ...page, rows, cols, visualTokens: rows * cols },
    };
  } finally {
    checkpoint.close();
  }
}
