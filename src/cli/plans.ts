/** The named prune plans: what each drops where, what that leaves, and how well a model then answers. */

import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { type MeasuredPlan, measuredPlans } from '../eval/index.js';
import { DEFAULT_MODEL, packageFile } from '../package-file.js';
import {
  describePlan,
  NAMED_PLANS,
  namedPlan,
  type PrunePlan,
  planId,
  predictEncodedTokens,
  predictTokens,
} from '../prune/index.js';
import { inspectModel } from '../vlm/index.js';
import { wholeNumber } from './options.js';

/** Figures that ship with the documentation. */
const RESULTS_FILE = packageFile('docs/results/pruning.json');

interface Flags {
  model?: string;
  tokens: number;
  json?: boolean;
}

interface ShownPlan {
  name: string;
  about: string;
  plan: PrunePlan;
  planId: string;
  /** The plan in words. */
  drops: string;
  /** For a document of `tokens` visual tokens, without what its content decides. */
  expected: {
    encodedTokens: number;
    layerTokens: number[];
    contextTokens: number;
    /** Visual tokens ÷ context tokens. */
    pruneRatio: number;
  };
  /** True where blank cells or repetitions go as well, which depends on the page. */
  dependsOnPages: boolean;
  measured: MeasuredPlan | null;
}

export function registerPlans(program: Command): void {
  program
    .command('plans')
    .description('show the named prune plans, what they leave, and what was measured')
    .option('--model <dir>', 'for the layers of this model (default: the reader that ships)')
    .option(
      '--tokens <n>',
      'visual tokens of the document that ratios are computed for',
      wholeNumber(1, 1e9),
      630,
    )
    .option('--json', 'print as JSON')
    .addHelpText(
      'after',
      `
A plan's name goes wherever a plan's file goes: --plan lossless. A file that has the name of a plan is
given with its path: --plan ./lossless.

Accuracy is "not measured" until \`glyphpress eval curve --record\` has measured it with the same weights.

Examples:
  $ glyphpress plans
  $ glyphpress plans --model ~/models/glyph --tokens 20000 --json
  $ glyphpress ask book.txt "Who wrote the letter?" --plan lossless`,
    )
    .action((flags: Flags) => {
      const dir = flags.model ?? DEFAULT_MODEL;
      const { layers, checkpointHash } = inspectModel(dir);
      const record = measuredPlans(dir, checkpointHash, [RESULTS_FILE].filter(existsSync));
      const plans = Object.values(NAMED_PLANS).map(({ name, about }) =>
        shown(name, about, layers, flags.tokens, record?.plans[name] ?? null),
      );
      const result = {
        model: dir,
        layers,
        visualTokens: flags.tokens,
        measuredIn: record?.file ?? null,
        plans,
      };
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(result, null, 2)}\n`
          : plansText(plans, layers, flags.tokens),
      );
    });
}

function shown(
  name: string,
  about: string,
  layers: number,
  tokens: number,
  measured: MeasuredPlan | null,
): ShownPlan {
  const plan = namedPlan(name, layers)!;
  const encodedTokens = predictEncodedTokens(tokens, plan);
  const { layerTokens, contextTokens } = predictTokens(encodedTokens, layers, plan);
  const { encoder } = plan;
  return {
    name,
    about,
    plan,
    planId: planId(plan),
    drops: describePlan(plan),
    expected: { encodedTokens, layerTokens, contextTokens, pruneRatio: tokens / contextTokens },
    dependsOnPages:
      encoder?.method === 'blank' || encoder?.blank === 'drop' || encoder?.repeats === 'drop',
    // The name may have stood for another plan then.
    measured: measured?.planId === planId(plan) ? measured : null,
  };
}

function plansText(plans: readonly ShownPlan[], layers: number, tokens: number): string {
  const parts = plans.map(({ name, about, drops, expected, dependsOnPages, measured }) => {
    const more = dependsOnPages ? ' or more, as blank cells go as well' : '';
    const accuracy = measured
      ? `${percent(measured.accuracy)} (95 %: ${percent(measured.low)} to ${percent(measured.high)}) of ${measured.questions} questions at ${measured.stackedRatio.toFixed(2)}×; without pruning ${percent(measured.unpruned)}`
      : 'not measured';
    return [
      name,
      `  ${about}`,
      `  drops     ${drops}`,
      `  leaves    ${expected.layerTokens.join(' ')} of ${tokens} tokens in the layers: ${expected.pruneRatio.toFixed(2)}×${more}`,
      `  accuracy  ${accuracy}`,
    ].join('\n');
  });
  return `${layers} decoder layers\n\n${parts.join('\n\n')}\n`;
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
