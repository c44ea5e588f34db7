/**
 * The four steps of a document, each skipping what is there already. A step makes sure of what the
 * steps before it left, so that losing a folder costs time and nothing else.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type ErrorCode, GlyphpressError } from '../errors.js';
import { countEncodedPages, ensureEncodedPage } from '../pipeline/artifacts/encoded-pages.js';
import type { DrawOptions, OpenPages } from '../pipeline/artifacts/page-source.js';
import {
  ensurePages,
  openStoredPages,
  storedPageRange,
} from '../pipeline/artifacts/stored-pages.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { countContentDrops } from '../pipeline/parts/content-drops.js';
import {
  assertDocumentFits,
  assertDrawnDocumentFits,
  type DocumentSize,
  type FitSettings,
} from '../pipeline/parts/document-fit.js';
import { dropsByContent } from '../pipeline/predict-tokens.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PageRange } from '../queue/compression-queue.js';
import type { DocumentRecord, Stage } from '../queue/document-record.js';
import type { Step, StepContext, StepResult } from '../queue/stage-runner.js';
import { assertWithinQuota } from '../queue/usage.js';
import { artifactAt } from '../store/artifact-folder.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import type { ContentStore } from './content-store.js';
import { assertRoomForWork } from './disk-room.js';
import { predictBytes, sumOfBytes } from './document-bytes.js';
import { extractText } from './extract.js';
import type { ModelRegistry } from './models.js';
import {
  contextFolder,
  hasContext,
  openWork,
  pagePlace,
  sourceOf,
  storedText,
  storeText,
  tokensFolder,
  type Work,
} from './work.js';

export interface StepTools {
  store: ContentStore;
  models: ModelRegistry;
  chromium?: DrawOptions['chromium'] | undefined;
  browsers?: number | undefined;
  /** Pages that one job encodes, so that several workers share a long document. @defaultValue 16 */
  pagesPerJob?: number | undefined;
  /** Of each tenant, and what of it is used; absent for no limit. */
  quota?: { bytes: number; usedBytes(tenant: string): Promise<number> } | undefined;
}

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
  return {
    extract: opened(async (work, { signal }) => {
      const { text } = await ensureText(work, signal);
      return { characters: text.length, textBytes: Buffer.byteLength(text) };
    }),
    render: opened(async (work, context) => {
      if (await hasContext(work)) return {};
      const document = await ensureText(work, context.signal);
      const fit = { ...work.reading, model: tools.models.info(work.reading.asked.model) };
      const { chromium = chromiumOptions } = tools;
      if (!(await isBegun(work))) {
        const size = await assertDocumentFits(document, fit, { chromium, signal: context.signal });
        if (size) await assertRoomFor(work, size, tools);
      }
      const { pages } = await draw(work, document, tools, {
        signal: context.signal,
        progress: (state) => {
          assertDiskRoom(tools.store);
          context.progress(state);
        },
      });
      await assertDrawnFits(work, fit);
      return { pages };
    }),
    encode: opened(withModel(tools, encode)),
    prefill: opened(withModel(tools, prefill)),
  };
}

/** Before a page is drawn: what all of it will take must be there, of the quota and of the disk. */
async function assertRoomFor(
  { record, reading }: Work,
  { visualTokens }: DocumentSize,
  { models, store, quota }: StepTools,
): Promise<void> {
  const { asked, plan } = reading;
  const needBytes = sumOfBytes(predictBytes(visualTokens, plan, models.info(asked.model)));
  if (quota) {
    const storedBytes = await quota.usedBytes(record.tenant);
    assertWithinQuota(needBytes, { storedBytes }, quota.bytes);
  }
  assertDiskRoom(store, needBytes);
}

function assertDiskRoom({ root, reserveBytes }: ContentStore, needBytes = 0): void {
  assertRoomForWork(root, needBytes, reserveBytes);
}

/** Pages of it were drawn before, so it fits. */
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

type ModelStep = (
  work: Work,
  context: StepContext,
  model: VisionLanguageModel,
  tools: StepTools,
) => Promise<StepResult>;

async function encode(
  work: Work,
  context: StepContext,
  model: VisionLanguageModel,
  tools: StepTools,
): Promise<StepResult> {
  if (await hasContext(work)) return {};
  const { signal, range } = context;
  const { pagesPerJob = 16 } = tools;
  const document = await ensureText(work, signal);
  const { pages } = await draw(work, document, tools, { signal });
  const tokens = tokensFolder(work);
  const missing = pages - (await countEncodedPages(tokens));
  if (context.maySplit && missing > pagesPerJob)
    return { pages, ranges: rangesOf(pages, pagesPerJob) };
  for await (const page of storedPageRange(pagePlace(work), range ?? { start: 0, end: pages })) {
    await context.makeWay();
    signal.throwIfAborted();
    assertDiskRoom(tools.store);
    await ensureEncodedPage(model, tokens, page);
    // Others may be at work on the other pages.
    const pagesDone = Math.min(pages, await countEncodedPages(tokens));
    context.progress({ pagesDone, share: pagesDone / pages });
  }
  return { pages };
}

async function prefill(
  work: Work,
  context: StepContext,
  model: VisionLanguageModel,
  tools: StepTools,
): Promise<StepResult> {
  const { signal } = context;
  const document = await ensureText(work, signal);
  const folder = contextFolder(work);
  if (!(await hasContext(work))) await artifactAt(folder).remove();
  const backend = new LocalBackend(model, {
    contexts: { locate: () => folder },
    openPages: storedParts(work, model, tools),
  });
  const opened = await backend.open(document, work.reading, {
    signal,
    onProgress: (stage, _, share) => {
      if (stage === 'prefill') context.progress({ share });
    },
  });
  await opened.close();
  return finished(context.record, opened.report);
}

/** Pages and visual tokens that the steps before left, made now where they are gone. */
function storedParts(work: Work, model: VisionLanguageModel, tools: StepTools): OpenPages {
  return async (document, _, { signal }) => {
    await draw(work, document, tools, { signal });
    const pages = await openStoredPages(pagePlace(work));
    if (!pages) throw damagedPages();
    const tokens = tokensFolder(work);
    return {
      ...pages,
      visualTokens: async (page) => (await ensureEncodedPage(model, tokens, page)).image,
    };
  };
}

function withModel(tools: StepTools, step: ModelStep) {
  return async (work: Work, context: StepContext): Promise<StepResult> => {
    const { models } = tools;
    const { model: name } = work.reading.asked;
    const model = await models.open(name);
    try {
      return await step(work, context, model, tools);
    } catch (error) {
      // A model whose thread is dead must not fail the next document too.
      if (hasCode(error, 'GP_MODEL_RUNTIME')) await models.reopen(name, model);
      // What is damaged goes, so that the next try makes it anew.
      if (hasCode(error, 'GP_ARTIFACT_DAMAGED')) await artifactAt(pagePlace(work).folder).remove();
      throw error;
    }
  };
}

/** Of equal length but for the last. */
export function rangesOf(pages: number, pagesPerJob: number): PageRange[] {
  return Array.from({ length: Math.ceil(pages / pagesPerJob) }, (_, n) => ({
    start: n * pagesPerJob,
    end: Math.min(pages, (n + 1) * pagesPerJob),
  }));
}

function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof GlyphpressError && error.code === code;
}

/** Page and text are those of one document; the times are those of its steps. */
function finished(record: DocumentRecord, report: CompressionReport): StepResult {
  const { extract, render, encode } = record.stageMs;
  const { pruneMs, prefillMs } = report.timings;
  const timings = { extractMs: extract, renderMs: render, encodeMs: encode, pruneMs, prefillMs };
  const totalMs = Object.values(timings).reduce((sum, ms) => sum + ms, 0);
  const own = { ...report, documentId: record.id, timings: { ...timings, totalMs } };
  return { pages: report.pages, characters: report.characters, report: JSON.stringify(own) };
}

/** The text of a document, extracted once. */
async function ensureText(work: Work, signal: AbortSignal): Promise<SourceDocument> {
  const { record, reading, place } = work;
  const stored = await storedText(work);
  if (stored !== null) return sourceOf(record, stored);
  const { encoding } = reading.asked;
  const text = await place.withUpload(async (upload) => {
    await assertWhole(upload, record.contentHash);
    return extractText(upload, {
      mediaType: record.mediaType,
      name: record.filename ?? 'The document',
      ...(encoding !== undefined && { encoding }),
      signal,
    });
  });
  await storeText(work, text);
  return sourceOf(record, text);
}

/** What came in is all there is: damage to it cannot be mended, and must not be compressed. */
async function assertWhole(upload: string, expected: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(upload)) hash.update(chunk as Buffer);
  if (hash.digest('hex') === expected) return;
  throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: 'The document was damaged in the store before it was read',
    hint: 'Submit it again.',
  });
}

function damagedPages(): GlyphpressError {
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: 'The pages of this document are damaged in the store',
    hint: 'They are drawn again from its text when the step is tried again.',
  });
}

function draw(
  work: Work,
  document: SourceDocument,
  { chromium = chromiumOptions, browsers }: StepTools,
  { signal, progress }: { signal?: AbortSignal | undefined; progress?: StepContext['progress'] },
): Promise<{ pages: number; drawn: number }> {
  const place = pagePlace(work);
  const { renderConfig } = work.reading;
  return ensurePages(document, renderConfig, place, {
    chromium,
    browsers,
    signal,
    onPage: progress,
  });
}
