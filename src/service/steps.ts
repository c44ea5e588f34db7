/**
 * The four steps of a document, each skipping what is there already. A step makes sure of what the
 * steps before it left, so that losing a folder costs time and nothing else.
 */

import { countDrawnPages, openStoredPages } from '../pipeline/artifacts/stored-pages.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { countContentDrops } from '../pipeline/parts/content-drops.js';
import { assertDrawnDocumentFits, type FitSettings } from '../pipeline/parts/document-fit.js';
import type { DocumentPart } from '../pipeline/parts/plan-parts.js';
import { dropsByContent } from '../pipeline/predict-tokens.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { Stage } from '../queue/document-record.js';
import type { Step, StepContext, StepResult } from '../queue/stage-runner.js';
import { assertWithinQuota } from '../queue/usage.js';
import { artifactAt } from '../store/artifact-folder.js';
import { predictBytes, sumOfBytes } from './document-bytes.js';
import { encodeStep, prefillStep, rangesOfParts } from './model-steps.js';
import { fitOf } from './parts-plan.js';
import { piecesOf, WholeProgress } from './pieces.js';
import { damagedPages, draw, ensureText } from './step-sources.js';
import { assertDiskRoom, DEFAULT_MAX_PARTS, type StepTools } from './step-tools.js';
import { completeUnread, isBuilt, visualTokensOf, wantsContext } from './unread-document.js';
import { hasContext, openWork, pagePlace, type Work } from './work.js';

export function compressionSteps(tools: StepTools): Record<Stage, Step> {
  const opened =
    (step: (work: Work, context: StepContext) => Promise<StepResult>): Step =>
    async (context) => {
      const work = openWork(context.record, tools);
      assertDiskRoom(tools.store);
      const result = await step(work, context);
      if (context.range || result.ranges) return result;
      const { tenant, contentHash } = context.record;
      return { ...result, storedBytes: await tools.store.bytesOf(tenant, contentHash) };
    };
  const [encode, prefill] = [encodeStep(tools), prefillStep(tools)];
  return {
    extract: opened(async (work, { signal }) => {
      const { text } = await ensureText(work, signal);
      return { characters: text.length, textBytes: Buffer.byteLength(text) };
    }),
    render: opened((work, context) => render(work, context, tools)),
    encode: opened(async (work, context) => {
      if (!wantsContext(work)) return {};
      if (context.record.context === 'building' && context.maySplit)
        await assertRoomFor(work, visualTokensOf(work), tools);
      return encode(work, context);
    }),
    prefill: opened(async (work, context) =>
      wantsContext(work) || (await isBuilt(work))
        ? prefill(work, context)
        : completeUnread(work, context, tools),
    ),
  };
}

async function render(work: Work, context: StepContext, tools: StepTools): Promise<StepResult> {
  const { range, signal, record } = context;
  if (record.parts === null && (await hasContext(work))) return {};
  const document = await ensureText(work, signal);
  if (range) {
    const pieces = piecesOf(work);
    await drawPiece(pieces, range.part ?? 0, document, context, tools);
    return {};
  }
  const fit = { ...work.reading, model: tools.models.info(work.reading.asked.model) };
  const parts = record.parts ?? (await planned(work, document, fit, signal, tools));
  if (parts && context.maySplit) return { parts, ranges: rangesOfParts(parts) };
  const pieces = piecesOf({ ...work, record: { ...record, parts } });
  let pages = 0;
  for (const part of pieces.keys())
    pages += await drawPiece(pieces, part, document, context, tools);
  if (parts === null) await assertDrawnFits(work, fit);
  return { pages };
}

/** @returns the parts of a document that its model does not hold; null for one that it does */
async function planned(
  work: Work,
  document: SourceDocument,
  fit: FitSettings,
  signal: AbortSignal,
  tools: StepTools,
): Promise<DocumentPart[] | null> {
  if (await isBegun(work)) return null;
  const { chromium = chromiumOptions, maxParts = DEFAULT_MAX_PARTS } = tools;
  const found = await fitOf(work, document, fit, { chromium, signal }, maxParts);
  if (found) await assertRoomFor(work, found.size.visualTokens, tools);
  return found?.parts?.parts ?? null;
}

/** @returns how many pages it has */
async function drawPiece(
  pieces: readonly Work[],
  part: number,
  document: SourceDocument,
  context: StepContext,
  tools: StepTools,
): Promise<number> {
  const piece = pieces[part]!;
  const { parts } = piece.record;
  const count = (other: Work) => countDrawnPages(pagePlace(other));
  const progress = await WholeProgress.open(pieces, piece, count);
  const all = parts?.reduce((sum, { pages }) => sum + pages, 0);
  const { pages } = await draw(piece, document, tools, {
    signal: context.signal,
    onPage: ({ pagesDone: own, share }) => {
      assertDiskRoom(tools.store);
      const pagesDone = progress.total(own);
      context.progress({ pagesDone, share: all ? Math.min(1, pagesDone / all) : share });
    },
  });
  return pages;
}

/** Before the work: what all of it will take must be there, of the quota and of the disk. */
async function assertRoomFor(
  { record, reading }: Work,
  visualTokens: number,
  { models, store, quota }: StepTools,
): Promise<void> {
  const { asked, plan } = reading;
  const { pages, ...ofContext } = predictBytes(visualTokens, plan, models.info(asked.model));
  // Pages are drawn before a context that waits until it is read; they are there when it is built.
  const needBytes =
    (record.context === 'building' ? 0 : pages) +
    (wantsContext({ record, reading }) ? sumOfBytes(ofContext) : 0);
  if (quota) {
    const storedBytes = await quota.usedBytes(record.tenant);
    assertWithinQuota(needBytes, { storedBytes }, quota.bytes);
  }
  assertDiskRoom(store, needBytes);
}

/** Pages of it were drawn before as a whole, so it fits. */
async function isBegun(work: Work): Promise<boolean> {
  const place = artifactAt(pagePlace(work).folder);
  return (await place.readManifest()) !== null || (await place.unfinished().names()).length > 0;
}

async function assertDrawnFits(work: Work, fit: FitSettings): Promise<void> {
  const { vision } = fit.model;
  if (!vision || !dropsByContent(fit.plan)) return;
  const pages = await openStoredPages(pagePlace(work));
  if (!pages) throw damagedPages();
  assertDrawnDocumentFits(await countContentDrops(pages.pages(), fit.plan, vision), fit);
}
