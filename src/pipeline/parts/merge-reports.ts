/** Reports of several parts → the report of what was read of the document. */

import { countExpanded } from '../expanding/count-expanded.js';
import { type CompressionReport, type ReportSoFar, tokenAccount } from '../report.js';

/**
 * Sums the counts; a count that is unknown (null) for one part is unknown for the document.
 *
 * @param reports of at least one part
 * @param layerTokens of a context that holds all of them, where drops rank the rows of all together;
 *   else those of the parts are added
 */
export function mergeReports(
  reports: readonly CompressionReport[],
  documentId: string,
  layerTokens?: readonly number[],
): CompressionReport {
  const [first] = reports as [CompressionReport];
  const sum = (field: (report: CompressionReport) => number) =>
    reports.reduce((total, report) => total + field(report), 0);
  const known = (field: (report: CompressionReport) => number | null) =>
    reports.some((report) => field(report) === null) ? null : sum((report) => field(report)!);
  const timings = Object.fromEntries(
    Object.keys(first.timings).map((name) => {
      const key = name as keyof CompressionReport['timings'];
      return [key, sum((report) => report.timings[key])];
    }),
  ) as unknown as CompressionReport['timings'];
  const expandedTokens = sum((report) => report.expandedTokens ?? 0);
  const merged = {
    ...first,
    documentId,
    pages: sum(({ pages }) => pages),
    characters: sum(({ characters }) => characters),
    ...tokenAccount(
      sum(({ textTokens }) => textTokens),
      {
        visualTokens: sum(({ visualTokens }) => visualTokens),
        encodedTokens: sum(({ encodedTokens }) => encodedTokens),
        layerTokens: layerTokens
          ? [...layerTokens]
          : first.layerTokens.map((_, layer) => sum((report) => report.layerTokens[layer] ?? 0)),
        sidecarTokens: sum(({ sidecarTokens }) => sidecarTokens),
        questionTokens: sum(({ questionTokens }) => questionTokens),
      },
    ),
    blankTokens: known(({ blankTokens }) => blankTokens),
    repeatedTokens: known(({ repeatedTokens }) => repeatedTokens),
    kvBytes: known(({ kvBytes }) => kvBytes),
    textKvBytes: known(({ textKvBytes }) => textKvBytes),
    missingGlyphs: sum(({ missingGlyphs }) => missingGlyphs),
    controlCharacters: sum(({ controlCharacters }) => controlCharacters),
    invisibleCharacters: sum(({ invisibleCharacters }) => invisibleCharacters),
    missingSample: [...new Set(reports.flatMap(({ missingSample }) => missingSample))],
    timings,
  };
  if (expandedTokens === 0) return merged;
  // Parts that were read alone have no other tokens left to count.
  const reading = reports.every(({ passages }) => passages === 'alone') ? 'alone' : 'behind-pages';
  return countExpanded(merged, { tokens: expandedTokens, reading });
}

/** Of documents that are asked by passages: no context of theirs is counted. @param reports one at least */
export function mergeDrawnReports(reports: readonly ReportSoFar[]): ReportSoFar {
  const [first] = reports as [ReportSoFar];
  const sum = (field: (report: ReportSoFar) => number) =>
    reports.reduce((total, report) => total + field(report), 0);
  const known = (field: (report: ReportSoFar) => number | null) =>
    reports.some((report) => field(report) === null) ? null : sum((report) => field(report)!);
  const textTokens = sum((report) => report.textTokens);
  const visualTokens = known((report) => report.visualTokens);
  return {
    ...first,
    made: 'pages',
    characters: sum(({ characters }) => characters),
    textTokens,
    pages: known(({ pages }) => pages),
    visualTokens,
    renderRatio: visualTokens === null ? null : textTokens / visualTokens,
    encodedTokens: null,
    layerTokens: null,
    contextTokens: null,
    finalTokens: null,
    sidecarTokens: null,
    pruneRatio: null,
    stackedRatio: null,
    kvBytes: null,
    textKvBytes: known(({ textKvBytes }) => textKvBytes),
  };
}
