/** Tries configurations with a model that runs here. Pages are drawn once, read once, asked often. */

import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { scoreAnswer } from '../eval/score.js';
import type { EvalDocument, EvalQuestion } from '../eval/task.js';
import { makeFolder } from '../output-folder.js';
import { decodePage } from '../pipeline/artifacts/page-images.js';
import { answerQuestion } from '../pipeline/backends/answer.js';
import { ensureCompressed, textAccount } from '../pipeline/compress.js';
import { makeSidecar, SIDECAR_VERSION } from '../pipeline/exact-values/sidecar.js';
import { Tally } from '../pipeline/proofing/proofread.js';
import { readPage } from '../pipeline/proofing/read-page.js';
import { decodeDocument, type SourceDocument } from '../pipeline/read-document.js';
import { tokenAccount } from '../pipeline/report.js';
import { blankCells, countBlank, predictEncodedTokens, predictTokens } from '../prune/index.js';
import type { ChromiumOptions, RenderConfig, RenderedPage } from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import { type EncodedImage, LegibilityProbe, type VisionLanguageModel } from '../vlm/index.js';
import type { Evaluator, Spent } from './evaluator.js';
import { PageStore } from './page-store.js';
import { ResultCache } from './result-cache.js';
import { parsedConfig, type Settings, settingsId } from './settings.js';
import type { DocumentScore, Glance } from './trial.js';

/** Raised when the same configuration and text would give other figures. */
const FIGURES_VERSION = 1;

/** Visual tokens of pages that are kept for later rungs of the same generation. */
const ENCODED_BYTES = 256 * 1024 * 1024;

export interface ModelEvaluatorOptions {
  /** For pages and results; several searches may share it. */
  cache: string;
  chromium: () => ChromiumOptions;
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
  readonly #encoded = new Map<string, EncodedImage>();
  #encodedBytes = 0;

  constructor(
    readonly model: VisionLanguageModel,
    readonly options: ModelEvaluatorOptions,
  ) {
    const { dir, layers, checkpointHash } = model.info;
    const { tokenWidth } = model.vision;
    this.layers = layers;
    this.hasProbe = LegibilityProbe.isIn(dir, tokenWidth);
    this.#probe = this.hasProbe ? LegibilityProbe.open(dir, tokenWidth) : null;
    this.key = { backend: 'onnx', model: checkpointHash, figures: String(FIGURES_VERSION) };
    this.#pages = new PageStore(path.join(options.cache, 'pages'), options.chromium, this.spent);
    this.#results = new ResultCache(path.join(options.cache, 'results'));
  }

  glance(
    settings: Settings,
    { text }: EvalDocument,
    leastRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<Glance> {
    const document = decodeDocument(Buffer.from(text), 'the document');
    const key = ['glance', this.key, settingsId(settings), document.hash, leastRenderRatio];
    return this.#results.get(key, () => this.#glance(settings, document, leastRenderRatio, signal));
  }

  score(settings: Settings, document: EvalDocument, signal?: AbortSignal): Promise<DocumentScore> {
    const source = decodeDocument(Buffer.from(document.text), 'the document');
    const questions = sha256Hex(JSON.stringify(document.questions));
    const sidecar = settings.sidecar > 0 ? SIDECAR_VERSION : 0;
    const key = ['score', this.key, settingsId(settings), source.hash, questions, sidecar];
    return this.#results
      .get(key, () => this.#score(settings, source, document.questions, signal))
      .then((score) => ({ document: document.id, ...score }));
  }

  /** Browser, disk and weights fail for every configuration, or for none. */
  async isAlive(): Promise<boolean> {
    return false;
  }

  async firstPage(settings: Settings, { text }: EvalDocument, signal?: AbortSignal) {
    const document = decodeDocument(Buffer.from(text), 'the document');
    return (await this.#pages.pages(document, parsedConfig(settings), signal))[0]!;
  }

  async #glance(
    settings: Settings,
    document: SourceDocument,
    leastRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<Glance> {
    const config = parsedConfig(settings);
    const pages = await this.#pages.pages(document, config, signal);
    const account = await this.#account(settings, document, pages);
    const glance = { pages: pages.length, ...account };
    const isSparse = glance.textTokens < leastRenderRatio * glance.visualTokens;
    if (!this.#probe || isSparse) return { ...glance, characterErrorRate: null };
    const tally = new Tally(document.text, 0);
    for (const page of pages) {
      signal?.throwIfAborted();
      const image = await this.#encode(document, config, page);
      tally.add(page, readPage(this.#probe.read(image), page));
    }
    const sum = (field: 'edits' | 'characters') =>
      tally.pages.reduce((total, page) => total + page[field], 0);
    return {
      ...glance,
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

  async #score(
    settings: Settings,
    document: SourceDocument,
    questions: readonly EvalQuestion[],
    signal?: AbortSignal,
  ): Promise<Omit<DocumentScore, 'document'>> {
    const { model, options } = this;
    const config = parsedConfig(settings);
    const pages = await this.#pages.source(document, config, signal);
    await makeFolder(options.cache);
    const work = await mkdtemp(path.join(options.cache, 'work-'));
    try {
      const { context, report } = await ensureCompressed(
        document,
        { model, renderConfig: config, plan: settings.plan, sidecar: settings.sidecar },
        path.join(work, 'context'),
        {
          chromium: options.chromium,
          pages,
          encodePage: (page) => this.#encode(document, config, page),
          signal,
        },
      );
      this.spent.inferenceMs += report.timings.prefillMs + report.timings.pruneMs;
      const scores: number[] = [];
      try {
        for (const question of questions) {
          const { answer, totalMs } = await answerQuestion(model, context, question.question, {
            maxNewTokens: question.maxNewTokens,
            signal,
          });
          signal?.throwIfAborted();
          this.spent.inferenceMs += totalMs;
          scores.push(scoreAnswer(question.metric, answer, question).value);
        }
      } finally {
        await model.forget(context);
      }
      const { textTokens, visualTokens, contextTokens } = report;
      return { scores, textTokens, visualTokens, contextTokens };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async #encode(
    document: SourceDocument,
    config: RenderConfig,
    page: RenderedPage,
  ): Promise<EncodedImage> {
    const name = `${this.#pages.nameOf(document, config)} ${page.index}`;
    const known = this.#encoded.get(name);
    if (known) return known;
    const start = performance.now();
    const image = await this.model.encodeImage(await decodePage(page.png));
    this.spent.inferenceMs += performance.now() - start;
    this.#encoded.set(name, image);
    this.#encodedBytes += image.tokens.byteLength;
    for (const [oldest, { tokens }] of this.#encoded) {
      if (this.#encodedBytes <= ENCODED_BYTES) break;
      this.#encoded.delete(oldest);
      this.#encodedBytes -= tokens.byteLength;
    }
    return image;
  }
}
