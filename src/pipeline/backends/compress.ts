/** Document → compressed context: pages, visual tokens, drops, prefill. */

import path from 'node:path';
import { type PrunePlan, planId } from '../../prune/index.js';
import { type RenderSummary, renderConfigId } from '../../render/index.js';
import type { AnyPlace } from '../../store/place.js';
import type { PrefilledContext, PromptImage, VisionLanguageModel } from '../../vlm/index.js';
import { asStored, storedBytes, writeContext } from '../artifacts/context-file.js';
import { contextKey, textKey } from '../artifacts/keys.js';
import { documentCells, writeCells } from '../artifacts/page-cells.js';
import { type PageRecord, pageRecord, writePages } from '../artifacts/page-folder.js';
import type { OpenPages, PageSource, SourcePage } from '../artifacts/page-source.js';
import {
  readStoredContext,
  type StoredContext,
  writeStoredContext,
} from '../artifacts/stored-context.js';
import type { OpenHooks, ReadingSettings } from '../backend.js';
import { makeSidecar, type Sidecar } from '../exact-values/sidecar.js';
import { assertTokensFit, dropsByContent } from '../predict-tokens.js';
import type { SourceDocument } from '../read-document.js';
import { type CompressionReport, textAccount, tokenAccount } from '../report.js';
import { PageEncoder } from './encode-pages.js';
import { layerDrops, promptImages, Stopwatch } from './prune-hooks.js';

export interface CompressTools {
  model: VisionLanguageModel;
  openPages: OpenPages;
}

export type CompressSettings = ReadingSettings & { plan: PrunePlan };

/** A context as values: the model holds nothing of it until it is asked. */
export interface CompressedContext extends StoredContext {
  /** The span map of a context that lies in no folder. */
  pages?: PageRecord[];
  cached: boolean;
  rebuiltBecause: string | null;
}

/**
 * The context in `folder` if it is whole and made with these settings; else it is made there anew.
 *
 * @param folder null makes it in memory alone
 */
export async function compress(
  document: SourceDocument,
  settings: CompressSettings,
  folder: AnyPlace | null,
  tools: CompressTools,
  hooks: OpenHooks,
): Promise<CompressedContext> {
  if (folder === null) {
    const fresh = await new Compression(document, settings, tools, hooks).inMemory();
    return { ...fresh, cached: false, rebuiltBecause: null };
  }
  const key = contextKey(textKey(document), settings, tools.model.info);
  const stored = await readStoredContext(folder, key);
  if ('context' in stored) return { ...stored, cached: true, rebuiltBecause: null };
  const fresh = await new Compression(document, settings, tools, hooks).intoFolder(folder, key);
  return { ...fresh, cached: false, rebuiltBecause: stored.problem };
}

/** Hands on every page of a source. */
type WalkPages = (source: PageSource, take: (page: SourcePage) => Promise<void>) => Promise<void>;

/** One run through all steps. */
class Compression {
  readonly #start = performance.now();
  readonly #pruning = new Stopwatch();
  readonly #encoder: PageEncoder;
  readonly #sidecar: (Sidecar & { budget: number }) | null;

  constructor(
    private readonly document: SourceDocument,
    private readonly settings: CompressSettings,
    private readonly tools: CompressTools,
    private readonly hooks: OpenHooks,
  ) {
    const { model } = tools;
    const { sidecar: budget = 0 } = settings;
    this.#encoder = new PageEncoder(model, settings.plan);
    this.#sidecar =
      budget > 0
        ? { ...makeSidecar(document.text, budget, (text) => model.countTokens(text)), budget }
        : null;
  }

  async inMemory(): Promise<StoredContext & { pages: PageRecord[] }> {
    let context!: PrefilledContext;
    const pages: PageRecord[] = [];
    const report = await this.#run(
      async (source, take) => {
        for await (const page of source.pages()) {
          pages.push(pageRecord(page));
          await take(page);
        }
      },
      async (prefilled) => {
        context = asStored(prefilled, this.tools.model.info);
      },
    );
    return { report, context, pages };
  }

  intoFolder(folder: AnyPlace, key: Record<string, string>): Promise<StoredContext> {
    const { document, settings, tools } = this;
    const parts = { ...settings, document, model: tools.model.info, sidecar: this.#sidecar };
    return writeStoredContext(folder, key, parts, (temporary) =>
      this.#run(
        async (source, take) => {
          await writePages(source, temporary, document, take);
        },
        async (prefilled, images) => {
          await writeContext(temporary, prefilled, tools.model.info);
          await writeCells(temporary, documentCells(images, prefilled, settings.plan));
        },
      ),
    );
  }

  /** @param keep gets the context while the model holds it, and what of the pages went into it */
  async #run(
    walk: WalkPages,
    keep: (prefilled: PrefilledContext, images: readonly PromptImage[]) => Promise<void>,
  ): Promise<CompressionReport> {
    const summary = await this.#readPages(walk);
    const renderMs = performance.now() - this.#start - this.#encoder.ms;
    const { prefilled, kept, ...prefill } = await this.#prefill();
    try {
      await keep(prefilled, kept);
    } finally {
      // Questions go to the stored form of the context; what the model holds is more exact than that. Not
      // waited for: the model may be busy with another document.
      this.tools.model.forget(prefilled).catch(() => {});
    }
    return this.#report(summary, prefilled, { ...prefill, renderMs });
  }

  async #readPages(walk: WalkPages): Promise<RenderSummary> {
    const { document, settings, tools, hooks } = this;
    const { signal, onProgress } = hooks;
    const encoder = this.#encoder;
    const source = await tools.openPages(document, settings.renderConfig, {
      signal,
      onPage: ({ pagesDone, share }) => onProgress?.('render', pagesDone, share),
    });
    try {
      await this.#assertFits(source);
      await walk(source, async (page) => {
        signal?.throwIfAborted();
        await encoder.add(page, source);
        this.#assertStillFits();
        const share = page.lines.at(-1)!.end / document.text.length;
        onProgress?.('encode', encoder.images.length, share);
      });
      signal?.throwIfAborted();
      return await source.summary();
    } finally {
      await source.close();
    }
  }

  /** Before anything is encoded, so far as the plan lets it be known. */
  async #assertFits(source: PageSource): Promise<void> {
    const { model } = this.tools;
    const { plan } = this.settings;
    if (dropsByContent(plan)) return;
    let visualTokens = 0;
    for await (const page of source.layout()) {
      this.hooks.signal?.throwIfAborted();
      const { rows, cols } = model.visualTokenGrid(page);
      visualTokens += rows * cols;
    }
    assertTokensFit(visualTokens, plan, model.info.maxPositions);
  }

  /** Where cells go by their content, the pages so far tell; how much repeats is known in the end only. */
  #assertStillFits(): void {
    const { plan } = this.settings;
    if (!dropsByContent(plan) || plan.encoder?.repeats === 'drop') return;
    const { visualTokens, blankTokens } = this.#encoder;
    assertTokensFit(visualTokens, plan, this.tools.model.info.maxPositions, blankTokens);
  }

  async #prefill() {
    const { model } = this.tools;
    const { plan, questionFirst } = this.settings;
    const { signal, onProgress } = this.hooks;
    const { images, signals } = this.#encoder;
    const pruning = this.#pruning;
    const kept = pruning.run(() => promptImages(images, plan, model.vision.tokenWidth, signals));
    const encodedTokens = kept.reduce((sum, image) => sum + image.kept.length, 0);
    const start = performance.now();
    const encoderPruneMs = pruning.ms;
    const text = this.#sidecar?.text ?? '';
    const prefilled = await model.prefill(kept, layerDrops(plan, kept, pruning), {
      ...(signal && { signal }),
      onProgress: (done, total) => onProgress?.('prefill', done, done / total),
      ...(text !== '' && { textAfterImages: text }),
      ...(questionFirst !== undefined && { questionFirst }),
    });
    const prefillMs = performance.now() - start - (pruning.ms - encoderPruneMs);
    return { prefilled, kept, encodedTokens, prefillMs };
  }

  #report(
    summary: RenderSummary,
    context: PrefilledContext,
    steps: { encodedTokens: number; renderMs: number; prefillMs: number },
  ): CompressionReport {
    const { document, tools, settings, hooks } = this;
    const { model } = tools;
    const { info } = model;
    const { questionFirst } = settings;
    const { visualTokens, blankTokens, repeatedTokens, images, ms: encodeMs } = this.#encoder;
    const { extractMs = 0 } = hooks;
    const { textTokens, tokenizer } = textAccount(document.text, model);
    return {
      documentId: document.id,
      model: path.basename(info.dir),
      tokenizer,
      renderConfigId: renderConfigId(settings.renderConfig),
      prunePlanId: planId(settings.plan),
      pages: images.length,
      characters: document.text.length,
      ...tokenAccount(textTokens, {
        visualTokens,
        encodedTokens: steps.encodedTokens,
        layerTokens: context.layerVisualTokens,
        sidecarTokens: this.#sidecar?.tokens ?? 0,
        questionTokens: questionFirst === undefined ? 0 : model.countTokens(questionFirst),
      }),
      blankTokens,
      repeatedTokens,
      kvBytes: storedBytes(context, info),
      textKvBytes: textTokens * info.storedKvBytesPerToken,
      ...summary.counts,
      missingSample: summary.missingSample,
      fontSubstitution: summary.fontSubstitution,
      browser: summary.renderer.browser,
      timings: {
        extractMs,
        renderMs: steps.renderMs,
        encodeMs,
        pruneMs: this.#pruning.ms,
        prefillMs: steps.prefillMs,
        totalMs: extractMs + performance.now() - this.#start,
      },
    };
  }
}
