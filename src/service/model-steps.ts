/** The steps that need the model: pages to visual tokens, and those to contexts. */

import { type ErrorCode, GlyphpressError } from '../errors.js';
import { countEncodedPages, ensureEncodedPage } from '../pipeline/artifacts/encoded-pages.js';
import type { OpenPages } from '../pipeline/artifacts/page-source.js';
import { CONTEXT_FORM, type CompressedBody } from '../pipeline/artifacts/stored-context.js';
import { openStoredPages, storedPageRange } from '../pipeline/artifacts/stored-pages.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import { mergeReports } from '../pipeline/parts/merge-reports.js';
import type { DocumentPart } from '../pipeline/parts/plan-parts.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PageRange } from '../queue/compression-queue.js';
import type { DocumentRecord } from '../queue/document-record.js';
import type { StepContext, StepResult } from '../queue/stage-runner.js';
import { artifactAt, readManifest } from '../store/artifact-folder.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import { documentOfPiece, piecesOf, WholeProgress } from './pieces.js';
import { damagedPages, draw, ensureText } from './step-sources.js';
import { assertDiskRoom, DEFAULT_PAGES_PER_JOB, type StepTools } from './step-tools.js';
import { contextFolder, hasContext, pagePlace, tokensFolder, type Work } from './work.js';

type ModelStep = (
  work: Work,
  context: StepContext,
  model: VisionLanguageModel,
  tools: StepTools,
) => Promise<StepResult>;

export const encodeStep = (tools: StepTools) => withModel(tools, encode);
export const prefillStep = (tools: StepTools) => withModel(tools, prefill);

async function encode(
  work: Work,
  context: StepContext,
  model: VisionLanguageModel,
  tools: StepTools,
): Promise<StepResult> {
  const { range, signal } = context;
  const pieces = piecesOf(work);
  const document = await ensureText(work, signal);
  if (range) {
    const piece = pieceAt(pieces, range);
    if (await hasContext(piece)) return {};
    const { pages } = await draw(piece, document, tools, { signal });
    await encodePages({ piece, pieces, pages, range }, context, model, tools);
    return {};
  }
  const todo: { piece: Work; part: number; pages: number; missing: number }[] = [];
  for (const [part, piece] of pieces.entries()) {
    if (await hasContext(piece)) continue;
    const { pages } = await draw(piece, document, tools, { signal });
    const missing = pages - (await countEncodedPages(tokensFolder(piece)));
    todo.push({ piece, part, pages, missing });
  }
  if (todo.length === 0) return {};
  const { pagesPerJob = DEFAULT_PAGES_PER_JOB } = tools;
  if (context.maySplit && sumOf(todo, ({ missing }) => missing) > pagesPerJob) {
    const ranges = todo.flatMap(({ part, pages }) =>
      rangesOf(pages, pagesPerJob, work.record.parts === null ? undefined : part),
    );
    return { ranges };
  }
  for (const { piece, pages } of todo) {
    const range = { start: 0, end: pages };
    await encodePages({ piece, pieces, pages, range }, context, model, tools);
  }
  return work.record.parts === null ? { pages: todo[0]!.pages } : {};
}

async function encodePages(
  {
    piece,
    pieces,
    pages,
    range,
  }: { piece: Work; pieces: readonly Work[]; pages: number; range: PageRange },
  context: StepContext,
  model: VisionLanguageModel,
  tools: StepTools,
): Promise<void> {
  const tokens = tokensFolder(piece);
  const count = (other: Work) => countEncodedPages(tokensFolder(other));
  const progress = await WholeProgress.open(pieces, piece, count);
  await redrawnIfDamaged(piece, async () => {
    const all = piece.record.parts ? sumOf(piece.record.parts, (part) => part.pages) : pages;
    for await (const page of storedPageRange(pagePlace(piece), range)) {
      await context.makeWay();
      context.signal.throwIfAborted();
      assertDiskRoom(tools.store);
      await ensureEncodedPage(model, tokens, page);
      // Others may be at work on the other pages.
      const own = Math.min(pages, await countEncodedPages(tokens));
      const pagesDone = Math.min(all, progress.total(own));
      context.progress({ pagesDone, share: pagesDone / all });
    }
  });
}

async function prefill(
  work: Work,
  context: StepContext,
  model: VisionLanguageModel,
  tools: StepTools,
): Promise<StepResult> {
  const { signal, range, record } = context;
  const pieces = piecesOf(work);
  const document = await ensureText(work, signal);
  const make = async (piece: Work, part: number) =>
    makeContext(piece, document, model, tools, signal, (share) =>
      context.progress({ share: (part + share) / pieces.length }),
    );
  if (range) {
    await make(pieceAt(pieces, range), range.part ?? 0);
    return {};
  }
  if (record.parts && context.maySplit) return { ranges: rangesOfParts(record.parts) };
  const reports: CompressionReport[] = [];
  for (const [part, piece] of pieces.entries())
    reports.push((await storedReport(piece)) ?? (await make(piece, part)));
  const [first] = reports as [CompressionReport];
  return finished(record, reports.length > 1 ? mergeReports(reports, record.id) : first);
}

/** Of a part that has its context; that of a whole document is opened, and so known to be readable. */
async function storedReport(piece: Work): Promise<CompressionReport | null> {
  if (!piece.part || !(await hasContext(piece))) return null;
  const manifest = await readManifest<CompressedBody>(contextFolder(piece), CONTEXT_FORM);
  return manifest?.body.report ?? null;
}

async function makeContext(
  piece: Work,
  document: SourceDocument,
  model: VisionLanguageModel,
  tools: StepTools,
  signal: AbortSignal,
  onShare: (share: number) => void,
): Promise<CompressionReport> {
  const folder = contextFolder(piece);
  if (!(await hasContext(piece))) await artifactAt(folder).remove();
  const backend = new LocalBackend(model, {
    contexts: { locate: () => folder },
    openPages: storedPages(piece, document, model, tools),
  });
  const opened = await redrawnIfDamaged(piece, () =>
    backend.open(documentOfPiece(document, piece), piece.reading, {
      signal,
      onProgress: (stage, _, share) => {
        if (stage === 'prefill') onShare(share);
      },
    }),
  );
  await opened.close();
  return opened.report;
}

/** Pages and visual tokens that the steps before left, made now where they are gone. */
function storedPages(
  piece: Work,
  document: SourceDocument,
  model: VisionLanguageModel,
  tools: StepTools,
): OpenPages {
  return async (_, __, { signal }) => {
    await draw(piece, document, tools, { signal });
    const pages = await openStoredPages(pagePlace(piece));
    if (!pages) throw damagedPages();
    const tokens = tokensFolder(piece);
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
    const model = (await models.open(name)).inTurnsOf(work.record.tenant);
    try {
      return await step(work, context, model, tools);
    } catch (error) {
      // A model whose thread is dead must not fail the next document too.
      if (hasCode(error, 'GP_MODEL_RUNTIME')) await models.reopen(name, model);
      throw error;
    }
  };
}

/** What is damaged goes, so that the next try makes it anew. */
async function redrawnIfDamaged<T>(piece: Work, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (hasCode(error, 'GP_ARTIFACT_DAMAGED')) await artifactAt(pagePlace(piece).folder).remove();
    throw error;
  }
}

/** Of equal length but for the last. @param part of which the pages are */
export function rangesOf(pages: number, pagesPerJob: number, part?: number): PageRange[] {
  return Array.from({ length: Math.ceil(pages / pagesPerJob) }, (_, n) => ({
    start: n * pagesPerJob,
    end: Math.min(pages, (n + 1) * pagesPerJob),
    ...(part !== undefined && { part }),
  }));
}

/** Each part as one job. */
export function rangesOfParts(parts: readonly DocumentPart[]): PageRange[] {
  return parts.map(({ pages: end }, part) => ({ start: 0, end, part }));
}

function pieceAt(pieces: readonly Work[], { part = 0 }: PageRange): Work {
  const piece = pieces[part];
  if (piece) return piece;
  throw new GlyphpressError('GP_JOB', {
    message: `The job names part ${part} of a document that has ${pieces.length}`,
    hint: 'Something else writes into this Redis under the same prefix.',
  });
}

/** Page and text are those of one document; the times are those of its steps. */
function finished(record: DocumentRecord, report: CompressionReport): StepResult {
  const { extract, render, encode } = record.stageMs;
  const { pruneMs, prefillMs } = report.timings;
  const timings = { extractMs: extract, renderMs: render, encodeMs: encode, pruneMs, prefillMs };
  const totalMs = sumOf(Object.values(timings), (ms) => ms);
  const own = { ...report, documentId: record.id, timings: { ...timings, totalMs } };
  return { pages: report.pages, characters: report.characters, report: JSON.stringify(own) };
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}

function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof GlyphpressError && error.code === code;
}
