/**
 * What flags or a request ask for → how a document is read. Where nothing is asked for, the settings of
 * what is stored hold, then those of the model, then the defaults.
 */

import { GlyphpressError } from '../errors.js';
import {
  NAMED_PLANS,
  namedPlan,
  type PrunePlan,
  parsePrunePlan,
  planFromKeep,
  questionFirstPlan,
} from '../prune/index.js';
import {
  DEFAULT_PRESET,
  fitToCells,
  loadRenderConfig,
  type RawRenderConfig,
  type RenderConfig,
} from '../render/index.js';
import type { ModelInfo, VisionInfo } from '../vlm/index.js';
import type { ReadingSettings } from './backend.js';

export interface AskedRendering {
  /** A preset, a JSON file, or the keys themselves, in place of the model's own rendering. */
  config?: string | RawRenderConfig | undefined;
  /** Keys that replace those of the config. */
  keys?: RawRenderConfig | undefined;
}

/** `json`: the plan itself, as JSON text or its value. */
export type AskedPlan = { name: string } | { json: unknown };

export interface AskedSettings {
  rendering?: AskedRendering | undefined;
  /** Share of the visual tokens that is kept, mean over the layers, in (0, 1]. */
  keep?: number | undefined;
  plan?: AskedPlan | undefined;
  /** Text tokens for exact values beside the pages, at most. */
  sidecar?: number | undefined;
  questionFirst?: string | undefined;
}

export type ResolvedReading = ReadingSettings & { plan: PrunePlan; sidecar: number };

/** What a model says of the settings that suit it; `vision` is null for one that is not here, or has none. */
export interface SettingsModel extends Pick<ModelInfo, 'layers' | 'rendering'> {
  vision: Pick<VisionInfo, 'cellPx'> | null;
}

/**
 * @param stored settings of what is asked, where it was compressed before
 * @throws {GlyphpressError} GP_CONFIG_…, GP_FONT, GP_PRUNE_PLAN; GP_USAGE for keep beside plan
 */
export function resolveSettings(
  asked: AskedSettings,
  model: SettingsModel,
  stored: Partial<ReadingSettings> = {},
): ResolvedReading {
  const { rendering, sidecar, questionFirst } = asked;
  const renderConfig =
    (rendering === undefined ? stored.renderConfig : undefined) ??
    resolveRendering(rendering, model.rendering);
  return {
    renderConfig: model.vision ? fitToCells(renderConfig, model.vision.cellPx) : renderConfig,
    plan: resolvePrunePlan(asked, model.layers) ?? stored.plan ?? { decoder: [] },
    sidecar: sidecar ?? stored.sidecar ?? 0,
    ...(questionFirst !== undefined && { questionFirst }),
  };
}

/** Whether anything is asked for that decides what a context holds. */
export function asksForSettings({ rendering, keep, plan, sidecar }: AskedSettings): boolean {
  return [rendering, keep, plan, sidecar].some((part) => part !== undefined);
}

/** @param trained what the model was trained to read; null for models that say nothing of it */
export function resolveRendering(
  { config, keys = {} }: AskedRendering = {},
  trained: RawRenderConfig | null = null,
): RenderConfig {
  return loadRenderConfig(config ?? trained ?? DEFAULT_PRESET, keys);
}

/** @returns null where none is asked for */
export function resolvePrunePlan(
  { keep, plan, questionFirst }: Pick<AskedSettings, 'keep' | 'plan' | 'questionFirst'>,
  layers: number,
): PrunePlan | null {
  if (keep !== undefined && plan !== undefined) {
    throw new GlyphpressError('GP_USAGE', {
      message: 'keep and plan both say what to prune',
      hint: 'Give one of them.',
      details: { param: 'keep' },
    });
  }
  if (keep !== undefined) {
    return questionFirst === undefined
      ? planFromKeep(keep, layers)
      : questionFirstPlan(keep, layers);
  }
  if (plan === undefined) return null;
  if ('json' in plan) return parsePrunePlan(plan.json, { layers });
  const named = namedPlan(plan.name, layers);
  if (named) return named;
  throw new GlyphpressError('GP_PRUNE_PLAN', {
    message: `There is no prune plan "${plan.name}"`,
    hint: `Give one of ${Object.keys(NAMED_PLANS).join(', ')}, or the plan itself.`,
    details: { param: 'plan', allowed: Object.keys(NAMED_PLANS) },
  });
}
