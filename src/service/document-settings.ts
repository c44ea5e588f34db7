/** How a document is to be compressed: what a client may ask for, and what it comes to. */

import { GlyphpressError } from '../errors.js';
import {
  contextKey,
  extractedTextKey,
  type Key,
  pagesKey,
  visualTokensKey,
} from '../pipeline/artifacts/keys.js';
import { type AskedSettings, type ResolvedReading, resolveSettings } from '../pipeline/settings.js';
import type { PrunePlan } from '../prune/index.js';
import {
  BUNDLED_FAMILIES,
  PRESETS,
  type RawRenderConfig,
  type RenderConfig,
  resolveFonts,
} from '../render/index.js';
import { keyName } from '../store/artifact-key.js';
import type { ModelInfo } from '../vlm/index.js';
import { EXTRACTOR_VERSION } from './extract.js';

/** Less than a thousandth of the visual tokens is nothing that could be asked. */
export const MIN_KEEP_RATIO = 0.001;

/** As asked for; stored with the document. */
export interface DocumentSettings {
  /** Name of a model of the service. */
  model: string;
  /** Preset or keys; absent for what the model was trained to read. */
  render?: string | RawRenderConfig;
  keep?: number;
  /** Name of a plan, or the plan itself. */
  plan?: unknown;
  /** Text tokens for exact values beside the pages. */
  sidecar?: number;
  encoding?: string;
  /** When the context is built. @defaultValue `when-read` for models that read passages alone, else `at-once` */
  contexts?: ContextsWhen;
}

export const CONTEXTS_WHEN = ['at-once', 'when-read'] as const;
export type ContextsWhen = (typeof CONTEXTS_WHEN)[number];

/** What the stored settings of a document come to with the models of this service. */
export interface DocumentReading extends ResolvedReading {
  asked: DocumentSettings;
  contexts: ContextsWhen;
  /** Equal names, equal text, pages, tokens and contexts of the same bytes. */
  textKey: string;
  pagesKey: string;
  tokensKey: string;
  contextKey: string;
}

/** @param json as {@link DocumentSettings} are stored */
export function parseSettings(json: string): DocumentSettings {
  return JSON.parse(json) as DocumentSettings;
}

/** @throws {GlyphpressError} GP_REQUEST, GP_CONFIG_…, GP_PRUNE_PLAN */
export function readingOf(
  asked: DocumentSettings,
  info: ModelInfo,
  mediaType: string,
): DocumentReading {
  const settings = resolveSettings(askedOf(asked, info), info);
  assertMinKeepRatio(settings.plan);
  if (typeof asked.render === 'object' && 'font-family' in asked.render)
    assertFont(settings.renderConfig);
  const text: Key = extractedTextKey({
    mediaType,
    encoding: asked.encoding ?? '',
    extractorVersion: EXTRACTOR_VERSION,
  });
  const pages = pagesKey(text, settings.renderConfig);
  return {
    ...settings,
    asked,
    contexts: asked.contexts ?? (info.passages === 'alone' ? 'when-read' : 'at-once'),
    textKey: keyName(text),
    pagesKey: keyName(pages),
    tokensKey: keyName(visualTokensKey(pages, info)),
    contextKey: keyName(contextKey(text, settings, info)),
  };
}

/** A missing font fails now, not when pages are rendered. */
function assertFont(config: RenderConfig): void {
  try {
    resolveFonts(config);
  } catch (cause) {
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: `There is no font ${JSON.stringify(config.fontFamily.slice(0, 80))}`,
      hint: `Give one of ${BUNDLED_FAMILIES.join(', ')}.`,
      details: { param: 'render.font-family', allowed: BUNDLED_FAMILIES },
      cause,
    });
  }
}

function assertMinKeepRatio(plan: PrunePlan): void {
  for (const { keepRatio } of [plan.encoder, ...plan.decoder].filter(
    (drop) => drop !== undefined,
  )) {
    if (keepRatio === undefined || keepRatio >= MIN_KEEP_RATIO) continue;
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `The plan keeps a share of ${keepRatio}; the minimum is ${MIN_KEEP_RATIO}`,
      hint: 'For example 0.5 keeps half of the visual tokens.',
      details: { param: 'plan', value: keepRatio, least: MIN_KEEP_RATIO },
    });
  }
}

/** Neither a name nor a key of a client's may lead to a file of this machine. */
function askedOf(
  { render, keep, plan, sidecar }: DocumentSettings,
  { rendering }: ModelInfo,
): AskedSettings {
  if (keep !== undefined && plan !== undefined) {
    throw new GlyphpressError('GP_REQUEST', {
      message: 'keep and plan both say what to prune',
      hint: 'Give one of them.',
      details: { param: 'keep' },
    });
  }
  const pruning = typeof plan === 'string' ? { name: plan } : { json: plan };
  return {
    keep,
    sidecar,
    ...(plan !== undefined && { plan: pruning }),
    ...(render !== undefined && {
      rendering:
        typeof render === 'string'
          ? { config: presetNamed(render) }
          : { config: rendering ?? undefined, keys: withoutFiles(render) },
    }),
  };
}

function presetNamed(name: string): string {
  if (Object.hasOwn(PRESETS, name)) return name;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: `There is no render preset "${name}"`,
    hint: `Give one of ${Object.keys(PRESETS).join(', ')}, or the keys themselves.`,
    details: { param: 'render', allowed: Object.keys(PRESETS) },
  });
}

function withoutFiles(keys: RawRenderConfig): RawRenderConfig {
  if (!('font-path' in keys)) return keys;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: 'A font file cannot be named over the network',
    hint: 'Name a family with font-family.',
    details: { param: 'render.font-path' },
  });
}
