/** Who reads a document, and how, as a program says it. */

import { DEFAULT_MODEL } from '../package-file.js';
import type { ReadingSettings } from '../pipeline/backend.js';
import { type AskedSettings, resolveSettings, type SettingsModel } from '../pipeline/settings.js';
import { NAMED_PLANS, type PrunePlan } from '../prune/index.js';
import type { RawRenderConfig } from '../render/index.js';
import { type KvDtype, VisionLanguageModel } from '../vlm/index.js';

export interface ReadingOptions {
  /** A preset, a JSON file, or the keys themselves. @defaultValue what the model was trained to read */
  rendering?: string | RawRenderConfig;
  /** A named plan, or the plan itself. @defaultValue nothing is dropped */
  plan?: string | PrunePlan;
  /** Share of the visual tokens that is kept, mean over the layers, in (0, 1]; in the place of a plan. */
  keep?: number;
  /** Text tokens for exact values beside the pages, at most. @defaultValue 0 */
  sidecar?: number;
}

export interface ModelOptions {
  /** A model folder, or a model that the program has opened and closes. @defaultValue the shipped reader */
  model?: string | VisionLanguageModel;
  /** Threads for a model that is opened here. @defaultValue as ONNX Runtime chooses */
  threads?: number;
  /** Type of the weights of a model that is opened here. @defaultValue as stored if quantised, else by size */
  dtype?: string;
  /** What it holds keys and values in. @defaultValue fp32, stored as fp16 */
  kvDtype?: KvDtype;
}

export interface OpenedModel {
  model: VisionLanguageModel;
  /** Closes what was opened here, and nothing else. */
  close(): Promise<void>;
}

/** @throws {GlyphpressError} GP_CHECKPOINT, GP_MODEL_… */
export async function openModel({
  model,
  threads,
  dtype,
  kvDtype,
}: ModelOptions): Promise<OpenedModel> {
  if (model instanceof VisionLanguageModel) return { model, close: async () => {} };
  const opened = await VisionLanguageModel.open(model ?? DEFAULT_MODEL, {
    ...(threads !== undefined && { threads }),
    ...(dtype !== undefined && { dtype }),
    ...(kvDtype !== undefined && { kvDtype }),
  });
  return { model: opened, close: () => opened.close() };
}

/** @throws {GlyphpressError} GP_CONFIG_…, GP_FONT, GP_PRUNE_PLAN; GP_USAGE for keep beside plan */
export function readingSettings(
  options: ReadingOptions,
  model: SettingsModel,
  stored?: Partial<ReadingSettings>,
) {
  return resolveSettings(askedSettings(options), model, stored);
}

export function askedSettings({ rendering, plan, keep, sidecar }: ReadingOptions): AskedSettings {
  return {
    rendering: rendering === undefined ? undefined : { config: rendering },
    plan: plan === undefined ? undefined : askedPlan(plan),
    keep,
    sidecar,
  };
}

/** What is no name is a plan, as a value or as JSON. */
function askedPlan(plan: string | PrunePlan): AskedSettings['plan'] {
  if (typeof plan !== 'string') return { json: plan };
  return Object.hasOwn(NAMED_PLANS, plan) || !plan.startsWith('{')
    ? { name: plan }
    : { json: plan };
}
