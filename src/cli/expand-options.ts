/** Options of the commands that may read passages of the source as text beside the pages. */

import path from 'node:path';
import { type Command, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import type { Backend } from '../pipeline/backend.js';
import { defaultExpansion } from '../pipeline/expanding/default-method.js';
import {
  DEFAULT_EXPANSION_BUDGET,
  EXPANSION_METHODS,
  type ExpandSettings,
  type ExpansionMethod,
  MAX_EXPANSION_BUDGET,
} from '../pipeline/expanding/expander.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import type { ModelInfo, VisionLanguageModel } from '../vlm/index.js';
import { wholeNumber } from './options.js';

export interface ExpandFlags {
  expand?: 'off' | ExpansionMethod;
  expandBudget?: number;
}

const WHERE_IT_HELPS =
  'auto for models that were measured to read passages better than pages, as the one that ships, else off';

/** @param unlessGiven what is done where the option is not given, in words */
export function withExpandOptions(command: Command, unlessGiven = WHERE_IT_HELPS): Command {
  return command
    .addOption(
      new Option(
        '--expand <method>',
        `read what the question is about as text beside the pages: lexical (by its words), attention (by what the model attends to, after glyphpress model attention), tool (a model behind a server reads lines by itself), auto (tool where there is one, else lexical) or off (default: ${unlessGiven})`,
      ).choices(['off', ...EXPANSION_METHODS]),
    )
    .option(
      '--expand-budget <n>',
      `text tokens of these passages, at most (default: ${DEFAULT_EXPANSION_BUDGET})`,
      wholeNumber(1, MAX_EXPANSION_BUDGET),
    );
}

/** @param countTokens of the model that answers */
export function expandingBackend(
  backend: Backend,
  flags: ExpandFlags,
  countTokens: (text: string) => number,
): Backend {
  const expansion = expandSettings(flags, countTokens);
  return expansion ? new ExpandingBackend(backend, expansion) : backend;
}

/** What is done for a model that runs here where --expand is not given; pages read with the question first stay alone. */
export function expandFlagsFor<T extends ExpandFlags & { questionFirst?: unknown }>(
  flags: T,
  info: Pick<ModelInfo, 'passages'>,
): T {
  return flags.expand || flags.questionFirst ? flags : { ...flags, expand: defaultExpansion(info) };
}

/** Before anything is read. @throws {GlyphpressError} GP_USAGE for what only a server's model can do */
export function assertExpandsHere({ expand }: ExpandFlags): void {
  if (expand !== 'tool') return;
  throw new GlyphpressError('GP_USAGE', {
    message: '--expand tool needs a model behind a server; one that runs here calls no tools',
    hint: 'Use --expand lexical, or --backend openai.',
  });
}

/**
 * For what compares pages: they must be read.
 *
 * @throws {GlyphpressError} GP_USAGE
 */
export function assertReadsPages(
  { dir, passages }: Pick<ModelInfo, 'dir' | 'passages'>,
  { expand = 'off' }: ExpandFlags,
): void {
  if (expand === 'off' || passages !== 'alone') return;
  throw new GlyphpressError('GP_USAGE', {
    message: `${path.basename(dir)} answers from passages alone, without the pages: with --expand every rendering and every plan would give the same answers`,
    hint: 'Leave out --expand, or name a model that reads passages beside pages.',
    details: { model: dir, passages },
  });
}

/** @throws {GlyphpressError} GP_USAGE where --expand attention does not know which heads to ask */
export function assertAttends(
  { attentionHeads, info }: Pick<VisionLanguageModel, 'attentionHeads' | 'info'>,
  { expand }: ExpandFlags,
): void {
  if (expand !== 'attention' || attentionHeads) return;
  throw new GlyphpressError('GP_USAGE', {
    message: 'It is not known which heads of this model look where an answer stands',
    hint: `Run "glyphpress model attention ${info.dir}" once, or use --expand lexical.`,
  });
}

/** @returns undefined where nothing is to be expanded */
export function expandSettings(
  { expand = 'off', expandBudget: budget = DEFAULT_EXPANSION_BUDGET }: ExpandFlags,
  countTokens: (text: string) => number,
): ExpandSettings | undefined {
  return expand === 'off' ? undefined : { method: expand, budget, countTokens };
}
