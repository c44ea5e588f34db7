/** How a document is to be compressed: what a client may ask for, and what it comes to. */

import { GlyphpressError } from '../errors.js';
import { SIDECAR_VERSION } from '../pipeline/exact-values/sidecar.js';
import {
  NAMED_PLANS,
  namedPlan,
  type PrunePlan,
  parsePrunePlan,
  planFromKeep,
  planId,
} from '../prune/index.js';
import {
  BUNDLED_FAMILIES,
  DEFAULT_PRESET,
  loadRenderConfig,
  PRESETS,
  type RawRenderConfig,
  type RenderConfig,
  renderingId,
  resolveFonts,
} from '../render/index.js';
import { keyName } from '../store/artifact-key.js';
import type { ModelInfo } from '../vlm/index.js';

/** Less than a thousandth of the visual tokens is nothing that could be asked. */
export const LEAST_KEEP = 0.001;

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
}

/** How the text of the document was found. */
export interface TextSource {
  mediaType: string;
  extractorVersion: number;
}

export interface ResolvedSettings {
  renderConfig: RenderConfig;
  plan: PrunePlan;
  /** Text tokens; 0 for none. */
  sidecar: number;
  /** Equal names, equal text, pages, tokens and contexts of the same bytes. */
  textKey: string;
  pagesKey: string;
  tokensKey: string;
  contextKey: string;
}

/** @throws {GlyphpressError} GP_REQUEST, GP_CONFIG_…, GP_PRUNE_PLAN */
export function resolveSettings(
  settings: DocumentSettings,
  info: ModelInfo,
  { mediaType, extractorVersion }: TextSource,
): ResolvedSettings {
  const renderConfig = renderConfigOf(settings, info);
  const plan = planOf(settings, info);
  const text = {
    mediaType,
    encoding: settings.encoding ?? '',
    extractor: String(extractorVersion),
  };
  const pages = { ...text, rendering: renderingId(renderConfig) };
  const tokens = { ...pages, checkpoint: info.checkpointHash };
  const { sidecar = 0 } = settings;
  const context = {
    ...tokens,
    plan: planId(plan),
    ...(sidecar > 0 && { sidecar: `${sidecar} v${SIDECAR_VERSION}` }),
  };
  return {
    renderConfig,
    plan,
    sidecar,
    textKey: keyName(text),
    pagesKey: keyName(pages),
    tokensKey: keyName(tokens),
    contextKey: keyName(context),
  };
}

function renderConfigOf({ render }: DocumentSettings, info: ModelInfo): RenderConfig {
  if (render === undefined) return loadRenderConfig(info.rendering ?? DEFAULT_PRESET);
  // Neither a name nor a key of a client's may lead to a file of this machine.
  if (typeof render === 'string') {
    if (Object.hasOwn(PRESETS, render)) return loadRenderConfig(render);
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: `There is no render preset "${render}"`,
      hint: `Give one of ${Object.keys(PRESETS).join(', ')}, or the keys themselves.`,
      details: { param: 'render', allowed: Object.keys(PRESETS) },
    });
  }
  if ('font-path' in render) {
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: 'A font file cannot be named over the network',
      hint: 'Name a family with font-family.',
      details: { param: 'render.font-path' },
    });
  }
  const config = loadRenderConfig({ ...(info.rendering ?? PRESETS[DEFAULT_PRESET]) }, render);
  if ('font-family' in render) assertFont(config);
  return config;
}

/** A font that is not there is told now, not when pages are drawn. */
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

function planOf(settings: DocumentSettings, info: ModelInfo): PrunePlan {
  const plan = givenPlan(settings, info);
  for (const { keepRatio } of [plan.encoder, ...plan.decoder].filter(
    (drop) => drop !== undefined,
  )) {
    if (keepRatio === undefined || keepRatio >= LEAST_KEEP) continue;
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `The plan keeps a share of ${keepRatio}; ${LEAST_KEEP} is the least`,
      hint: 'For example 0.5 keeps half of the visual tokens.',
      details: { param: 'plan', value: keepRatio, least: LEAST_KEEP },
    });
  }
  return plan;
}

function givenPlan({ keep, plan }: DocumentSettings, { layers }: ModelInfo): PrunePlan {
  if (keep !== undefined && plan !== undefined) {
    throw new GlyphpressError('GP_REQUEST', {
      message: 'keep and plan both say what to prune',
      hint: 'Give one of them.',
      details: { param: 'keep' },
    });
  }
  if (keep !== undefined) return planFromKeep(keep, layers);
  if (plan === undefined) return { decoder: [] };
  if (typeof plan !== 'string') return parsePrunePlan(plan, { layers });
  const named = namedPlan(plan, layers);
  if (named) return named;
  throw new GlyphpressError('GP_PRUNE_PLAN', {
    message: `There is no prune plan "${plan}"`,
    hint: `Give one of ${Object.keys(NAMED_PLANS).join(', ')}, or the plan itself.`,
    details: { param: 'plan', allowed: Object.keys(NAMED_PLANS) },
  });
}
