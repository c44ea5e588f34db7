/** What `ask --json` prints of a question to several parts. */

import type { AskResult } from '../ask-result.js';
import type { PartsAnswer } from './ask-parts.js';
import { expandedOfWhole } from './merge-answers.js';
import { mergeReports } from './merge-reports.js';

/** The best answer, with report, usage and time of all parts that were asked. */
export function resultOfParts(
  { best, ranked }: PartsAnswer<AskResult>,
  documentId: string,
): AskResult {
  const replies = ranked.map(({ reply }) => reply);
  const sum = (field: (reply: AskResult) => number) =>
    replies.reduce((total, reply) => total + field(reply), 0);
  const known = (field: (reply: AskResult) => number | null) =>
    replies.some((reply) => field(reply) === null) ? null : sum((reply) => field(reply) ?? 0);
  return {
    ...best,
    expanded: ranked.flatMap(({ part, reply }) => expandedOfWhole(reply.expanded, part)),
    report: mergeReports(
      replies.map(({ report }) => report),
      documentId,
    ),
    usage: {
      promptTokens: known(({ usage }) => usage.promptTokens),
      completionTokens: known(({ usage }) => usage.completionTokens),
    },
    timings: {
      ...best.timings,
      loadMs: sum(({ timings }) => timings.loadMs),
      totalMs: sum(({ timings }) => timings.totalMs),
    },
    cached: replies.every(({ cached }) => cached),
  };
}
