/** Question → answer through a model server: pages are drawn here, read there. */

import type { ChromiumOptions, RenderConfig } from '../../render/index.js';
import { renderConfigId, renderingId } from '../../render/index.js';
import {
  type ArtifactForm,
  type Manifest,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../../store/artifact-folder.js';
import { keyName } from '../../store/artifact-key.js';
import { touchEntry } from '../../store/cache-entries.js';
import { confidenceOf } from '../../vlm/index.js';
import { PAGES_FILE, pageFileName, pagesOfIndex } from '../artifacts/page-folder.js';
import { citeAnswer } from '../citing/citations.js';
import { finalAnswer } from '../citing/final-answer.js';
import { saysNotFound } from '../citing/says-not-found.js';
import { CONTEXT_FORM, type CompressStage } from '../compress.js';
import { makeSidecar } from '../exact-values/sidecar.js';
import { type SourceDocument, sha256Hex } from '../read-document.js';
import { type RenderResult, renderToFolder } from '../render-to-folder.js';
import { type CompressionReport, tokenAccount } from '../report.js';
import { countTextTokens } from '../text-tokens.js';
import type { AskResult } from './answer.js';
import type { AskTarget } from './ask-model.js';
import type { OpenAiBackend } from './openai.js';

/** Pages of a document, without a context. */
export const PAGES_FORM: ArtifactForm = { kind: 'glyphpress-pages', version: 1 };

export interface AskServerOptions {
  /** The name that the report gives the model. */
  model: string;
  chromium: () => ChromiumOptions;
  browsers?: number | undefined;
  extractMs: number;
  /** The server's own limit if left out. */
  maxNewTokens?: number | undefined;
  /** Text tokens (o200k_base) for exact values beside the pages. @defaultValue 0 */
  sidecar?: number;
  temperature?: number;
  signal?: AbortSignal | undefined;
  /** The compressed folder that is asked, if it is one. */
  compressed?: AskTarget['compressed'];
  /** Where pages are kept between questions, by a name made from document and config. */
  pagesFolder: (name: string) => string;
  onProgress?: ((stage: CompressStage, done: number, share: number) => void) | undefined;
  onText?: ((text: string) => void) | undefined;
}

export async function askServer(
  document: SourceDocument,
  config: RenderConfig,
  question: string,
  backend: OpenAiBackend,
  options: AskServerOptions,
): Promise<AskResult> {
  const start = performance.now();
  const { folder, manifest, facts, cached } = await ensurePages(document, config, options);
  const loadMs = options.extractMs + performance.now() - start;
  const pages = pagesOf(folder, manifest, facts.pages);
  const sidecar = makeSidecar(document.text, options.sidecar ?? 0, countTextTokens);
  const reply = await backend.ask(pages, question, {
    ...(sidecar.text !== '' && { textAfterPages: sidecar.text }),
    ...(options.maxNewTokens !== undefined && { maxNewTokens: options.maxNewTokens }),
    stream: options.onText !== undefined,
    ...(options.onText && { onText: options.onText }),
    ...(options.signal && { signal: options.signal }),
    ...(options.temperature !== undefined && { temperature: options.temperature }),
  });
  const readPages = async () => pagesOfIndex(await readArtifactFile(folder, manifest, PAGES_FILE));
  return {
    answer: reply.answer,
    found: !saysNotFound(finalAnswer(reply.answer)),
    // A server does not say how likely its tokens were.
    ...confidenceOf(null, null),
    citations: await citeAnswer(reply.answer, question, document.text, readPages),
    report: serverReport(facts, config, options, sidecar.tokens),
    usage: reply.usage,
    timings: { loadMs, firstTokenMs: reply.firstTokenMs, totalMs: loadMs + reply.totalMs },
    cached,
    questionFirst: false,
    finishReason: reply.finishReason,
  };
}

/** Pages on disk, and what drawing them told. */
interface DrawnPages {
  folder: string;
  manifest: Manifest<unknown>;
  facts: DrawingFacts;
  cached: boolean;
}

type DrawingFacts = Omit<
  RenderResult,
  | 'renderer'
  | 'browserRestarts'
  | 'pagesPerSecond'
  | 'renderRatio'
  | 'renderConfigId'
  | 'blankTokens'
  | 'inkedRatio'
> & {
  browser: string;
};

async function ensurePages(
  document: SourceDocument,
  config: RenderConfig,
  options: AskServerOptions,
): Promise<DrawnPages> {
  const key = {
    document: document.hash,
    text: sha256Hex(document.text),
    rendering: renderingId(config),
  };
  const own = options.compressed && (await pagesOfCompressed(options.compressed, key.rendering));
  if (own) return own;
  const folder = options.pagesFolder(keyName(key));
  const stored = await readManifest<RenderResult>(folder, PAGES_FORM).catch(() => null);
  if (stored && (await isWhole(folder, stored, stored.body.pages))) {
    await touchEntry(folder);
    return { folder, manifest: stored, facts: factsOf(stored.body), cached: true };
  }
  const manifest = await writeArtifact(folder, PAGES_FORM, key, (temporary) =>
    renderToFolder(document, config, temporary, {
      chromium: options.chromium(),
      browsers: options.browsers,
      signal: options.signal,
      onPage: ({ pagesDone, share }) => options.onProgress?.('render', pagesDone, share),
    }),
  );
  return { folder, manifest, facts: factsOf(manifest.body), cached: false };
}

/** A compressed folder has its pages already; null if they were drawn otherwise, or are damaged. */
async function pagesOfCompressed(
  { folder, key, body: { report } }: NonNullable<AskTarget['compressed']>,
  rendering: string,
): Promise<DrawnPages | null> {
  if (key.rendering !== rendering) return null;
  const manifest = await readManifest(folder, CONTEXT_FORM);
  if (!manifest || !(await isWhole(folder, manifest, report.pages))) return null;
  const facts = { ...report, renderMs: report.timings.renderMs };
  return { folder, manifest, facts, cached: true };
}

function factsOf(result: RenderResult): DrawingFacts {
  return { ...result, browser: result.renderer.browser };
}

async function isWhole(
  folder: string,
  manifest: Manifest<unknown>,
  pages: number,
): Promise<boolean> {
  try {
    for await (const _ of pagesOf(folder, manifest, pages));
    return true;
  } catch {
    return false;
  }
}

async function* pagesOf(
  folder: string,
  manifest: Manifest<unknown>,
  pages: number,
): AsyncGenerator<Buffer> {
  for (let page = 0; page < pages; page++) {
    yield await readArtifactFile(folder, manifest, pageFileName(page));
  }
}

/** The server owns the visual tokens: none is dropped, and its cache is not ours to count. */
function serverReport(
  rendered: DrawingFacts,
  config: RenderConfig,
  options: AskServerOptions,
  sidecarTokens: number,
): CompressionReport {
  const { visualTokens } = rendered;
  return {
    documentId: rendered.documentId,
    model: options.model,
    tokenizer: rendered.tokenizer,
    renderConfigId: renderConfigId(config),
    prunePlanId: 'none',
    pages: rendered.pages,
    characters: rendered.characters,
    ...tokenAccount(rendered.textTokens, {
      visualTokens,
      encodedTokens: visualTokens,
      layerTokens: [],
      sidecarTokens,
    }),
    blankTokens: null,
    repeatedTokens: null,
    kvBytes: null,
    textKvBytes: null,
    missingGlyphs: rendered.missingGlyphs,
    controlCharacters: rendered.controlCharacters,
    invisibleCharacters: rendered.invisibleCharacters,
    missingSample: rendered.missingSample,
    fontSubstitution: rendered.fontSubstitution,
    browser: rendered.browser,
    timings: {
      extractMs: options.extractMs,
      renderMs: rendered.renderMs,
      encodeMs: 0,
      pruneMs: 0,
      prefillMs: 0,
      totalMs: options.extractMs + rendered.renderMs,
    },
  };
}
