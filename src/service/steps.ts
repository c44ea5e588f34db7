/**
 * The four steps of a document, each skipping what is there already. A step makes sure of what the
 * steps before it left, so that losing a folder costs time and nothing else.
 */

import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ErrorCode, GlyphpressError } from '../errors.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import { CONTEXT_FORM, ensureCompressed } from '../pipeline/compress.js';
import {
  type DrawOptions,
  ensurePages,
  pagesOf,
  readPageIndex,
  storedPages,
} from '../pipeline/drawn-pages.js';
import { ensureEncodedPage } from '../pipeline/encoded-pages.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { DocumentRecord, Stage } from '../queue/document-record.js';
import type { Step, StepContext, StepResult } from '../queue/stage-worker.js';
import {
  type ArtifactForm,
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
export const TEXT_FILE = 'source.txt';

export interface StepTools {
  store: ContentStore;
  models: ModelRegistry;
  chromium?: DrawOptions['chromium'];
  browsers?: number;
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
  const { models } = tools;
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
      for (const [at, { file }] of index.pages.entries()) {
        context.signal.throwIfAborted();
        const png = await readArtifactFile(folder, manifest, file);
        await ensureEncodedPage(model, tokens, { index: at, png });
        context.progress({ pagesDone: at + 1, share: (at + 1) / pages });
      }
      return { pages };
    },

    async prefill(context) {
      const work = open(context.record);
      const document = await ensureText(work, context.signal);
      const model = await tools.models.open(work.settings.model);
      const { folder, key } = pagesAt(work, document);
      const tokens = work.place.tokens(work.resolved.tokensKey);
      const quiet = { ...context, progress: () => {} };
      const { report } = await ensureCompressed(
        document,
        { ...work.resolved, model },
        work.place.context(work.resolved.contextKey),
        {
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
        },
      );
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

async function hasContext({ place, resolved }: Work): Promise<boolean> {
  const folder = place.context(resolved.contextKey);
  return (await readManifest(folder, CONTEXT_FORM).catch(() => null)) !== null;
}
