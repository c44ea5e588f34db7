/** What an evaluation asks: documents, and questions about each. */

import type { MetricName } from './score.js';

export interface EvalQuestion {
  /** Unique within a run; it names the result. */
  id: string;
  /** What the question tries: lookup, hex, absent, transcribe, … */
  kind: string;
  question: string;
  /** The right answers; what several mean is for the metric to say. */
  expected: string[];
  /** Values that the text gives to something else: naming one beside the right one is no answer. */
  wrong?: string[];
  /** How many of `expected` must be met, for metrics that count them. @defaultValue all */
  atLeast?: number;
  metric: MetricName;
  /** `probe`: the visual tokens alone are read, by the legibility probe; there is no question. @defaultValue model */
  by?: 'model' | 'probe';
  /** Position of the answer in the text, 0 to 1; absent if it is not there or unknown. */
  depth?: number;
  /** Longest answer for a model that runs here. */
  maxNewTokens: number;
}

export interface EvalDocument {
  id: string;
  text: string;
  /**
   * `text`: the model reads the source itself, no page of it. `passages`: those of each question, by a model
   * that reads them alone. @defaultValue pages
   */
  as?: 'pages' | 'text' | 'passages';
  /** Questions of one group are reported together. */
  group: string;
  /** Name of the rendering, see {@link EvalPlan.renderings}. */
  rendering: string;
  /** Pages that the length was chosen for; null if it was given. */
  pages: number | null;
  questions: EvalQuestion[];
}
