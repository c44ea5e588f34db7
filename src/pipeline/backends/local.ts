/** The model that runs here: reads pages into a context, and answers over it. */

import path from 'node:path';
import type { PrunePlan } from '../../prune/index.js';
import {
  DocumentRendering,
  fitToCells,
  type LaidOutPage,
  type RenderConfig,
  type RenderOptions,
} from '../../render/index.js';
import { readArtifactFile, readManifest } from '../../store/artifact-folder.js';
import type { AnyPlace } from '../../store/place.js';
import { LegibilityProbe, type VisionLanguageModel } from '../../vlm/index.js';
import { contextKey, type Key, modelKey, textKey } from '../artifacts/keys.js';
import { PAGES_FILE, type PageRecord, parsePageIndex } from '../artifacts/page-folder.js';
import { type DrawOptions, drawPages, type OpenPages } from '../artifacts/page-source.js';
import {
  CONTEXT_FORM,
  openStoredContext,
  SOURCE_FILE,
  storedReport,
} from '../artifacts/stored-context.js';
import type { Backend, OpenHooks, ReadingSettings } from '../backend.js';
import { chromiumOptions } from '../chromium-options.js';
import type { CitedDocument } from '../citing/cite-documents.js';
import { type Transcription, transcribeDocument } from '../proofing/transcribe.js';
import type { SourceDocument } from '../read-document.js';
import { type CompressionReport, type ReportSoFar, textOnlyReport } from '../report.js';
import { type CompressSettings, compress } from './compress.js';
import { type JoinedDocument, joinDocuments } from './join-documents.js';
import { LocalDocument } from './local-document.js';

/** Where contexts lie that are to stay. */
export interface ContextPlace {
  /** Where the context with this key lies, a path for its folder; it need not be there yet. */
  locate(key: Key): AnyPlace | Promise<AnyPlace>;
}

/** A document of which nothing was opened. */
export interface KnownDocument {
  report: ReportSoFar;
  /** Its context is stored. */
  cached: boolean;
  cited: CitedDocument;
}

export interface LocalBackendOptions {
  /** @defaultValue the one that is found on this machine */
  chromium?: DrawOptions['chromium'] | undefined;
  browsers?: DrawOptions['browsers'];
  /** @defaultValue contexts are made in memory, and gone when the document is closed */
  contexts?: ContextPlace | undefined;
  /** @defaultValue pages are drawn for every context anew */
  openPages?: OpenPages | undefined;
}

const NOTHING_DROPPED: PrunePlan = { decoder: [] };

export class LocalBackend implements Backend {
  readonly concurrency = 1;
  readonly modelName: string;
  readonly key: Readonly<Key>;
  readonly #contexts: ContextPlace | undefined;
  readonly #drawing: DrawOptions;
  readonly #openPages: OpenPages;

  /** @param model stays its opener's to close */
  constructor(
    readonly model: VisionLanguageModel,
    { contexts, openPages, chromium = chromiumOptions, browsers }: LocalBackendOptions = {},
  ) {
    this.modelName = path.basename(model.info.dir);
    this.key = { backend: 'onnx', ...modelKey(model.info) };
    this.#contexts = contexts;
    this.#drawing = { chromium, browsers };
    this.#openPages = openPages ?? drawPages(this.#drawing);
  }

  async open(
    document: SourceDocument,
    settings: ReadingSettings,
    hooks: OpenHooks = {},
  ): Promise<LocalDocument> {
    const { model } = this;
    const { questionFirst } = settings;
    const whole = this.#resolved(settings);
    // Before pages are drawn and encoded for nothing.
    if (questionFirst !== undefined) model.checkQuestionFirst(questionFirst);
    // The context of one question is worth no place where it would stay.
    const folder =
      this.#contexts && questionFirst === undefined
        ? await this.#contexts.locate(contextKey(textKey(document), whole, model.info))
        : null;
    const tools = { model, openPages: this.#openPages };
    const { pages, ...compressed } = await compress(document, whole, folder, tools, hooks);
    const cited: CitedDocument = {
      text: async () => document.text,
      pages: async () => pages ?? (folder === null ? [] : readPages(folder)),
    };
    return new LocalDocument(model, compressed, [cited]);
  }

  /**
   * What is known of a document before a page of it is read: what a stored context says of it, else what
   * its text does.
   *
   * @param mayLayOut whether pages are laid out for places that are to be shown on them
   */
  async known(
    document: SourceDocument,
    settings: ReadingSettings,
    { extractMs = 0, mayLayOut }: { extractMs?: number; mayLayOut: boolean },
  ): Promise<KnownDocument> {
    const whole = this.#resolved(settings);
    const { info } = this.model;
    const key = contextKey(textKey(document), whole, info);
    const folder = (await this.#contexts?.locate(key)) ?? null;
    const report = folder === null ? null : await storedReport(folder, key);
    const text = async () => document.text;
    if (folder !== null && report)
      return { report, cached: true, cited: { text, pages: () => readPages(folder) } };
    let laidOut: Promise<LaidOutPage[]> | null = null;
    const pages = async (isNeeded = false) => {
      if (isNeeded && mayLayOut) laidOut ??= this.#layOut(document, whole.renderConfig);
      return laidOut;
    };
    return {
      report: textOnlyReport(document, this.model, whole, extractMs),
      cached: false,
      cited: { text, pages },
    };
  }

  /**
   * A context that was made before, with whatever settings.
   *
   * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED where there is none
   */
  async openStored(folder: AnyPlace): Promise<LocalDocument> {
    const stored = await openStoredContext(folder);
    return new LocalDocument(this.model, { ...stored, cached: true, rebuiltBecause: null }, [
      citedFolder(folder),
    ]);
  }

  /**
   * Several documents in one context, in the order that they are named.
   *
   * @param report makes that of all from the layers of the context
   * @throws {GlyphpressError} GP_CONTEXT_LENGTH for more rows than the model holds
   */
  async openJoint(
    documents: readonly (JoinedDocument & { cited: CitedDocument })[],
    plan: PrunePlan,
    report: (layerVisualTokens: readonly number[]) => CompressionReport,
  ): Promise<LocalDocument> {
    const context = await joinDocuments(this.model, plan, documents);
    const compressed = {
      context,
      report: report(context.layerVisualTokens),
      cached: false,
      rebuiltBecause: null,
    };
    return new LocalDocument(
      this.model,
      compressed,
      documents.map(({ cited }) => cited),
    );
  }

  /** Page by page as the legibility probe reads it. @throws {GlyphpressError} GP_CHECKPOINT without one */
  transcribe(
    document: SourceDocument,
    config: RenderConfig,
    options: Omit<RenderOptions, 'chromium'> = {},
  ): AsyncGenerator<Transcription> {
    const drawing = { ...this.#drawing, chromium: this.#drawing.chromium() };
    return transcribeDocument(document, config, this.model, { ...drawing, ...options });
  }

  async #layOut({ text }: SourceDocument, config: RenderConfig): Promise<LaidOutPage[]> {
    const chromium = this.#drawing.chromium();
    const rendering = new DocumentRendering(text, config, { chromium, browsers: 1 });
    try {
      const pages: LaidOutPage[] = [];
      for await (const page of rendering.layout()) pages.push(page);
      return pages;
    } finally {
      await rendering.close();
    }
  }

  /** Settings that were not resolved for this model may be written for cells of another size. */
  #resolved(settings: ReadingSettings): CompressSettings {
    const { plan = NOTHING_DROPPED } = settings;
    const { vision } = this.model.info;
    const renderConfig = vision
      ? fitToCells(settings.renderConfig, vision.cellPx)
      : settings.renderConfig;
    return { ...settings, plan, renderConfig };
  }

  /** Whether its visual tokens can be read as characters, without a question. */
  get hasLegibilityProbe(): boolean {
    const { dir, vision } = this.model.info;
    return vision !== null && LegibilityProbe.isIn(dir, vision.tokenWidth);
  }
}

/** Text and span map of a compressed folder, read when they are needed. */
function citedFolder(folder: AnyPlace): CitedDocument {
  return {
    text: async () => (await contextFile(folder, SOURCE_FILE))?.toString('utf8') ?? '',
    pages: () => readPages(folder),
  };
}

async function readPages(folder: AnyPlace): Promise<readonly PageRecord[]> {
  const index = await contextFile(folder, PAGES_FILE);
  return index ? parsePageIndex(index).pages : [];
}

/** Null where the folder holds no context any more: another process may have removed it. */
async function contextFile(folder: AnyPlace, file: string): Promise<Buffer | null> {
  const manifest = await readManifest(folder, CONTEXT_FORM);
  return manifest ? readArtifactFile(folder, manifest, file) : null;
}
