/** Document → compressed context: pages, visual tokens, drops, prefill, all kept in one folder. */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import {
  blankCells,
  cellsLeftByContent,
  countBlank,
  describePlan,
  needsSignals,
  type PageSignals,
  type PrunePlan,
  pageSignals,
  planId,
  predictEncodedTokens,
} from '../prune/index.js';
import {
  type ChromiumOptions,
  type RenderConfig,
  type RenderedPage,
  type RenderSummary,
  renderConfigId,
  renderingId,
} from '../render/index.js';
import {
  type ArtifactForm,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../store/artifact-folder.js';
import { differingParts } from '../store/artifact-key.js';
import type { EncodedImage, PrefilledContext, VisionLanguageModel } from '../vlm/index.js';
import { CONTEXT_FILE, readContext, writeContext } from './artifacts/context-file.js';
import { decodePage } from './artifacts/page-images.js';
import { layerDrops, promptImages, Stopwatch } from './backends/prune-hooks.js';
import { makeSidecar, SIDECAR_VERSION, type Sidecar } from './exact-values/sidecar.js';
import type { DocumentFile } from './inputs/document-files.js';
import { type SourceDocument, sha256Hex } from './read-document.js';
import { type RenderToFolderOptions, writePages } from './render-to-folder.js';
import { type CompressionReport, tokenAccount } from './report.js';
import { countTextTokens, DEFAULT_TEXT_TOKENIZER } from './text-tokens.js';

/** The one form of a compressed folder; raised when its files change meaning. */
export const CONTEXT_FORM: ArtifactForm = { kind: 'glyphpress-context', version: 1 };

export const SOURCE_FILE = 'source.txt';
export const REPORT_FILE = 'report.json';
export const SIDECAR_FILE = 'sidecar.txt';

export interface CompressSettings {
  renderConfig: RenderConfig;
  plan: PrunePlan;
  model: VisionLanguageModel;
  /** Text tokens for exact values beside the visual tokens. @defaultValue 0 */
  sidecar?: number;
  /** The one question of the context, where it stands before the pages too; see question-first.ts. */
  questionFirst?: string;
}

export interface CompressedBody {
  documentId: string;
  documentHash: string;
  renderConfig: RenderConfig;
  plan: PrunePlan;
  modelDir: string;
  report: CompressionReport;
  /** What the document was made of; absent where that was not told. */
  files?: readonly DocumentFile[];
  /** What `--sidecar` asked for, and what it gave. */
  sidecar?: Sidecar & { budget: number };
}

export type CompressStage = 'render' | 'encode' | 'prefill';

export interface CompressHooks {
  chromium: () => ChromiumOptions;
  browsers?: number | undefined;
  /** Time already spent on reading the document. */
  extractMs?: number;
  onProgress?: ((stage: CompressStage, done: number, share: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Where pages come from instead of a browser: they were drawn before. */
  pages?: PageSource;
  /** Gives the visual tokens of a page instead of the model: they were made before. */
  encodePage?: (page: RenderedPage) => Promise<EncodedImage>;
}

/** Puts pages and their index into `folder` and hands each to `take`, as {@link writePages} does. */
export type PageSource = (
  folder: string,
  options: Pick<RenderToFolderOptions, 'onPage' | 'signal'>,
  take: (page: RenderedPage) => Promise<void>,
) => Promise<RenderSummary>;

export interface CompressedContext {
  report: CompressionReport;
  context: PrefilledContext;
  /** The context was there already. */
  cached: boolean;
  /** Why one that was there could not be used. */
  rebuiltBecause: string | null;
}

/** What a context depends on. */
export function contextKey(
  document: SourceDocument,
  settings: CompressSettings,
): Record<string, string> {
  return {
    document: document.hash,
    text: sha256Hex(document.text),
    rendering: renderingId(settings.renderConfig),
    checkpoint: settings.model.info.checkpointHash,
    prunePlan: planId(settings.plan),
    ...(settings.sidecar && { sidecar: `${settings.sidecar} v${SIDECAR_VERSION}` }),
    ...(settings.questionFirst !== undefined && {
      questionFirst: sha256Hex(settings.questionFirst),
    }),
  };
}

/** The context in `folder` if it is whole and made with these settings; else it is made there anew. */
export async function ensureCompressed(
  document: SourceDocument,
  settings: CompressSettings,
  folder: string,
  hooks: CompressHooks,
): Promise<CompressedContext> {
  const key = contextKey(document, settings);
  const stored = await loadStored(folder, key);
  if ('context' in stored) return { ...stored, cached: true, rebuiltBecause: null };
  const fresh = await compressToFolder(document, settings, folder, hooks);
  return { ...fresh, cached: false, rebuiltBecause: stored.problem };
}

type Stored = { report: CompressionReport; context: PrefilledContext } | { problem: string | null };

async function loadStored(folder: string, key: Record<string, string>): Promise<Stored> {
  try {
    const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM);
    if (!manifest) return { problem: null };
    const differing = differingParts(manifest.key, key);
    if (differing.length > 0)
      return { problem: `it was made with another ${differing.join(', ')}` };
    const bytes = await readArtifactFile(folder, manifest, CONTEXT_FILE);
    return { report: manifest.body.report, context: readContext(bytes) };
  } catch (error) {
    if (isArtifactProblem(error)) return { problem: error.message };
    throw error;
  }
}

function isArtifactProblem(error: unknown): error is Error {
  const code = (error as { code?: unknown }).code;
  return code === 'GP_ARTIFACT_DAMAGED' || code === 'GP_ARTIFACT_MISMATCH';
}

/** Runs every step and writes the folder; see {@link ensureCompressed} for re-use. */
async function compressToFolder(
  document: SourceDocument,
  settings: CompressSettings,
  folder: string,
  hooks: CompressHooks,
): Promise<{ report: CompressionReport; context: PrefilledContext }> {
  const { renderConfig, plan, model } = settings;
  let context!: PrefilledContext;
  const key = contextKey(document, settings);
  const { body } = await writeArtifact(folder, CONTEXT_FORM, key, async (temporary) => {
    await writeFile(path.join(temporary, SOURCE_FILE), document.text);
    const { sidecar: budget = 0 } = settings;
    const sidecar =
      budget > 0 ? makeSidecar(document.text, budget, (text) => model.countTokens(text)) : null;
    if (sidecar) await writeFile(path.join(temporary, SIDECAR_FILE), sidecar.text);
    const report = await compressInto(temporary, document, settings, hooks, sidecar);
    // Read back: a fresh context answers with the same rounded values as a stored one. From here,
    // because another process may replace the finished folder at any time.
    context = readContext(await readFile(path.join(temporary, CONTEXT_FILE)));
    await writeFile(path.join(temporary, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
    return {
      documentId: document.id,
      documentHash: document.hash,
      renderConfig,
      plan: { id: plan.id ?? describePlan(plan), ...plan },
      modelDir: model.info.dir,
      report,
      ...(document.files && { files: document.files }),
      ...(sidecar && { sidecar: { ...sidecar, budget } }),
    };
  });
  return { report: body.report, context };
}

async function compressInto(
  folder: string,
  document: SourceDocument,
  { renderConfig, plan, model, questionFirst }: CompressSettings,
  hooks: CompressHooks,
  sidecar: Sidecar | null,
): Promise<CompressionReport> {
  const { signal, onProgress, extractMs = 0 } = hooks;
  const { info } = model;
  const start = performance.now();

  const encoded: EncodedImage[] = [];
  const signals: PageSignals[] = [];
  const readsPixels = needsSignals(plan);
  const dropsRepeats = plan.encoder?.repeats === 'drop';
  let visualTokens = 0;
  let blankTokens = 0;
  let encodeMs = 0;
  const pages: PageSource =
    hooks.pages ??
    ((folder, options, take) => {
      const { browsers } = hooks;
      const all = { ...options, chromium: hooks.chromium(), browsers };
      return writePages(document, renderConfig, folder, all, take);
    });
  const summary = await pages(
    folder,
    { signal, onPage: ({ pagesDone, share }) => onProgress?.('encode', pagesDone, share) },
    async (rendered) => {
      const from = performance.now();
      const image = await decodePage(rendered.png);
      const grid = model.visualTokenGrid(image);
      if (readsPixels)
        signals.push(pageSignals(image, grid, rendered.lines, { hashes: dropsRepeats }));
      blankTokens += countBlank(readsPixels ? signals.at(-1)! : { blank: blankCells(image, grid) });
      const page = hooks.encodePage
        ? await hooks.encodePage(rendered)
        : await model.encodeImage(image);
      encoded.push(page);
      visualTokens += page.tokenGrid.rows * page.tokenGrid.cols;
      // How much repeats is known in the end only; prefill counts again.
      if (!dropsRepeats) assertFits(visualTokens, blankTokens, plan, info.maxPositions);
      encodeMs += performance.now() - from;
    },
  );
  const renderMs = performance.now() - start - encodeMs;

  const pruning = new Stopwatch();
  const images = pruning.run(() => promptImages(encoded, plan, model.vision.tokenWidth, signals));
  const prefillStart = performance.now();
  const encoderPruneMs = pruning.ms;
  const context = await model.prefill(images, layerDrops(plan, images, pruning), {
    signal,
    onProgress: (done, total) => onProgress?.('prefill', done, done / total),
    ...(sidecar && sidecar.text !== '' && { textAfterImages: sidecar.text }),
    ...(questionFirst !== undefined && { questionFirst }),
  });
  const prefillMs = performance.now() - prefillStart - (pruning.ms - encoderPruneMs);
  const kvBytes = await writeContext(folder, context, info);

  const { textTokens, tokenizer } = textAccount(document.text, model);
  // Two numbers (key and value) of two bytes, for each head, dimension and layer.
  const kvBytesPerToken = info.layers * info.kvHeads * info.headDim * 2 * 2;
  return {
    documentId: document.id,
    model: path.basename(info.dir),
    tokenizer,
    renderConfigId: renderConfigId(renderConfig),
    prunePlanId: planId(plan),
    pages: encoded.length,
    characters: document.text.length,
    ...tokenAccount(textTokens, {
      visualTokens,
      encodedTokens: images.reduce((sum, { kept }) => sum + kept.length, 0),
      layerTokens: context.layerVisualTokens,
      sidecarTokens: sidecar?.tokens ?? 0,
      questionTokens: questionFirst === undefined ? 0 : model.countTokens(questionFirst),
    }),
    blankTokens,
    repeatedTokens: dropsRepeats ? countRepeated(encoded, signals) : null,
    kvBytes,
    textKvBytes: textTokens * kvBytesPerToken,
    ...summary.counts,
    missingSample: summary.missingSample,
    fontSubstitution: summary.fontSubstitution,
    browser: summary.renderer.browser,
    timings: {
      extractMs,
      renderMs,
      encodeMs,
      pruneMs: pruning.ms,
      prefillMs,
      totalMs: extractMs + performance.now() - start,
    },
  };
}

/** Said as soon as it is known, not after hours of encoding. */
function assertFits(
  visualTokens: number,
  blankTokens: number,
  plan: PrunePlan,
  limit: number,
): void {
  const { encoder } = plan;
  const dropsBlank = encoder?.method === 'blank' || encoder?.blank === 'drop';
  const rows = predictEncodedTokens(visualTokens, plan, dropsBlank ? blankTokens : 0);
  if (rows <= limit) return;
  throw new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `The document takes more than ${rows} visual tokens; this model holds ${limit}`,
    hint: 'Render more densely, prune more right after the encoder, or split the document.',
    details: { visualTokens: rows, limit },
  });
}

function countRepeated(pages: readonly EncodedImage[], signals: readonly PageSignals[]): number {
  const content = signals.map((signals) => ({ grid: signals.grid, signals }));
  const left = cellsLeftByContent(content, {
    encoder: { method: 'norm', keepRatio: 1, repeats: 'drop' },
    decoder: [],
  });
  const cells = pages.reduce((sum, { tokenGrid }) => sum + tokenGrid.rows * tokenGrid.cols, 0);
  return cells - left.reduce((sum, kept) => sum + kept.length, 0);
}

/** Vocabularies below this are of bytes or letters: nobody pays for text in such tokens. */
const LEAST_TEXT_VOCABULARY = 1_000;

/** T in the model's own tokenizer; for a reader that knows bytes only, in o200k_base. */
export function textAccount(text: string, model: VisionLanguageModel) {
  const { info } = model;
  if (info.tokenizerVocabulary < LEAST_TEXT_VOCABULARY) {
    return { textTokens: countTextTokens(text), tokenizer: DEFAULT_TEXT_TOKENIZER };
  }
  return { textTokens: model.countTokens(text), tokenizer: path.basename(info.dir) };
}
