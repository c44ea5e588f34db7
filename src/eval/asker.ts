/** Opens the documents of a run and asks about them, on any backend. */

import { EVIDENCE_VERSION } from '../pipeline/answer-evidence.js';
import type { Backend, OpenDocument, ReadingSettings } from '../pipeline/backend.js';
import { LocalBackend, type LocalBackendOptions } from '../pipeline/backends/local.js';
import type { OpenAiBackend } from '../pipeline/backends/openai.js';
import { ServerBackend, type ServerBackendOptions } from '../pipeline/backends/server.js';
import { TextBackend } from '../pipeline/backends/text.js';
import { countExpanded } from '../pipeline/expanding/count-expanded.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { joinLines, type ReadLine } from '../pipeline/proofing/read-page.js';
import { decodeDocument, type SourceDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PrunePlan } from '../prune/index.js';
import type { RenderConfig } from '../render/index.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import type { AskerOptions, OpenedDocument, Reply } from './opened-document.js';
import { openPassages } from './passages-opening.js';
import type { EvalDocument, EvalQuestion } from './task.js';

export type { OpenedDocument, Reply };

export interface Asker {
  /** Documents that may be open side by side. */
  readonly concurrency: number;
  /** Questions by the legibility probe can be asked. */
  readonly hasProbe?: boolean;
  /** Documents may be opened as text, see {@link EvalDocument.as}. */
  readonly readsText?: boolean;
  /** What the answers depend on, apart from the questions. */
  readonly key: Record<string, string>;
  /** @param document that the text is of */
  open(
    text: string,
    config: RenderConfig,
    signal: AbortSignal | undefined,
    document: EvalDocument,
  ): Promise<OpenedDocument>;
}

/** A model with fewer entries reads letters, not words: it was trained on pages alone. */
const MIN_WORD_VOCABULARY = 1_000;

export class ModelAsker implements Asker {
  readonly concurrency: number;
  readonly hasProbe: boolean;
  readonly readsText: boolean;
  readonly key: Record<string, string>;
  readonly #backend: LocalBackend;
  /** The same, with passages beside the pages where they are wanted. */
  readonly #asked: Backend;

  constructor(
    readonly model: VisionLanguageModel,
    readonly plan: PrunePlan,
    planName: string,
    readonly options: AskerOptions & Pick<LocalBackendOptions, 'chromium' | 'browsers'>,
  ) {
    const { chromium, browsers, sidecar, maxNewTokens, expand } = options;
    this.#backend = new LocalBackend(model, { chromium, browsers });
    this.#asked = expand ? new ExpandingBackend(this.#backend, expand) : this.#backend;
    this.concurrency = this.#backend.concurrency;
    this.hasProbe = this.#backend.hasLegibilityProbe;
    this.readsText = model.info.tokenizerVocabulary >= MIN_WORD_VOCABULARY;
    this.key = {
      ...this.#asked.key,
      prunePlan: planName,
      evidence: `v${EVIDENCE_VERSION}`,
      maxNewTokens: String(maxNewTokens ?? 'as the question says'),
      ...(sidecar && { sidecar: String(sidecar) }),
    };
  }

  async open(
    text: string,
    renderConfig: RenderConfig,
    signal?: AbortSignal,
    { as = 'pages' }: Pick<EvalDocument, 'as'> = {},
  ): Promise<OpenedDocument> {
    const { plan, options } = this;
    const { sidecar = 0, maxNewTokens } = options;
    const document = decodeDocument(Buffer.from(text), 'the document');
    if (as === 'text') {
      const backend = new TextBackend(this.model);
      return openForQuestions(backend, document, { renderConfig }, signal, maxNewTokens);
    }
    if (as === 'passages') {
      const settings = { renderConfig, plan };
      return openPassages(this.#backend, document, settings, options, signal);
    }
    const settings = { renderConfig, plan, sidecar };
    const opened = await openForQuestions(this.#asked, document, settings, signal, maxNewTokens);
    return {
      ...opened,
      ask: (question) =>
        question.by === 'probe'
          ? this.#read(document, renderConfig, opened.report, signal)
          : opened.ask(question),
    };
  }

  /** The whole document as the legibility probe reads it. */
  async #read(
    document: SourceDocument,
    config: RenderConfig,
    report: CompressionReport,
    signal?: AbortSignal,
  ): Promise<Reply> {
    const started = performance.now();
    const lines: ReadLine[] = [];
    for await (const page of this.#backend.transcribe(document, config, { signal }))
      lines.push(...page.lines);
    signal?.throwIfAborted();
    return {
      answer: joinLines(lines, config.lineBreaking),
      finishReason: 'stop',
      usage: { promptTokens: null, completionTokens: null },
      totalMs: performance.now() - started,
      report,
    };
  }
}

/** Part of a key: what the answers of a server depend on, apart from what it is sent. */
export function serverKey(backend: Backend, maxNewTokens: number): Record<string, string> {
  return { ...backend.key, maxNewTokens: String(maxNewTokens) };
}

export class ServerAsker implements Asker {
  readonly concurrency: number;
  readonly key: Record<string, string>;
  readonly #backend: Backend;

  constructor(
    client: OpenAiBackend,
    /** `maxNewTokens`: a model that thinks aloud needs thousands. */
    readonly options: AskerOptions & { maxNewTokens: number } & ServerBackendOptions,
  ) {
    const { expand } = options;
    const server = new ServerBackend(client, options);
    this.#backend = expand ? new ExpandingBackend(server, expand) : server;
    this.concurrency = this.#backend.concurrency;
    this.key = {
      ...serverKey(this.#backend, options.maxNewTokens),
      ...(options.sidecar && { sidecar: String(options.sidecar) }),
    };
  }

  async open(text: string, renderConfig: RenderConfig, signal?: AbortSignal) {
    const { sidecar = 0, maxNewTokens } = this.options;
    const document = decodeDocument(Buffer.from(text), 'the document');
    const settings = { renderConfig, sidecar };
    return openForQuestions(this.#backend, document, settings, signal, maxNewTokens);
  }
}

/** @param maxNewTokens in place of what the question says */
export async function openForQuestions(
  backend: Backend,
  document: SourceDocument,
  settings: ReadingSettings,
  signal: AbortSignal | undefined,
  maxNewTokens?: number,
): Promise<OpenedDocument & { report: CompressionReport; document: OpenDocument }> {
  const opened = await backend.open(document, settings, { signal });
  return {
    report: opened.report,
    document: opened,
    ask: (question) => replyOf(opened, question, signal, maxNewTokens),
    close: () => opened.close(),
  };
}

async function replyOf(
  opened: OpenDocument,
  question: EvalQuestion,
  signal: AbortSignal | undefined,
  maxNewTokens: number | undefined,
): Promise<Reply> {
  const { answer, finishReason, usage, logProb, evidence, timings, expansion } = await opened.ask(
    question.question,
    { maxNewTokens: maxNewTokens ?? question.maxNewTokens, signal },
  );
  const { totalMs } = timings;
  const report = expansion ? countExpanded(opened.report, expansion) : opened.report;
  return { answer, finishReason, usage, logProb, evidence, totalMs, report };
}
