/** A whole evaluation: which documents, drawn how, and which figures sum it up. */

import type { RenderConfig } from '../render/index.js';
import type { EvalDocument } from './task.js';

export interface EvalPlan {
  suite: string;
  renderings: Readonly<Record<string, RenderConfig>>;
  documents: EvalDocument[];
  /** Rows of the table; without them every group and kind is a row. */
  headlines?: Headline[];
  /** What whoever reads the report has to know about how it was asked, a sentence each. */
  notes?: string[];
}

export interface Headline {
  label: string;
  group: string;
  kind: string;
  measure: Measure;
  /** Only documents of this length, where a group has several. */
  pages?: number;
}

/** What a row shows of its questions. */
export type Measure = 'score' | 'characterErrorRate' | 'saidNotFound';
