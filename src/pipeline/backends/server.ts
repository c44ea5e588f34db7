/** A model behind a server: pages are drawn here and sent whole with every question. */

import { GlyphpressError } from '../../errors.js';
import { type RenderConfig, type RenderSummary, renderConfigId } from '../../render/index.js';
import { confidenceOf } from '../../vlm/index.js';
import type { Key } from '../artifacts/keys.js';
import { type PageRecord, pageRecord } from '../artifacts/page-folder.js';
import { type DrawOptions, drawPages, type OpenPages } from '../artifacts/page-source.js';
import type {
  Answer,
  AskOptions,
  Backend,
  OpenDocument,
  OpenHooks,
  ReadingSettings,
} from '../backend.js';
import { visualTokensOf } from '../cells.js';
import { chromiumOptions } from '../chromium-options.js';
import { type CitedDocument, citeDocuments } from '../citing/cite-documents.js';
import { finalAnswer } from '../citing/final-answer.js';
import { saysNotFound } from '../citing/says-not-found.js';
import { makeSidecar, type Sidecar } from '../exact-values/sidecar.js';
import { withPassages } from '../expanding/passages-prompt.js';
import type { SourceReader } from '../expanding/source-reader.js';
import type { SourceDocument } from '../read-document.js';
import { type CompressionReport, tokenAccount } from '../report.js';
import { countTextTokens, DEFAULT_TEXT_TOKENIZER } from '../text-tokens.js';
import { closedError } from './local-document.js';
import type { OpenAiAnswer, OpenAiAskOptions, OpenAiBackend } from './openai.js';
import { askWithReader } from './tool-rounds.js';

export interface ServerBackendOptions {
  /** @defaultValue the one that is found on this machine */
  chromium?: DrawOptions['chromium'] | undefined;
  browsers?: DrawOptions['browsers'];
  /** @defaultValue pages are drawn for every opening anew, and held in memory */
  openPages?: OpenPages | undefined;
  /** Documents asked side by side. @defaultValue 1 */
  concurrency?: number | undefined;
}

export class ServerBackend implements Backend {
  readonly concurrency: number;
  readonly modelName: string;
  readonly key: Readonly<Key>;
  readonly #openPages: OpenPages;

  constructor(
    readonly client: OpenAiBackend,
    { openPages, concurrency = 1, chromium = chromiumOptions, browsers }: ServerBackendOptions = {},
  ) {
    this.concurrency = concurrency;
    this.modelName = client.model;
    this.key = { backend: `openai ${client.baseUrl}`, model: client.model };
    this.#openPages = openPages ?? drawPages({ chromium, browsers });
  }

  /** @throws {GlyphpressError} GP_USAGE for settings that only a model here can follow */
  async open(
    document: SourceDocument,
    settings: ReadingSettings,
    { signal, onProgress, extractMs = 0 }: OpenHooks = {},
  ): Promise<ServerDocument> {
    assertServerCan(settings);
    const { renderConfig, sidecar: budget = 0 } = settings;
    const start = performance.now();
    const source = await this.#openPages(document, renderConfig, {
      signal,
      onPage: ({ pagesDone, share }) => onProgress?.('render', pagesDone, share),
    });
    try {
      const pngs: Buffer[] = [];
      const records: PageRecord[] = [];
      for await (const page of source.pages()) {
        signal?.throwIfAborted();
        pngs.push(page.png);
        records.push(pageRecord(page));
        const share = records.at(-1)!.end / document.text.length;
        if (!source.cached) onProgress?.('render', pngs.length, share);
      }
      const summary = await source.summary();
      const renderMs = performance.now() - start;
      const sidecar = makeSidecar(document.text, budget, countTextTokens);
      const report = serverReport(this.modelName, document, renderConfig, {
        pages: records,
        summary,
        sidecar,
        timings: { extractMs, renderMs },
      });
      return new ServerDocument(
        this.client,
        document,
        { pngs, records, sidecar, report },
        source.cached,
      );
    } finally {
      await source.close();
    }
  }
}

type Reply = Omit<OpenAiAnswer, 'attempts'>;

interface SentPages {
  pngs: readonly Buffer[];
  records: readonly PageRecord[];
  sidecar: Sidecar;
  report: CompressionReport;
}

export class ServerDocument implements OpenDocument {
  readonly rebuiltBecause = null;
  readonly report: CompressionReport;
  readonly sources: readonly CitedDocument[];
  #sent: SentPages | null;

  constructor(
    private readonly client: OpenAiBackend,
    document: SourceDocument,
    sent: SentPages,
    /** The pages were drawn before. */
    readonly cached: boolean,
  ) {
    this.#sent = sent;
    this.report = sent.report;
    this.sources = [{ text: async () => document.text, pages: async () => sent.records }];
  }

  get heldBytes(): number {
    return this.#sent?.pngs.reduce((sum, png) => sum + png.byteLength, 0) ?? 0;
  }

  async ask(question: string, options: AskOptions = {}): Promise<Answer> {
    const sent = this.#sent;
    if (!sent) throw closedError();
    return this.#answerOf(await this.#reply(sent, question, options), question, options);
  }

  /** Asks with the source at hand: by tools, or in two steps. @throws as {@link ask} */
  async askWithReader(
    question: string,
    reader: SourceReader,
    options: AskOptions = {},
  ): Promise<Answer> {
    const sent = this.#sent;
    if (!sent) throw closedError();
    const { pngs, sidecar } = sent;
    const ask = (asked: OpenAiAskOptions) =>
      askWithReader(this.client, pngs, question, reader, asked);
    const { reading, ...reply } = await this.#asked(sidecar, options, ask);
    const answer = await this.#answerOf(reply, question, options);
    return { ...answer, usage: { ...answer.usage, ...(reading && { reading }) } };
  }

  async #answerOf(
    { answer, finishReason, usage, firstTokenMs, totalMs }: Reply,
    question: string,
    { citations = false }: AskOptions,
  ): Promise<Answer> {
    return {
      answer,
      found: !saysNotFound(finalAnswer(answer)),
      // A server does not say how likely its tokens were.
      ...confidenceOf(null, null),
      logProb: null,
      citations: citations ? await citeDocuments(answer, question, this.sources) : [],
      finishReason,
      usage,
      timings: { firstTokenMs, totalMs },
    };
  }

  async close(): Promise<void> {
    this.#sent = null;
  }

  #reply({ pngs, sidecar }: SentPages, question: string, options: AskOptions): Promise<Reply> {
    const asked = withPassages(question, options.passages);
    return this.#asked(sidecar, options, (given) => this.client.ask(pngs, asked, given));
  }

  /** What was said when it was stopped is an answer, too. */
  async #asked<Said extends Reply>(
    sidecar: Sidecar,
    { signal, stop, onText, maxNewTokens, temperature }: AskOptions,
    ask: (options: OpenAiAskOptions) => Promise<Said>,
  ): Promise<Said | (Reply & { reading?: undefined })> {
    const started = performance.now();
    const signals = [signal, stop].filter((one) => one !== undefined);
    let firstTokenMs: number | null = null;
    let said = '';
    try {
      return await ask({
        ...(sidecar.text !== '' && { textAfterPages: sidecar.text }),
        ...(maxNewTokens !== undefined && { maxNewTokens }),
        // What stands there when it is stopped must have come piece by piece.
        stream: onText !== undefined || stop !== undefined,
        onText: (text) => {
          firstTokenMs ??= performance.now() - started;
          said += text;
          onText?.(text);
        },
        ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
        ...(temperature !== undefined && { temperature }),
      });
    } catch (error) {
      if (!stop?.aborted || signal?.aborted) throw error;
      const totalMs = performance.now() - started;
      return {
        answer: said.trim(),
        finishReason: 'aborted',
        usage: { promptTokens: null, completionTokens: null },
        firstTokenMs: firstTokenMs ?? totalMs,
        totalMs,
      };
    }
  }
}

function assertServerCan({ plan, questionFirst }: ReadingSettings): void {
  const drops = plan !== undefined && (plan.encoder !== undefined || plan.decoder.length > 0);
  if (!drops && questionFirst === undefined) return;
  throw new GlyphpressError('GP_USAGE', {
    message: drops
      ? 'A server cannot prune: it takes whole pages'
      : 'A server orders its prompt by itself: the question cannot stand before the pages',
    hint: 'Use a model that runs here, or leave that setting out.',
  });
}

/** The server owns the visual tokens: none is dropped, and its cache is not ours to count. */
function serverReport(
  model: string,
  document: SourceDocument,
  config: RenderConfig,
  {
    pages,
    summary,
    sidecar,
    timings: { extractMs, renderMs },
  }: {
    pages: readonly PageRecord[];
    summary: RenderSummary;
    sidecar: Sidecar;
    timings: { extractMs: number; renderMs: number };
  },
): CompressionReport {
  const visualTokens = visualTokensOf(pages, config.visualTokenPx);
  return {
    documentId: document.id,
    model,
    tokenizer: DEFAULT_TEXT_TOKENIZER,
    renderConfigId: renderConfigId(config),
    prunePlanId: 'none',
    pages: pages.length,
    characters: document.text.length,
    ...tokenAccount(countTextTokens(document.text), {
      visualTokens,
      encodedTokens: visualTokens,
      layerTokens: [],
      sidecarTokens: sidecar.tokens,
    }),
    blankTokens: null,
    repeatedTokens: null,
    kvBytes: null,
    textKvBytes: null,
    ...summary.counts,
    missingSample: summary.missingSample,
    fontSubstitution: summary.fontSubstitution,
    browser: summary.renderer.browser,
    timings: {
      extractMs,
      renderMs,
      encodeMs: 0,
      pruneMs: 0,
      prefillMs: 0,
      totalMs: extractMs + renderMs,
    },
  };
}
