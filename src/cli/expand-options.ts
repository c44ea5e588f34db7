/** Options of the commands that may read passages of the source as text beside the pages. */

import path from 'node:path';
import { type Command, Option } from 'commander';
import { GlyphpressError } from '../errors.js';
import type { Backend } from '../pipeline/backend.js';
import {
  DEFAULT_EXPANSION_BUDGET,
  EXPANSION_METHODS,
  type ExpandSettings,
  type ExpansionMethod,
  MAX_EXPANSION_BUDGET,
} from '../pipeline/expanding/expander.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { type AskedExpansion, expansionFor } from '../pipeline/expanding/expansion-choice.js';
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
        `read what the question is about as text beside the pages: lexical (by its words), semantic (by its words and what they mean to the model), attention (by what the model attends to, after glyphpress model attention), tool (a model behind a server reads lines by itself), auto (tool where there is one, else lexical) or off (default: ${unlessGiven})`,
      ).choices(['off', ...EXPANSION_METHODS]),
    )
    .option(
      '--expand-budget <n>',
      `text tokens of these passages, at most (default: ${DEFAULT_EXPANSION_BUDGET})`,
      wholeNumber(1, MAX_EXPANSION_BUDGET),
    );
}

/**
 * @param countTokens of the model that answers
 * @param model says what is done where --expand is not given; null: nothing
 */
export function expandingBackend(
  backend: Backend,
  flags: AskedExpansion,
  countTokens: (text: string) => number,
  model: Pick<ModelInfo, 'passages'> | null = null,
): Backend {
  const expansion = expansionFor(flags, model);
  return expansion ? new ExpandingBackend(backend, { ...expansion, countTokens }) : backend;
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

/** @returns undefined where --expand is not given: what is measured depends on what was asked for alone */
export function expandSettings(
  flags: ExpandFlags,
  countTokens: (text: string) => number,
): ExpandSettings | undefined {
  const expansion = expansionFor(flags, null);
  return expansion && { ...expansion, countTokens };
}
