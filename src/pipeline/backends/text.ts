/**
 * The model that runs here, reading documents as plain text: no pages, nothing dropped. The honest baseline
 * of every page, and the way of models that have no vision tower.
 */
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import type { PrefilledContext, VisionLanguageModel } from '../../vlm/index.js';
import { type Key, modelKey } from '../artifacts/keys.js';
import type { Backend, OpenHooks, ReadingSettings } from '../backend.js';
import type { SourceDocument } from '../read-document.js';
import { type CompressionReport, textAccount } from '../report.js';
import { LocalDocument } from './local-document.js';

/** Stands in the report where pages have the name of their rendering, and of their plan. */
const AS_TEXT = 'text';

export class TextBackend implements Backend {
  readonly concurrency = 1;
  readonly modelName: string;
  readonly key: Readonly<Key>;

  /** @param model stays its opener's to close */
  constructor(readonly model: VisionLanguageModel) {
    this.modelName = path.basename(model.info.dir);
    this.key = { backend: 'onnx', form: AS_TEXT, ...modelKey(model.info) };
  }

  /** @throws {GlyphpressError} GP_USAGE for settings of pages, besides those of the interface */
  async open(
    document: SourceDocument,
    settings: ReadingSettings,
    { signal, onProgress, extractMs = 0 }: OpenHooks = {},
  ): Promise<LocalDocument> {
    checkSettings(settings);
    const { model } = this;
    const start = performance.now();
    const context = await model.prefill([], [], {
      textAfterImages: `${document.text.trimEnd()}\n\n`,
      ...(signal && { signal }),
      onProgress: (done, total) => onProgress?.('prefill', done, done / total),
    });
    const prefillMs = performance.now() - start;
    const report = textReport(document, model, context, { extractMs, prefillMs });
    return new LocalDocument(model, { context, report, cached: false, rebuiltBecause: null }, [
      { text: async () => document.text, pages: async () => [] },
    ]);
  }
}

function checkSettings({ plan, sidecar, questionFirst }: ReadingSettings): void {
  const drops = plan !== undefined && (plan.encoder !== undefined || plan.decoder.length > 0);
  const asked = drops
    ? 'a prune plan'
    : sidecar
      ? 'a sidecar'
      : questionFirst !== undefined && 'the question first';
  if (!asked) return;
  throw new GlyphpressError('GP_USAGE', {
    message: `Read as text, a document has no visual tokens: ${asked} means nothing`,
    hint: 'Leave it out, or read the document as pages.',
  });
}

function textReport(
  document: SourceDocument,
  model: VisionLanguageModel,
  { promptTokens }: PrefilledContext,
  { extractMs, prefillMs }: { extractMs: number; prefillMs: number },
): CompressionReport {
  const account = textAccount(document.text, model);
  const kvBytesPerRow = model.info.storedKvBytesPerToken;
  return {
    documentId: document.id,
    model: path.basename(model.info.dir),
    renderConfigId: AS_TEXT,
    prunePlanId: AS_TEXT,
    characters: document.text.length,
    ...account,
    pages: 0,
    visualTokens: 0,
    encodedTokens: 0,
    layerTokens: [],
    contextTokens: account.textTokens,
    finalTokens: account.textTokens,
    sidecarTokens: 0,
    questionTokens: 0,
    blankTokens: null,
    repeatedTokens: null,
    renderRatio: 1,
    pruneRatio: 1,
    stackedRatio: 1,
    kvBytes: promptTokens * kvBytesPerRow,
    textKvBytes: account.textTokens * kvBytesPerRow,
    missingGlyphs: 0,
    controlCharacters: 0,
    invisibleCharacters: 0,
    missingSample: [],
    fontSubstitution: null,
    browser: '',
    timings: {
      extractMs,
      renderMs: 0,
      encodeMs: 0,
      pruneMs: 0,
      prefillMs,
      totalMs: extractMs + prefillMs,
    },
  };
}
