/** Options of the commands that may read passages of the source as text beside the pages. */

import { type Command, Option } from 'commander';
import type { Backend } from '../pipeline/backend.js';
import {
  EXPANSION_METHODS,
  ExpandingBackend,
  type ExpansionMethod,
} from '../pipeline/expanding/expanding-backend.js';
import { wholeNumber } from './options.js';

export interface ExpandFlags {
  expand?: 'off' | ExpansionMethod;
  expandBudget?: number;
}

const DEFAULT_BUDGET = 300;

export function withExpandOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--expand <method>',
        'read what the question is about as text beside the pages: lexical (by its words) or off',
      )
        .choices(['off', ...EXPANSION_METHODS])
        .default('off'),
    )
    .option(
      '--expand-budget <n>',
      `text tokens of these passages, at most (default: ${DEFAULT_BUDGET})`,
      wholeNumber(1, 1_000_000),
    );
}

/** @param countTokens of the model that answers */
export function expandingBackend(
  backend: Backend,
  { expand = 'off', expandBudget = DEFAULT_BUDGET }: ExpandFlags,
  countTokens: (text: string) => number,
): Backend {
  if (expand === 'off') return backend;
  return new ExpandingBackend(backend, { method: expand, budget: expandBudget, countTokens });
}
