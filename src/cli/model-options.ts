/** Options of the commands that run a model: which one, and what to prune. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { didYouMean } from '../did-you-mean.js';
import { GlyphpressError } from '../errors.js';
import type { ReadingSettings } from '../pipeline/backend.js';
import {
  type AskedPlan,
  type AskedSettings,
  type ResolvedReading,
  resolveSettings,
  type SettingsModel,
} from '../pipeline/settings.js';
import { NAMED_PLANS } from '../prune/index.js';
import {
  DEVICES,
  type Device,
  DTYPES,
  KV_DTYPES,
  type KvDtype,
  locateModel,
  type ModelInfo,
  VisionLanguageModel,
} from '../vlm/index.js';
import { askedRendering, defaultRendering, type RenderFlags, wholeNumber } from './options.js';

export interface ModelFlags {
  model?: string;
  plan?: string;
  keep?: number;
  threads?: number;
  dtype?: string;
  kvDtype?: KvDtype;
  device?: Device;
}

export function withModelOptions(command: Command): Command {
  return command
    .option(
      '--model <model>',
      'model folder, .gguf file, or owner/name that was pulled (default: the reader that ships with glyphpress)',
    )
    .option(
      '--plan <name|file>',
      `prune plan: ${Object.keys(NAMED_PLANS).join(', ')} (see glyphpress plans), or a JSON file`,
    )
    .option('--keep <share>', 'keep this share of the visual tokens, mean over the layers', ratio)
    .option('--threads <n>', 'threads for the model', wholeNumber(1, 256))
    .addOption(dtypeOption())
    .addOption(kvDtypeOption())
    .addOption(deviceOption());
}

export function dtypeOption(): Option {
  return new Option(
    '--dtype <type>',
    'what the weights are held in (default: as stored if quantised, else by size)',
  ).choices(DTYPES);
}

export function kvDtypeOption(): Option {
  return new Option(
    '--kv-dtype <type>',
    'what keys and values are held in: fp16 and int8 save memory, int8 disk too, and answers are slower (default: fp32)',
  ).choices(KV_DTYPES);
}

export function deviceOption(): Option {
  return new Option(
    '--device <name>',
    'what runs the model; only the CPU is tested (default: cpu)',
  ).choices(DEVICES);
}

/** @param model folder, .gguf file, or name of the hub */
export async function openModel(
  model: string,
  flags: Pick<ModelFlags, 'threads' | 'dtype' | 'kvDtype' | 'device'>,
): Promise<VisionLanguageModel> {
  return VisionLanguageModel.open(await locateModel(model), {
    ...(flags.threads !== undefined && { threads: flags.threads }),
    ...(flags.dtype !== undefined && { dtype: flags.dtype }),
    ...(flags.kvDtype !== undefined && { kvDtype: flags.kvDtype }),
    ...(flags.device !== undefined && { device: flags.device }),
  });
}

/** What the flags ask for; a plan's file is read. */
export function askedSettings(flags: RenderFlags & ModelFlags & SidecarFlags): AskedSettings {
  if (flags.plan !== undefined && flags.keep !== undefined) {
    throw new GlyphpressError('GP_USAGE', {
      message: '--plan and --keep both say what to prune',
      hint: 'Give one of them.',
    });
  }
  return {
    rendering: askedRendering(flags),
    keep: flags.keep,
    plan: flags.plan === undefined ? undefined : askedPlan(flags.plan),
    sidecar: flags.sidecar,
  };
}

/** @param stored settings of a folder that is asked */
export function settingsFor(
  { layers, rendering, vision }: SettingsModel,
  asked: AskedSettings,
  stored?: Partial<ReadingSettings>,
): ResolvedReading {
  return resolveSettings(asked, { layers, vision, rendering: defaultRendering(rendering) }, stored);
}

export interface SidecarFlags {
  sidecar?: number;
}

export function withSidecarOption(command: Command): Command {
  return command.option(
    '--sidecar <n>',
    'up to n text tokens for exact values (codes, hashes, amounts, dates, addresses) beside the pages',
    wholeNumber(0, 1_000_000),
  );
}

function askedPlan(plan: string): AskedPlan {
  return Object.hasOwn(NAMED_PLANS, plan) ? { name: plan } : { json: readPlan(plan) };
}

function readPlan(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new GlyphpressError(missing ? 'GP_INPUT_NOT_FOUND' : 'GP_INPUT_UNREADABLE', {
      message: missing
        ? `No prune plan ${file}: neither a name (${Object.keys(NAMED_PLANS).join(', ')}) nor a file.${didYouMean(file, Object.keys(NAMED_PLANS))}`
        : `The prune plan ${file} cannot be read: ${(cause as Error).message}`,
      hint: 'Give a JSON file, for example {"decoder":[{"layer":2,"keepRatio":0.5,"method":"v2drop"}]}.',
      details: { file },
      cause,
    });
  }
}

/**
 * Prints the dtype of the weights if it was chosen automatically, and a warning for random weights, whose
 * answers are noise.
 */
export function warnIfUntrained({ trained, notice, dir, dtypeReason }: ModelInfo): void {
  if (dtypeReason) process.stderr.write(`note: ${dtypeReason}\n`);
  if (notice) process.stderr.write(`note: ${notice}\n`);
  if (trained) return;
  process.stderr.write(
    `warning: the weights in ${path.relative('', dir) || dir} are untrained; answers are noise. Give a trained model with --model.\n`,
  );
}

function ratio(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1))
    throw new InvalidArgumentError('Expected a number above 0 and at most 1.');
  return value;
}
