/** `eval --suite natural`: its plan from the flags, and its own part of the report. */

import {
  type Asker,
  type EvalPlan,
  type EvalReport,
  makeNaturalReport,
  naturalMarkdown,
  naturalTable,
  type PromptStyle,
  planNatural,
  readNaturalSuite,
  USUAL_QUESTIONS,
} from '../eval/index.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { predictPageTokens } from '../pipeline/predict-tokens.js';
import type { RenderConfig } from '../render/index.js';
import type { PlattCurve } from '../vlm/index.js';

export interface NaturalFlags {
  seed: number;
  pages?: number[];
  samples?: number;
  documents?: number;
}

type Results = Parameters<typeof makeNaturalReport>[1];

export function naturalPlan(
  { seed, pages, samples, documents }: NaturalFlags,
  config: RenderConfig,
  style: PromptStyle,
  asker: Asker,
  signal: AbortSignal,
): Promise<EvalPlan> {
  const countPages = async (text: string) => {
    const options = { chromium: chromiumOptions(), signal };
    return (await predictPageTokens(text, config, () => ({ rows: 0, cols: 0 }), options)).length;
  };
  return planNatural(
    {
      config,
      style,
      seed,
      questions: samples ?? USUAL_QUESTIONS,
      ...(pages && { pages }),
      ...(documents !== undefined && { documents }),
      readsText: asker.readsText ?? false,
    },
    countPages,
  );
}

/** The report with the suite's own figures, as an object, a table and a page. */
export function naturalReport(
  plan: EvalPlan,
  results: Results,
  report: EvalReport,
  { calibration, name, command }: { calibration: PlattCurve | null; name: string; command: string },
) {
  const natural = makeNaturalReport(plan, results, readNaturalSuite(), calibration);
  const whole = { ...report, natural };
  return {
    report: whole,
    table: naturalTable(natural),
    markdown: naturalMarkdown(whole, { model: name, command }),
  };
}
