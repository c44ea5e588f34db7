/** A document that is open for the questions of a task, and what one of them gives. */

import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { AnswerEvidence, AnswerLogProb } from '../vlm/index.js';
import type { EvalQuestion } from './task.js';

export interface Reply {
  answer: string;
  finishReason: string | null;
  usage: { promptTokens: number | null; completionTokens: number | null };
  totalMs: number;
  /** Of a document whose pages were not read, what is told of pages is 0. */
  report: Pick<
    CompressionReport,
    'pages' | 'textTokens' | 'visualTokens' | 'contextTokens' | 'passages'
  >;
  /** Of the answer's tokens, where they are known. */
  logProb?: AnswerLogProb | null;
  /** What speaks for it in the text that was read, where it was. */
  evidence?: AnswerEvidence | null | undefined;
}

/** A document that is ready for the questions of a task. */
export interface OpenedDocument {
  ask(question: EvalQuestion): Promise<Reply>;
  close(): Promise<void>;
}

export interface AskerOptions {
  /** Text tokens for exact values beside the pages. @defaultValue 0 */
  sidecar?: number | undefined;
  /** Longest answer, in place of what the question says. */
  maxNewTokens?: number | undefined;
  /** Passages of the source as text beside the pages. @defaultValue none */
  expand?: ExpandSettings | undefined;
}
