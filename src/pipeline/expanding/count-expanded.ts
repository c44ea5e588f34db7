/** The report of one answer, with what was read for it. */

import type { AnswerExpansion } from '../backend.js';
import type { ReportSoFar } from '../report.js';

/**
 * Text that was read counts as context. Where it was read alone it is all the context: no page, no sidecar
 * and no question before the pages was read for this answer, whatever is stored of the document.
 */
export function countExpanded<Report extends ReportSoFar>(
  report: Report,
  { tokens, reading }: Pick<AnswerExpansion, 'tokens' | 'reading'>,
): Report & { contextTokens: number; stackedRatio: number } {
  const isAlone = reading === 'alone';
  const none = isAlone && {
    layerTokens: report.layerTokens?.map(() => 0) ?? null,
    sidecarTokens: 0,
    questionTokens: 0,
  };
  const contextTokens = (isAlone ? 0 : (report.contextTokens ?? 0)) + tokens;
  const { visualTokens } = report;
  return {
    ...report,
    ...none,
    expandedTokens: tokens,
    ...(reading && { passages: reading }),
    contextTokens,
    finalTokens: (isAlone ? 0 : (report.finalTokens ?? 0)) + tokens,
    pruneRatio: visualTokens === null ? null : visualTokens / contextTokens,
    stackedRatio: report.textTokens / contextTokens,
  };
}
