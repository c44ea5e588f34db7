/** Tries configurations with a model behind a server: pages are drawn here and sent whole. */

import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { serverKey } from '../eval/asker.js';
import { scoreAnswer } from '../eval/score.js';
import type { EvalDocument } from '../eval/task.js';
import type { OpenAiBackend } from '../pipeline/backends/openai.js';
import { visualTokensOf } from '../pipeline/cells.js';
import { makeSidecar } from '../pipeline/exact-values/sidecar.js';
import { decodeDocument } from '../pipeline/read-document.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import type { ChromiumOptions } from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import type { Evaluator, Spent } from './evaluator.js';
import { PageStore } from './page-store.js';
import { ResultCache } from './result-cache.js';
import { parsedConfig, type Settings, settingsId } from './settings.js';
import type { DocumentScore, Glance } from './trial.js';

export interface ServerEvaluatorOptions {
  cache: string;
  chromium: () => ChromiumOptions;
  concurrency: number;
  /** Longest answer; a model that thinks aloud needs thousands. */
  maxNewTokens: number;
}

export class ServerEvaluator implements Evaluator {
  readonly concurrency: number;
  readonly layers = null;
  readonly hasProbe = false;
  readonly key: Readonly<Record<string, string>>;
  readonly spent: Spent = { renderMs: 0, inferenceMs: 0 };
  readonly #pages: PageStore;
  readonly #results: ResultCache;

  constructor(
    readonly backend: OpenAiBackend,
    readonly options: ServerEvaluatorOptions,
  ) {
    this.concurrency = options.concurrency;
    this.key = serverKey(backend, options.maxNewTokens);
    this.#pages = new PageStore(path.join(options.cache, 'pages'), options.chromium, this.spent);
    this.#results = new ResultCache(path.join(options.cache, 'results'));
  }

  /** Nothing reads the page: `characterErrorRate` is null. */
  async glance(
    settings: Settings,
    { text }: EvalDocument,
    _leastRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<Glance> {
    const document = decodeDocument(Buffer.from(text), 'the document');
    const pages = await this.#pages.pages(document, parsedConfig(settings), signal);
    const visualTokens = visualTokensOf(pages);
    const sidecar = makeSidecar(text, settings.sidecar, countTextTokens);
    return {
      pages: pages.length,
      textTokens: countTextTokens(text),
      visualTokens,
      contextTokens: visualTokens + sidecar.tokens,
      characterErrorRate: null,
    };
  }

  score(settings: Settings, document: EvalDocument, signal?: AbortSignal): Promise<DocumentScore> {
    const questions = sha256Hex(JSON.stringify(document.questions));
    const key = ['score', this.key, settingsId(settings), sha256Hex(document.text), questions];
    return this.#results
      .get(key, () => this.#score(settings, document, signal))
      .then((score) => ({ document: document.id, ...score }));
  }

  /** A server that answers, if only that it has no list of models, may have disliked the pages. */
  async isAlive(signal?: AbortSignal): Promise<boolean> {
    try {
      await this.backend.listModels({ signal });
      return true;
    } catch (error) {
      if (!(error instanceof GlyphpressError)) throw error;
      if (error.code === 'GP_BACKEND_RESPONSE') return true;
      const { status } = error.details;
      return error.code === 'GP_BACKEND_REQUEST' && status !== 401 && status !== 403;
    }
  }

  async firstPage(settings: Settings, { text }: EvalDocument, signal?: AbortSignal) {
    const document = decodeDocument(Buffer.from(text), 'the document');
    return (await this.#pages.pages(document, parsedConfig(settings), signal))[0]!;
  }

  async #score(
    settings: Settings,
    document: EvalDocument,
    signal?: AbortSignal,
  ): Promise<Omit<DocumentScore, 'document'>> {
    const { backend, options } = this;
    const source = decodeDocument(Buffer.from(document.text), 'the document');
    const pages = await this.#pages.pages(source, parsedConfig(settings), signal);
    const sidecar = makeSidecar(document.text, settings.sidecar, countTextTokens);
    const scores: number[] = [];
    for (const question of document.questions) {
      const { answer, totalMs } = await backend.ask(
        pages.map(({ png }) => png),
        question.question,
        {
          maxNewTokens: options.maxNewTokens,
          stream: false,
          ...(sidecar.text !== '' && { textAfterPages: sidecar.text }),
          signal,
        },
      );
      this.spent.inferenceMs += totalMs;
      scores.push(scoreAnswer(question.metric, answer, question).value);
    }
    const visualTokens = visualTokensOf(pages);
    return {
      scores,
      textTokens: countTextTokens(document.text),
      visualTokens,
      contextTokens: visualTokens + sidecar.tokens,
    };
  }
}
