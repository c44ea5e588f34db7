/**
 * What every artifact was made from and with. An artifact is found by its key and re-used only where the
 * whole key is equal, so whatever changes its bytes has a part here, and nowhere else.
 */

import { type PrunePlan, planId } from '../../prune/index.js';
import { type RenderConfig, renderingId } from '../../render/index.js';
import { sha256Hex } from '../../sha256.js';
import type { ModelInfo } from '../../vlm/index.js';
import { SIDECAR_VERSION } from '../exact-values/sidecar.js';
import type { SourceDocument } from '../read-document.js';

export type Key = Record<string, string>;

/** Raised when the same checkpoint and pages would give other visual tokens or another context. */
const MODEL_CODE_VERSION = 2;

/** A text that is at hand. */
export function textKey({ hash, text }: SourceDocument): Key {
  return { document: hash, text: sha256Hex(text) };
}

/** A text that is still to be extracted from a file whose bytes name its folder. */
export function extractedTextKey(source: {
  mediaType: string;
  encoding: string;
  extractorVersion: number;
}): Key {
  const { mediaType, encoding, extractorVersion } = source;
  return { mediaType, encoding, extractor: String(extractorVersion) };
}

/** The rendering names its renderer's version, too. */
export function pagesKey(text: Key, config: RenderConfig): Key {
  return { ...text, rendering: renderingId(config) };
}

/** Which model, with weights of which type, by which version of the code that runs it. */
export function modelKey({ checkpointHash, dtype }: ModelInfo): Key {
  return {
    checkpoint: checkpointHash,
    dtype,
    modelCode: String(MODEL_CODE_VERSION),
  };
}

export function visualTokensKey(pages: Key, model: ModelInfo): Key {
  return { ...pages, ...modelKey(model) };
}

export interface ContextSettings {
  renderConfig: RenderConfig;
  plan: PrunePlan;
  /** Budget of the sidecar in text tokens. @defaultValue 0 */
  sidecar?: number;
  /** The one question of the context. */
  questionFirst?: string;
}

export function contextKey(text: Key, settings: ContextSettings, model: ModelInfo): Key {
  const { renderConfig, plan, sidecar = 0, questionFirst } = settings;
  return {
    ...visualTokensKey(pagesKey(text, renderConfig), model),
    prunePlan: planId(plan),
    ...(model.kvDtype !== 'fp32' && { kvDtype: model.kvDtype }),
    ...(sidecar > 0 && { sidecar: `${sidecar} v${SIDECAR_VERSION}` }),
    ...(questionFirst !== undefined && { questionFirst: sha256Hex(questionFirst) }),
  };
}
