/** Builds the golden prompts the way the product does, on an engine in this thread. */
import { ChatTemplate } from '../../src/vlm/chat-template.js';
import type { Checkpoint } from '../../src/vlm/checkpoint.js';
import type { Engine } from '../../src/vlm/engine.js';
import { requireVision } from '../../src/vlm/families/family.js';
import {
  type PromptImage,
  type PromptRows,
  promptRows,
  promptShape,
} from '../../src/vlm/prompt.js';
import { Tokenizer } from '../../src/vlm/tokenizer.js';
import type { EncodedImage } from '../../src/vlm/vision-encoder.js';
import type { Golden } from './golden.js';

export function tokenizerOf(checkpoint: Checkpoint): Tokenizer {
  return new Tokenizer(checkpoint.tokenizerJson, checkpoint.tokenizerConfig, 'tokenizer.json');
}

export function templateOf(checkpoint: Checkpoint): ChatTemplate {
  const { chatTemplate, config, dir } = checkpoint;
  return new ChatTemplate(
    chatTemplate,
    tokenizerOf(checkpoint),
    config.vision?.imageTokenId ?? null,
    {},
    dir,
  );
}

export function imageTokenOf(checkpoint: Checkpoint): number {
  return requireVision(checkpoint.config).imageTokenId;
}

export function wholeImage({ tokenGrid, tokens }: EncodedImage): PromptImage {
  return {
    tokenGrid,
    tokens,
    kept: Int32Array.from({ length: tokenGrid.rows * tokenGrid.cols }, (_, n) => n),
  };
}

export interface Prompt {
  images: PromptImage[];
  encoded: EncodedImage[];
  /** Everything before the question, and the question. */
  prefix: PromptRows;
  suffixIds: number[];
  /** Both together. */
  whole: PromptRows;
}

export async function goldenPrompt(engine: Engine, golden: Golden): Promise<Prompt> {
  const encoded: EncodedImage[] = [];
  for (const image of golden.images) encoded.push(await engine.encodeImage(image));
  const images = encoded.map(wholeImage);
  const shape = promptShape(engine.checkpoint.config);
  const template = templateOf(engine.checkpoint);
  const text =
    golden.document === null ? [] : tokenizerOf(engine.checkpoint).encodeLiteral(golden.document);
  const prefixIds = [...template.documentPrefix(images.length), ...text];
  const suffixIds = template.questionSuffix(golden.question, images.length > 0);
  const rows = (ids: readonly number[]) => promptRows(ids, shape, images);
  return {
    images,
    encoded,
    prefix: rows(prefixIds),
    suffixIds,
    whole: rows([...prefixIds, ...suffixIds]),
  };
}
