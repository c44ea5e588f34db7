/** Tries configurations with a model behind a server: pages are drawn here and sent whole. */

import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { serverKey } from '../eval/asker.js';
import type { EvalDocument } from '../eval/task.js';
import type { Backend } from '../pipeline/backend.js';
import type { OpenAiBackend } from '../pipeline/backends/openai.js';
import { ServerBackend } from '../pipeline/backends/server.js';
import { visualTokensOf } from '../pipeline/cells.js';
import { makeSidecar } from '../pipeline/exact-values/sidecar.js';
import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { decodeDocument } from '../pipeline/read-document.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import type { ChromiumOptions } from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import type { Evaluator, Spent } from './evaluator.js';
import { withPredictedExpansion } from './expanded-tokens.js';
import { PageStore } from './page-store.js';
import { ResultCache } from './result-cache.js';
import { scoreDocument } from './score-document.js';
import { parsedConfig, type Settings, settingsId } from './settings.js';
import type { DocumentScore, RenderCheck } from './trial.js';

export interface ServerEvaluatorOptions {
  cache: string;
  chromium: () => ChromiumOptions;
  concurrency: number;
  /** Longest answer; a model that thinks aloud needs thousands. */
  maxNewTokens: number;
  /** Every question is asked with passages of the source. @defaultValue none */
  expand?: ExpandSettings | undefined;
}

export class ServerEvaluator implements Evaluator {
  readonly concurrency: number;
  readonly layers = null;
  readonly hasProbe = false;
  readonly key: Readonly<Record<string, string>>;
  readonly spent: Spent = { renderMs: 0, inferenceMs: 0 };
  readonly #pages: PageStore;
  readonly #results: ResultCache;
  readonly expand: Evaluator['expand'];
  readonly #backend: Backend;

  constructor(
    readonly client: OpenAiBackend,
    readonly options: ServerEvaluatorOptions,
  ) {
    const { concurrency, maxNewTokens, chromium, cache, expand } = options;
    this.#pages = new PageStore(path.join(cache, 'pages'), chromium, this.spent);
    const server = new ServerBackend(client, { openPages: this.#pages.open, concurrency });
    this.expand = expand;
    this.#backend = expand ? new ExpandingBackend(server, expand) : server;
    this.concurrency = this.#backend.concurrency;
    this.key = serverKey(this.#backend, maxNewTokens);
    this.#results = new ResultCache(path.join(options.cache, 'results'));
  }

  /** Nothing reads the page: `characterErrorRate` is null. */
  async checkRendering(
    settings: Settings,
    asked: EvalDocument,
    _minRenderRatio: number,
    signal?: AbortSignal,
  ): Promise<RenderCheck> {
    const { text } = asked;
    const document = decodeDocument(Buffer.from(text), 'the document');
    const pages = await this.#pages.pages(document, parsedConfig(settings), signal);
    const visualTokens = visualTokensOf(pages, parsedConfig(settings).visualTokenPx);
    const sidecar = makeSidecar(text, settings.sidecar, countTextTokens);
    const check = {
      pages: pages.length,
      textTokens: countTextTokens(text),
      visualTokens,
      contextTokens: visualTokens + sidecar.tokens,
      characterErrorRate: null,
    };
    const { expand } = this.options;
    // A model that can read lines by itself does so where it is left to it.
    const byItself = expand?.method === 'auto' ? { ...expand, method: 'tool' as const } : expand;
    return withPredictedExpansion(check, asked, byItself);
  }

  score(settings: Settings, document: EvalDocument, signal?: AbortSignal): Promise<DocumentScore> {
    const questions = sha256Hex(JSON.stringify(document.questions));
    const key = ['score', this.key, settingsId(settings), sha256Hex(document.text), questions];
    const source = decodeDocument(Buffer.from(document.text), 'the document');
    const score = () =>
      scoreDocument(this.#backend, source, settings, document.questions, {
        maxNewTokens: this.options.maxNewTokens,
        signal,
        onInference: (ms) => {
          this.spent.inferenceMs += ms;
        },
      });
    return this.#results.get(key, score).then((found) => ({ document: document.id, ...found }));
  }

  /** A server that answers, if only that it has no list of models, may have disliked the pages. */
  async isAlive(signal?: AbortSignal): Promise<boolean> {
    try {
      await this.client.listModels({ signal });
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
}
