/**
 * What a model family is: how a `config.json` becomes a vision tower, a merger and a text decoder. The
 * parts are in `../towers` and `../decoders`; a family says which ones it joins, and nothing else.
 */
import { GlyphpressError } from '../../errors.js';
import { ConfigReader } from '../config-reader.js';
import type { RopeLayout } from '../decoders/rope.js';
import { type DecoderKind, parseTextConfig, type TextConfig } from '../decoders/text-config.js';
import type { VisionModel } from '../towers/tower.js';

export interface ModelConfig {
  family: string;
  text: TextConfig;
  /** The head's matrix is the embedding's. */
  tiedHead: boolean;
  /** null for a model that reads text only. */
  vision: VisionModel | null;
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
}

export interface FamilyParts {
  /** Also its `model_type`. */
  name: string;
  decoder: DecoderKind | ((text: ConfigReader) => DecoderKind);
  layout: RopeLayout;
  /** Where the config does not say. */
  tiedHead: boolean;
  vision?(readers: { root: ConfigReader; vision: ConfigReader }, text: TextSizes): VisionModel;
}

/** What a merger must know of the decoder. */
type TextSizes = Pick<TextConfig, 'hiddenSize' | 'rmsNormEps'>;

export function composeFamily(parts: FamilyParts): ModelFamily {
  return {
    name: parts.name,
    modelTypes: [parts.name],
    parseConfig(raw, file) {
      const root = new ConfigReader(raw, file);
      // Early uploads keep the text fields at the top, later ones nest them.
      const text = root.child('text_config') ?? root;
      const kind = typeof parts.decoder === 'function' ? parts.decoder(text) : parts.decoder;
      const decoder = parseTextConfig(text, kind, parts.layout);
      const vision = parts.vision
        ? parts.vision({ root, vision: root.requiredChild('vision_config') }, decoder)
        : null;
      return {
        family: parts.name,
        text: { ...decoder, deepStackLevels: vision?.tower.deepStackLevels ?? 0 },
        tiedHead: isTied(root, text, parts.tiedHead),
        vision,
      };
    },
  };
}

/** The field may stand at either level, and is true if it is true at one. */
function isTied(root: ConfigReader, text: ConfigReader, fallback: boolean): boolean {
  const key = 'tie_word_embeddings';
  if (!root.has(key) && !text.has(key)) return fallback;
  return root.boolean(key, false) || text.boolean(key, false);
}

/** The decoder takes tokens of its own width only. */
export function checkWidth(vision: ConfigReader, key: string, { hiddenSize }: TextSizes): void {
  vision.check(vision.count(key) === hiddenSize, key, `the text hidden_size ${hiddenSize}`);
}

/** @throws {GlyphpressError} GP_MODEL_NO_VISION for a model that reads text only */
export function requireVision({ family, vision }: ModelConfig): VisionModel {
  if (!vision) throw noVision(family);
  return vision;
}

export function noVision(family: string): GlyphpressError {
  return new GlyphpressError('GP_MODEL_NO_VISION', {
    message: `A ${family} model reads text only; it was given a page image.`,
    hint: 'Read the document with --as text, or use a model with a vision tower.',
    details: { family },
  });
}
