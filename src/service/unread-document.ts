/** A document whose pages nobody has read yet: drawn, and completed without a context. */

import { openStoredPages } from '../pipeline/artifacts/stored-pages.js';
import { type ReportSoFar, textOnlyReport } from '../pipeline/report.js';
import type { StepContext, StepResult } from '../queue/stage-runner.js';
import type { RenderSummary } from '../render/index.js';
import { gridOfPage } from '../vlm/index.js';
import { piecesOf } from './pieces.js';
import { damagedPages, ensureText } from './step-sources.js';
import type { StepTools } from './step-tools.js';
import { hasContext, pagePlace, type Work } from './work.js';

/** Whether the steps of a document build its context now. */
export function wantsContext({ record, reading }: Pick<Work, 'record' | 'reading'>): boolean {
  return reading.contexts === 'at-once' || record.context === 'building';
}

/** Whether an equal document, or this one, built all of its context before. */
export async function isBuilt(work: Work): Promise<boolean> {
  const there = await Promise.all(piecesOf(work).map(hasContext));
  return !there.includes(false);
}

/** Of a completed document. */
export function visualTokensOf({ record }: Pick<Work, 'record'>): number {
  return (JSON.parse(record.report ?? '{}') as Partial<ReportSoFar>).visualTokens ?? 0;
}

/** In the place of the last step. */
export async function completeUnread(
  work: Work,
  { signal, record }: StepContext,
  { models }: StepTools,
): Promise<StepResult> {
  const { reading } = work;
  const document = await ensureText(work, signal);
  const model = models.counter(reading.asked.model);
  const drawn = await drawnPages(work, model.info.vision);
  const { extract, render } = record.stageMs;
  const report = textOnlyReport(document, model, reading, extract);
  const own: ReportSoFar = {
    ...report,
    ...drawn,
    made: 'pages',
    documentId: record.id,
    renderRatio: report.textTokens / drawn.visualTokens,
    timings: { ...report.timings, renderMs: render, totalMs: extract + render },
  };
  const { pages } = drawn;
  return { pages, characters: own.characters, report: JSON.stringify(own), context: 'none' };
}

/** Figures of the pages of all parts. @throws {GlyphpressError} GP_ARTIFACT_DAMAGED */
async function drawnPages(work: Work, vision: Parameters<typeof gridOfPage>[1] | null) {
  let [pages, visualTokens] = [0, 0];
  const summaries: RenderSummary[] = [];
  for (const piece of piecesOf(work)) {
    const stored = await openStoredPages(pagePlace(piece));
    if (!stored) throw damagedPages();
    for await (const page of stored.layout()) {
      pages += 1;
      const { rows, cols } = vision ? gridOfPage(page, vision) : { rows: 0, cols: 0 };
      visualTokens += rows * cols;
    }
    summaries.push(await stored.summary());
  }
  const sum = (count: keyof RenderSummary['counts']) =>
    summaries.reduce((total, { counts }) => total + counts[count], 0);
  const [first] = summaries as [RenderSummary];
  return {
    pages,
    visualTokens,
    missingGlyphs: sum('missingGlyphs'),
    controlCharacters: sum('controlCharacters'),
    invisibleCharacters: sum('invisibleCharacters'),
    missingSample: [...new Set(summaries.flatMap(({ missingSample }) => missingSample))],
    fontSubstitution: first.fontSubstitution,
    browser: first.renderer.browser,
  };
}
