/**
 * The four steps of a document, each skipping what is there already. A step makes sure of what the
 * steps before it left, so that losing a folder costs time and nothing else.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ErrorCode, GlyphpressError } from '../errors.js';
import {
  type DrawOptions,
  ensurePages,
  pagesOf,
  readPageIndex,
  storedPages,
} from '../pipeline/artifacts/drawn-pages.js';
import { countEncodedPages, ensureEncodedPage } from '../pipeline/artifacts/encoded-pages.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { CONTEXT_FORM, ensureCompressed } from '../pipeline/compress.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PageRange } from '../queue/compression-queue.js';
import type { DocumentRecord, Stage } from '../queue/document-record.js';
import type { Step, StepContext, StepResult } from '../queue/stage-runner.js';
import {
  type ArtifactForm,
  isWholeArtifact,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../store/artifact-folder.js';
import type { ContentPlace, ContentStore } from './content-store.js';
import {
  type DocumentSettings,
  type ResolvedSettings,
  resolveSettings,
} from './document-settings.js';
import { EXTRACTOR_VERSION, extractText } from './extract.js';
import type { ModelRegistry } from './models.js';

const TEXT_FORM: ArtifactForm = { kind: 'glyphpress-text', version: 1 };
const TEXT_FILE = 'source.txt';

export interface StepTools {
  store: ContentStore;
  models: ModelRegistry;
  chromium?: DrawOptions['chromium'] | undefined;
  browsers?: number | undefined;
  /** Pages that one job encodes, so that several workers share a long document. @defaultValue 16 */
  pagesPerJob?: number | undefined;
}

/** A document with all that its record leads to. */
export interface Work {
  record: DocumentRecord;
  settings: DocumentSettings;
  resolved: ResolvedSettings;
  place: ContentPlace;
}

/** @throws {GlyphpressError} GP_MODEL_UNKNOWN and others, for a service with another set-up */
export function openWork(record: DocumentRecord, { store, models }: StepTools): Work {
  const settings = settingsOf(record);
  return {
    record,
    settings,
    resolved: resolveSettings(settings, models.info(settings.model), {
      mediaType: record.mediaType,
      extractorVersion: EXTRACTOR_VERSION,
    }),
    place: store.place(record.tenant, record.contentHash),
  };
}

export function compressionSteps(tools: StepTools): Record<Stage, Step> {
  const open = (record: DocumentRecord) => openWork(record, tools);
  const { models, pagesPerJob = 16 } = tools;
  const steps: Record<Stage, Step> = {
    async extract({ record, signal }) {
      const { text } = await ensureText(open(record), signal);
      return { characters: text.length };
    },

    async render(context) {
      const work = open(context.record);
      if (await hasContext(work)) return {};
      const document = await ensureText(work, context.signal);
      const { pages } = await draw(work, document, tools, context);
      return { pages };
    },

    async encode(context) {
      const work = open(context.record);
      if (await hasContext(work)) return {};
      const document = await ensureText(work, context.signal);
      const { folder, key } = pagesAt(work, document);
      const { pages } = await draw(work, document, tools, { ...context, progress: () => {} });
      const model = await tools.models.open(work.settings.model);
      const manifest = (await storedPages(folder, key))!;
      const index = await readPageIndex(folder, manifest);
      const tokens = work.place.tokens(work.resolved.tokensKey);
      const missing = pages - (await countEncodedPages(tokens));
      if (context.maySplit && missing > pagesPerJob)
        return { pages, ranges: rangesOf(pages, pagesPerJob) };
      const { start, end } = context.range ?? { start: 0, end: pages };
      for (const [at, { file }] of index.pages.slice(start, end).entries()) {
        context.signal.throwIfAborted();
        const png = await readArtifactFile(folder, manifest, file);
        await ensureEncodedPage(model, tokens, { index: start + at, png });
        // Others may be at work on the other pages.
        const pagesDone = Math.min(pages, await countEncodedPages(tokens));
        context.progress({ pagesDone, share: pagesDone / pages });
      }
      return { pages };
    },

    async prefill(context) {
      const work = open(context.record);
      const document = await ensureText(work, context.signal);
      const stored = work.place.context(work.resolved.contextKey);
      if (!(await hasContext(work))) await rm(stored, { recursive: true, force: true });
      const model = await tools.models.open(work.settings.model);
      const { folder, key } = pagesAt(work, document);
      const tokens = work.place.tokens(work.resolved.tokensKey);
      const quiet = { ...context, progress: () => {} };
      const { report } = await ensureCompressed(document, { ...work.resolved, model }, stored, {
        chromium: tools.chromium ?? chromiumOptions,
        signal: context.signal,
        pages: async (...rest) => {
          await draw(work, document, tools, quiet);
          return pagesOf(folder, key)(...rest);
        },
        encodePage: async (page) => (await ensureEncodedPage(model, tokens, page)).image,
        onProgress: (step, _, share) => {
          if (step === 'prefill') context.progress({ share });
        },
      });
      return finished(context.record, report);
    },
  };
  for (const stage of ['encode', 'prefill'] as const) {
    const step = steps[stage];
    steps[stage] = async (context) => {
      const { model: name } = settingsOf(context.record);
      const model = await models.open(name);
      try {
        return await step(context);
      } catch (error) {
        // A model whose thread is dead must not fail the next document too.
        if (hasCode(error, 'GP_MODEL_RUNTIME')) await models.reopen(name, model);
        // What is damaged goes, so that the next try makes it anew.
        if (hasCode(error, 'GP_ARTIFACT_DAMAGED')) {
          const { place, resolved } = open(context.record);
          await rm(place.pages(resolved.pagesKey), { recursive: true, force: true });
        }
        throw error;
      }
    };
  }
  return steps;
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

function settingsOf(record: DocumentRecord): DocumentSettings {
  return JSON.parse(record.settings) as DocumentSettings;
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
async function ensureText(
  { record, settings, resolved, place }: Work,
  signal: AbortSignal,
): Promise<SourceDocument> {
  const folder = place.text(resolved.textKey);
  const { contentHash: hash } = record;
  const id = `doc_${hash.slice(0, 24)}`;
  const stored = await readText(folder);
  if (stored !== null) return { id, hash, text: stored };
  await assertWhole(place.upload, hash);
  const text = await extractText(place.upload, {
    mediaType: record.mediaType,
    name: record.filename ?? 'The document',
    ...(settings.encoding !== undefined && { encoding: settings.encoding }),
    signal,
  });
  const key = { document: hash, text: resolved.textKey };
  await writeArtifact(folder, TEXT_FORM, key, async (temporary) => {
    await writeFile(path.join(temporary, TEXT_FILE), text);
    return { characters: text.length };
  });
  return { id, hash, text };
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

async function readText(folder: string): Promise<string | null> {
  try {
    const manifest = await readManifest(folder, TEXT_FORM);
    if (!manifest) return null;
    return (await readArtifactFile(folder, manifest, TEXT_FILE)).toString('utf8');
  } catch (error) {
    if (error instanceof GlyphpressError) return null; // damaged: extracted again
    throw error;
  }
}

/** The text as far as it was extracted; null before that. */
export function storedText(
  place: ContentPlace,
  resolved: ResolvedSettings,
): Promise<string | null> {
  return readText(place.text(resolved.textKey));
}

function pagesAt({ resolved, place }: Work, document: SourceDocument) {
  const key = { document: document.hash, pages: resolved.pagesKey };
  return { folder: place.pages(resolved.pagesKey), key };
}

function draw(
  work: Work,
  document: SourceDocument,
  { chromium = chromiumOptions, browsers }: StepTools,
  { signal, progress }: Pick<StepContext, 'signal' | 'progress'>,
): Promise<{ pages: number; drawn: number }> {
  const { folder, key } = pagesAt(work, document);
  return ensurePages(document, work.resolved.renderConfig, folder, key, {
    chromium,
    signal,
    ...(browsers !== undefined && { browsers }),
    onPage: progress,
  });
}

/** Every byte of it is looked at: handing a document in again is how a damaged one is mended. */
async function hasContext({ place, resolved }: Work): Promise<boolean> {
  const folder = place.context(resolved.contextKey);
  return isWholeArtifact(folder, CONTEXT_FORM);
}
