/** Who answers: a model that runs here, or one behind a server. */

import { rm } from 'node:fs/promises';
import path from 'node:path';
import { answerQuestion } from '../pipeline/backends/answer.js';
import { askServer } from '../pipeline/backends/ask-server.js';
import type { OpenAiBackend } from '../pipeline/backends/openai.js';
import { ensureCompressed } from '../pipeline/compress.js';
import { joinLines, type ReadLine } from '../pipeline/proofing/read-page.js';
import { transcribeDocument } from '../pipeline/proofing/transcribe.js';
import { decodeDocument, type SourceDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PrunePlan } from '../prune/index.js';
import type { ChromiumOptions, RenderConfig } from '../render/index.js';
import { type AnswerLogProb, LegibilityProbe, type VisionLanguageModel } from '../vlm/index.js';
import type { EvalDocument, EvalQuestion } from './task.js';

export interface Reply {
  answer: string;
  finishReason: string | null;
  usage: { promptTokens: number | null; completionTokens: number | null };
  totalMs: number;
  report: CompressionReport;
  /** Of the answer's tokens, where they are known. */
  logProb?: AnswerLogProb | null;
}

/** A document that was rendered (and compressed, where that happens here), ready for questions. */
export interface OpenedDocument {
  ask(question: EvalQuestion): Promise<Reply>;
  close(): Promise<void>;
}

export interface Asker {
  /** Documents that may be open side by side. */
  readonly concurrency: number;
  /** Questions by the legibility probe can be asked. */
  readonly hasProbe?: boolean;
  /** Documents may be opened as text, see {@link EvalDocument.as}. */
  readonly readsText?: boolean;
  /** What the answers depend on, apart from the questions. */
  readonly key: Record<string, string>;
  /**
   * @param folder is made, and removed by {@link OpenedDocument.close}
   * @param document that the text is of
   */
  open(
    text: string,
    config: RenderConfig,
    folder: string,
    signal: AbortSignal | undefined,
    document: EvalDocument,
  ): Promise<OpenedDocument>;
}

interface Drawing {
  chromium: () => ChromiumOptions;
  browsers?: number | undefined;
}

export interface ModelAskerOptions extends Drawing {
  /** Text tokens for exact values beside the pages. @defaultValue 0 */
  sidecar?: number | undefined;
  /** Longest answer, in place of what the question says. */
  maxNewTokens?: number | undefined;
}

export class ModelAsker implements Asker {
  readonly concurrency = 1;
  readonly hasProbe: boolean;
  readonly key: Record<string, string>;

  constructor(
    readonly model: VisionLanguageModel,
    readonly plan: PrunePlan,
    planName: string,
    readonly options: ModelAskerOptions,
  ) {
    const { dir, vision } = model.info;
    this.hasProbe = vision !== null && LegibilityProbe.isIn(dir, vision.tokenWidth);
    this.key = {
      backend: 'onnx',
      model: model.info.checkpointHash,
      prunePlan: planName,
      maxNewTokens: String(options.maxNewTokens ?? 'as the question says'),
      ...(options.sidecar && { sidecar: String(options.sidecar) }),
    };
  }

  async open(
    text: string,
    renderConfig: RenderConfig,
    folder: string,
    signal?: AbortSignal,
  ): Promise<OpenedDocument> {
    const { model, plan, options } = this;
    const document = decodeDocument(Buffer.from(text), 'the document');
    const { context, report } = await ensureCompressed(
      document,
      { model, plan, renderConfig, sidecar: options.sidecar ?? 0 },
      folder,
      { chromium: options.chromium, browsers: options.browsers, ...(signal && { signal }) },
    );
    return {
      ask: async ({ question, maxNewTokens, by }) => {
        if (by === 'probe') return this.#read(document, renderConfig, report, signal);
        const answer = await answerQuestion(model, context, question, {
          maxNewTokens: options.maxNewTokens ?? maxNewTokens,
          ...(signal && { signal }),
        });
        signal?.throwIfAborted();
        return { ...answer, report };
      },
      close: async () => {
        await model.forget(context);
        await rm(folder, { recursive: true, force: true });
      },
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
    const { chromium, browsers } = this.options;
    const pages = transcribeDocument(document, config, this.model, {
      chromium: chromium(),
      ...(browsers !== undefined && { browsers }),
      ...(signal && { signal }),
    });
    const lines: ReadLine[] = [];
    for await (const page of pages) lines.push(...page.lines);
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

/** What the answers of a server depend on, apart from what it is sent. */
export function serverKey(
  { baseUrl, model }: OpenAiBackend,
  maxNewTokens: number,
): Record<string, string> {
  return { backend: `openai ${baseUrl}`, model, maxNewTokens: String(maxNewTokens) };
}

export interface ServerAskerOptions extends Drawing {
  /** Text tokens for exact values beside the pages. @defaultValue 0 */
  sidecar?: number | undefined;
  /** Longest answer; a model that thinks aloud needs thousands. */
  maxNewTokens: number;
  concurrency: number;
}

export class ServerAsker implements Asker {
  readonly concurrency: number;
  readonly key: Record<string, string>;

  constructor(
    readonly backend: OpenAiBackend,
    readonly options: ServerAskerOptions,
  ) {
    this.concurrency = options.concurrency;
    this.key = {
      ...serverKey(backend, options.maxNewTokens),
      ...(options.sidecar && { sidecar: String(options.sidecar) }),
    };
  }

  async open(
    text: string,
    config: RenderConfig,
    folder: string,
    signal?: AbortSignal,
  ): Promise<OpenedDocument> {
    const { backend, options } = this;
    const document = decodeDocument(Buffer.from(text), 'the document');
    return {
      ask: async ({ question }) => {
        const { timings, ...reply } = await askServer(document, config, question, backend, {
          model: backend.model,
          chromium: options.chromium,
          browsers: options.browsers,
          extractMs: 0,
          maxNewTokens: options.maxNewTokens,
          sidecar: options.sidecar ?? 0,
          pagesFolder: (name) => path.join(folder, name),
          ...(signal && { signal }),
        });
        return { ...reply, totalMs: timings.totalMs - timings.loadMs };
      },
      close: () => rm(folder, { recursive: true, force: true }),
    };
  }
}
