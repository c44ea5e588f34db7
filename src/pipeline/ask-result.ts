/** What `ask --json` prints, for every backend. */

import type { Confidence } from '../vlm/index.js';
import type { Answer, PlacedCitation } from './backend.js';
import type { AnswerSupport } from './expanding/answer-support.js';
import { countExpanded } from './expanding/count-expanded.js';
import type { ExpandedPlace } from './expanding/expanded-place.js';
import type { CompressionReport, ReportSoFar } from './report.js';

export interface AskResult<Report extends ReportSoFar = CompressionReport> extends Confidence {
  answer: string;
  /** False where the answer says that the text does not hold what was asked for. */
  found: boolean;
  /** Where the answer stands in the text; empty where nothing there is like it. */
  citations: PlacedCitation[];
  report: Report;
  usage: Answer['usage'];
  timings: {
    /** Until the document is ready to be asked. */
    loadMs: number;
    /** From then to the first token. */
    firstTokenMs: number;
    totalMs: number;
  };
  /** The document was ready already: nothing was rendered (and nothing prefilled, where that happens here). */
  cached: boolean;
  /** The question stood before the pages too: nothing was stored for another one. */
  questionFirst: boolean;
  finishReason: string | null;
  /** What was read as text for this question; `report` counts its tokens. */
  expanded: ExpandedPlace[];
  /** Whether exact values of the answer stand in what was read as text; null where nothing can be said. */
  support: AnswerSupport;
}

export function askResult<Report extends ReportSoFar>(
  { report, cached }: { report: Report; cached: boolean },
  {
    logProb: _,
    passagesRead: __,
    evidence: ___,
    expansion,
    timings: { firstTokenMs, totalMs },
    ...answer
  }: Answer,
  { loadMs, questionFirst }: { loadMs: number; questionFirst: boolean },
): AskResult<Report> {
  return {
    ...answer,
    expanded: expansion?.expanded ?? [],
    support: expansion?.support ?? null,
    report: expansion ? countExpanded(report, expansion) : report,
    timings: { loadMs, firstTokenMs, totalMs: loadMs + totalMs },
    cached,
    questionFirst,
  };
}
