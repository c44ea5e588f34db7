/** Who answers: a model that runs here, or one behind a server. */

import { rm } from 'node:fs/promises';
import path from 'node:path';
import { answerQuestion } from '../pipeline/answer.js';
import { askServer } from '../pipeline/ask-server.js';
import type { OpenAiBackend } from '../pipeline/backends/openai.js';
import { ensureCompressed } from '../pipeline/compress.js';
import { decodeDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import type { PrunePlan } from '../prune/index.js';
import type { ChromiumOptions, RenderConfig } from '../render/index.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import type { EvalQuestion } from './task.js';

export interface Reply {
  answer: string;
  finishReason: string | null;
  usage: { promptTokens: number | null; completionTokens: number | null };
  totalMs: number;
  report: CompressionReport;
}

/** A document that was rendered (and compressed, where that happens here), ready for questions. */
export interface OpenedDocument {
  ask(question: EvalQuestion): Promise<Reply>;
  close(): Promise<void>;
}

export interface Asker {
  /** Documents that may be open side by side. */
  readonly concurrency: number;
  /** What the answers depend on, apart from the questions. */
  readonly key: Record<string, string>;
  /** @param folder is made, and removed by {@link OpenedDocument.close} */
  open(
    text: string,
    config: RenderConfig,
    folder: string,
    signal?: AbortSignal,
  ): Promise<OpenedDocument>;
}

interface Drawing {
  chromium: () => ChromiumOptions;
  browsers?: number | undefined;
}

export interface ModelAskerOptions extends Drawing {
  /** Longest answer, in place of what the question says. */
  maxNewTokens?: number | undefined;
}

export class ModelAsker implements Asker {
  readonly concurrency = 1;
  readonly key: Record<string, string>;

  constructor(
    readonly model: VisionLanguageModel,
    readonly plan: PrunePlan,
    planName: string,
    readonly options: ModelAskerOptions,
  ) {
    this.key = {
      backend: 'onnx',
      model: model.info.checkpointHash,
      prunePlan: planName,
      maxNewTokens: String(options.maxNewTokens ?? 'as the question says'),
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
      { model, plan, renderConfig },
      folder,
      { chromium: options.chromium, browsers: options.browsers, ...(signal && { signal }) },
    );
    return {
      ask: async ({ question, maxNewTokens }) => {
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
}

export interface ServerAskerOptions extends Drawing {
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
      backend: `openai ${backend.baseUrl}`,
      model: backend.model,
      maxNewTokens: String(options.maxNewTokens),
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
          pagesFolder: (name) => path.join(folder, name),
          ...(signal && { signal }),
        });
        return { ...reply, totalMs: timings.totalMs - timings.loadMs };
      },
      close: () => rm(folder, { recursive: true, force: true }),
    };
  }
}
