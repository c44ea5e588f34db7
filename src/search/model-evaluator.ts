/** Tries configurations with a model that runs here. Pages are drawn once, read once, asked often. */

import path from 'node:path';
import type { EvalDocument } from '../eval/task.js';
import { decodePage } from '../pipeline/artifacts/page-images.js';
import type { Backend } from '../pipeline/backend.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import { makeSidecar, SIDECAR_VERSION } from '../pipeline/exact-values/sidecar.js';
import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { Tally } from '../pipeline/proofing/proofread.js';
import { readPage } from '../pipeline/proofing/read-page.js';
import { decodeDocument, type SourceDocument } from '../pipeline/read-document.js';
import { textAccount, tokenAccount } from '../pipeline/report.js';
import { blankCells, countBlank, predictEncodedTokens, predictTokens } from '../prune/index.js';
import {
  type ChromiumOptions,
  fitToCells,
  type RenderConfig,
  type RenderedPage,
  renderingId,
} from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import { type EncodedImage, LegibilityProbe, type VisionLanguageModel } from '../vlm/index.js';
import type { Evaluator, Spent } from './evaluator.js';
import { withPredictedExpansion } from './expanded-tokens.js';
import { PageStore } from './page-store.js';
import { ResultCache } from './result-cache.js';
import { scoreDocument } from './score-document.js';
import { parsedConfig, type Settings, settingsId } from './settings.js';
import type { DocumentScore, RenderCheck } from './trial.js';
import { VisualTokenMemory } from './visual-token-memory.js';

/** Raised when the same configuration and text would give other figures. */
const FIGURES_VERSION = 1;

/** Visual tokens of pages that are kept for later rungs of the same generation. */
const ENCODED_BYTES = 256 * 1024 * 1024;

export interface ModelEvaluatorOptions {
  /** For pages and results; several searches may share it. */
  cache: string;
  chromium: () => ChromiumOptions;
  /** Every question is asked with passages of the source. @defaultValue none */
  expand?: ExpandSettings | undefined;
}

export class ModelEvaluator implements Evaluator {
  readonly concurrency = 1;
  readonly layers: number;
  readonly hasProbe: boolean;
  readonly key: Readonly<Record<string, string>>;
  readonly spent: Spent = { renderMs: 0, inferenceMs: 0 };
  readonly #pages: PageStore;
  readonly #results: ResultCache;
  readonly #probe: LegibilityProbe | null;
  readonly expand: Evaluator['expand'];
  /** Answers, with passages where they are wanted. */
  readonly #asked: Backend;
  readonly #visualTokens = new VisualTokenMemory(ENCODED_BYTES);

  constructor(
    readonly model: VisionLanguageModel,
    readonly options: ModelEvaluatorOptions,
  ) {
    const { dir, layers } = model.info;
    this.layers = layers;
    this.#pages = new PageStore(path.join(options.cache, 'pages'), options.chromium, this.spent);
    const backend = new LocalBackend(model, {
      openPages: async (document, config, options) => ({
        ...(await this.#pages.open(document, config, options)),
        visualTokens: (page) => this.#encode(document, config, page),
      }),
    });
    const { expand } = options;
    this.expand = expand;
    this.#asked = expand ? new ExpandingBackend(backend, expand) : backend;
    this.hasProbe = backend.hasLegibilityProbe;
    this.#probe = this.hasProbe ? LegibilityProbe.open(dir, model.vision.tokenWidth) : null;
    this.key = { ...this.#asked.key, figures: String(FIGURES_VERSION) };
    this.#results = new ResultCache(path.join(options.cache, 'results'));
  }

  checkRendering(
    settings: Settings,
    asked: EvalDocument,
    minRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<RenderCheck> {
    const document = decodeDocument(Buffer.from(asked.text), 'the document');
    // The word under which stored results are found.
    const key = ['glance', this.key, settingsId(settings), document.hash, minRenderRatio];
    // Passages depend on the questions.
    const byQuestions = this.expand ? [questionsHash(asked)] : [];
    return this.#results.get([...key, ...byQuestions], async () => {
      const check = await this.#checkRendering(settings, document, minRenderRatio, signal);
      return withPredictedExpansion(check, asked, this.options.expand);
    });
  }

  score(settings: Settings, document: EvalDocument, signal?: AbortSignal): Promise<DocumentScore> {
    const source = decodeDocument(Buffer.from(document.text), 'the document');
    const questions = questionsHash(document);
    const sidecar = settings.sidecar > 0 ? SIDECAR_VERSION : 0;
    const key = ['score', this.key, settingsId(settings), source.hash, questions, sidecar];
    const score = () =>
      scoreDocument(this.#asked, source, settings, document.questions, {
        signal,
        onInference: (ms) => {
          this.spent.inferenceMs += ms;
        },
      });
    return this.#results.get(key, score).then((found) => ({ document: document.id, ...found }));
  }

  /** Browser, disk and weights fail for every configuration, or for none. */
  async isAlive(): Promise<boolean> {
    return false;
  }

  async firstPage(settings: Settings, { text }: EvalDocument, signal?: AbortSignal) {
    const document = decodeDocument(Buffer.from(text), 'the document');
    return (await this.#pages.pages(document, this.#configOf(settings), signal))[0]!;
  }

  #configOf(settings: Settings): RenderConfig {
    return fitToCells(parsedConfig(settings), this.model.vision.cellPx);
  }

  async #checkRendering(
    settings: Settings,
    document: SourceDocument,
    minRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<RenderCheck> {
    const config = this.#configOf(settings);
    const pages = await this.#pages.pages(document, config, signal);
    const account = await this.#account(settings, document, pages);
    const counts = { pages: pages.length, ...account };
    const isSparse = counts.textTokens < minRenderRatio * counts.visualTokens;
    if (!this.#probe || isSparse) return { ...counts, characterErrorRate: null };
    const tally = new Tally(document.text, 0);
    for (const page of pages) {
      signal?.throwIfAborted();
      const image = await this.#encode(document, config, page);
      tally.add(page, readPage(this.#probe.read(image), page));
    }
    const sum = (field: 'edits' | 'characters') =>
      tally.pages.reduce((total, page) => total + page[field], 0);
    return {
      ...counts,
      characterErrorRate: Math.min(1, sum('edits') / Math.max(1, sum('characters'))),
    };
  }

  /** What the plan leaves of the pages, known without the model: counts depend on counts only. */
  async #account(
    { plan, sidecar }: Settings,
    document: SourceDocument,
    pages: readonly RenderedPage[],
  ) {
    const { model } = this;
    let visualTokens = 0;
    let blank = 0;
    const dropsBlank = plan.encoder?.method === 'blank' || plan.encoder?.blank === 'drop';
    for (const page of pages) {
      const grid = model.visualTokenGrid(page);
      visualTokens += grid.rows * grid.cols;
      if (dropsBlank) blank += countBlank({ blank: blankCells(await decodePage(page.png), grid) });
    }
    const encodedTokens = predictEncodedTokens(visualTokens, plan, blank);
    const { layerTokens } = predictTokens(encodedTokens, this.layers, plan);
    const count = (text: string) => model.countTokens(text);
    const beside = sidecar > 0 ? makeSidecar(document.text, sidecar, count).tokens : 0;
    const { textTokens, contextTokens } = tokenAccount(
      textAccount(document.text, model).textTokens,
      {
        visualTokens,
        encodedTokens,
        layerTokens,
        sidecarTokens: beside,
      },
    );
    return { textTokens, visualTokens, contextTokens };
  }

  #encode(
    document: SourceDocument,
    config: RenderConfig,
    page: RenderedPage,
  ): Promise<EncodedImage> {
    const name = `${document.hash} ${renderingId(config)} ${page.index}`;
    return this.#visualTokens.get(name, async () => {
      const start = performance.now();
      const image = await this.model.encodeImage(await decodePage(page.png));
      this.spent.inferenceMs += performance.now() - start;
      return image;
    });
  }
}

const questionsHash = ({ questions }: EvalDocument) => sha256Hex(JSON.stringify(questions));
