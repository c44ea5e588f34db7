/** `eval --suite natural`: its plan from the flags, and its own part of the report. */

import {
  type Asker,
  DEFAULT_QUESTIONS_PER_DOCUMENT,
  type EvalPlan,
  type EvalReport,
  makeNaturalReport,
  naturalMarkdown,
  naturalTable,
  type PromptStyle,
  planNatural,
  readNaturalSuite,
} from '../eval/index.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { predictPageTokens } from '../pipeline/predict-tokens.js';
import type { RenderConfig } from '../render/index.js';
import type { Calibrations } from '../vlm/index.js';

export interface NaturalFlags {
  seed: number;
  pages?: number[];
  samples?: number;
  documents?: number;
  /** What a run with these flags leaves out. */
  others?: boolean;
  /** See {@link planNatural}. */
  passagesAlone?: boolean;
}

type Results = Parameters<typeof makeNaturalReport>[1];

export function naturalPlan(
  { seed, pages, samples, documents, others, passagesAlone }: NaturalFlags,
  config: RenderConfig,
  style: PromptStyle,
  asker: Pick<Asker, 'readsText'>,
  signal: AbortSignal,
): Promise<EvalPlan> {
  const countPages = async (texts: readonly string[]) => {
    // All in one go: a browser takes longer to start than most of them to be laid out.
    const whole = texts.join('\n\n');
    const options = { chromium: chromiumOptions(), signal };
    const laidOut = await predictPageTokens(whole, config, () => ({ rows: 0, cols: 0 }), options);
    let end = 0;
    return texts.map((text) => {
      const start = end === 0 ? 0 : end + 2;
      end = start + text.length;
      const shares = laidOut.map((page) => {
        const inside = Math.min(end, page.end) - Math.max(start, page.start);
        return Math.max(0, inside) / Math.max(1, page.end - page.start);
      });
      return Math.max(1, Math.ceil(shares.reduce((sum, share) => sum + share, 0)));
    });
  };
  return planNatural(
    {
      config,
      style,
      seed,
      questions: samples ?? DEFAULT_QUESTIONS_PER_DOCUMENT,
      ...(pages && { pages }),
      ...(documents !== undefined && { documents }),
      ...(others && { others }),
      ...(passagesAlone && { passagesAlone }),
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
  {
    calibrations,
    name,
    command,
  }: { calibrations: Calibrations | null; name: string; command: string },
) {
  const natural = makeNaturalReport(plan, results, readNaturalSuite(), calibrations);
  const whole = { ...report, natural };
  return {
    report: whole,
    table: naturalTable(natural),
    markdown: naturalMarkdown(whole, { model: name, command }),
  };
}
