/** The suites: named sets of documents over lengths and depths. */

import type { RenderConfig } from '../render/index.js';
import type { DraftSetting } from './draft.js';
import { type Haystack, madeUpHaystack } from './haystack.js';
import type { EvalPlan } from './plan.js';
import type { PromptStyle } from './questions.js';
import type { EvalDocument } from './task.js';
import { makeAbsent } from './tasks/absent.js';
import { makeDistractors } from './tasks/distractors.js';
import { makeLookUp } from './tasks/look-up.js';
import { makeNeedles } from './tasks/needles.js';
import { makeSeveralValues } from './tasks/several-values.js';
import { makeTranscription } from './tasks/transcription.js';

export interface SuiteSetting {
  config: RenderConfig;
  seed: number;
  style: PromptStyle;
  /** Lengths, in pages. */
  pages: readonly number[];
  /** Documents for each length. */
  samples: number;
  /** Where needles are hidden, 0 to 1. */
  depths: readonly number[];
  /** @defaultValue made-up prose */
  haystack?: Haystack;
  /** Ask the legibility probe as well. @defaultValue false */
  hasProbe?: boolean;
}

export type MeasurePage = (config: RenderConfig, haystack: Haystack) => Promise<number>;

/** Passages of a transcription at each depth. */
const PASSAGES = 2;

const MAKERS = {
  lookup: (setting) => makeLookUp(setting),
  needles: makeNeedles,
  values: makeSeveralValues,
  distractors: makeDistractors,
  hex: (setting) => makeLookUp(setting, { kind: 'hex', value: 'hex' }),
  uuid: (setting) => makeLookUp(setting, { kind: 'uuid', value: 'uuid' }),
  numbers: (setting) => makeLookUp(setting, { kind: 'numbers', value: 'number' }),
  absent: makeAbsent,
  transcribe: (setting) => makeTranscription(setting, PASSAGES),
} as const satisfies Record<string, (setting: DraftSetting) => EvalDocument>;

export type TaskSuite = keyof typeof MAKERS;
export const TASK_SUITES = Object.keys(MAKERS) as TaskSuite[];

/** @param suites several make one run: each has its own documents */
export async function planSuites(
  name: string,
  suites: readonly TaskSuite[],
  setting: SuiteSetting,
  measure: MeasurePage,
): Promise<EvalPlan> {
  const { config, haystack = madeUpHaystack } = setting;
  const perPage = await measure(config, haystack);
  // By length and sample first: a run that is cut short has some of every suite.
  const documents = setting.pages.flatMap((pages) =>
    Array.from({ length: setting.samples }, (_, sample) =>
      suites.map((suite) =>
        MAKERS[suite]({
          id: `${suite}/${pages}p/${sample + 1}`,
          seed: setting.seed,
          group: suite,
          rendering: 'page',
          pages,
          characters: pages * perPage,
          depths: setting.depths,
          haystack,
          style: setting.style,
        }),
      ),
    ).flat(),
  );
  return { suite: name, renderings: { page: config }, documents };
}
