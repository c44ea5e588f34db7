/** Asks under the prune plan of each document's condition; pages are drawn and encoded once for all plans. */

import { rm } from 'node:fs/promises';
import path from 'node:path';
import { decodePage } from '../pipeline/artifacts/page-images.js';
import { answerQuestion } from '../pipeline/backends/answer.js';
import { withQuestionFirst } from '../pipeline/backends/question-first.js';
import {
  type CompressedContext,
  type CompressHooks,
  ensureCompressed,
  type PageSource,
} from '../pipeline/compress.js';
import { decodeDocument } from '../pipeline/read-document.js';
import { writePages } from '../pipeline/render-to-folder.js';
import { planId } from '../prune/index.js';
import {
  type ChromiumOptions,
  type RenderConfig,
  type RenderedPage,
  type RenderSummary,
  renderingId,
} from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import type { EncodedImage, VisionLanguageModel } from '../vlm/index.js';
import type { Asker, OpenedDocument, Reply } from './asker.js';
import type { CurvePlan } from './curve-tasks.js';
import type { EvalDocument, EvalQuestion } from './task.js';

interface Drawn {
  pages: RenderedPage[];
  summary: RenderSummary | null;
  images: EncodedImage[];
}

export class CurveAsker implements Asker {
  readonly concurrency = 1;
  readonly key: Record<string, string>;
  /** The text that is asked now, under its last rendering: documents come in that order. */
  #drawn: { key: string; drawn: Drawn } | null = null;

  constructor(
    readonly model: VisionLanguageModel,
    readonly plan: CurvePlan,
    readonly options: { chromium: () => ChromiumOptions; browsers?: number | undefined },
  ) {
    const conditions = plan.conditions.map(({ name, rendering, plan, questionFirstOf }) => [
      name,
      rendering,
      planId(plan),
      ...(questionFirstOf === undefined ? [] : ['question first']),
    ]);
    this.key = {
      backend: 'onnx',
      model: model.info.checkpointHash,
      conditions: sha256Hex(JSON.stringify(conditions)),
    };
  }

  async open(
    text: string,
    renderConfig: RenderConfig,
    folder: string,
    signal: AbortSignal | undefined,
    { id }: Pick<EvalDocument, 'id'>,
  ): Promise<OpenedDocument> {
    const { model, options } = this;
    const { condition, seed } = this.plan.cases.get(id)!;
    const document = decodeDocument(Buffer.from(text), 'the document');
    const drawn = this.#drawnFor(`${document.hash} ${renderingId(renderConfig)}`);
    const pages: PageSource = async (target, hooks, take) => {
      if (drawn.summary) {
        for (const page of drawn.pages) await take(page);
        return drawn.summary;
      }
      // What an attempt that failed left behind.
      drawn.pages.length = 0;
      drawn.images.length = 0;
      const all = { ...hooks, chromium: options.chromium(), browsers: options.browsers };
      const summary = await writePages(document, renderConfig, target, all, async (page) => {
        drawn.pages.push(page);
        await take(page);
      });
      drawn.summary = summary;
      return summary;
    };
    const settings = { model, renderConfig, plan: { ...condition.plan, seed } };
    const hooks: CompressHooks = {
      chromium: options.chromium,
      pages,
      encodePage: async ({ index, png }) => {
        drawn.images[index] ??= await model.encodeImage(await decodePage(png));
        return drawn.images[index];
      },
      ...(signal && { signal }),
    };
    if (condition.questionFirstOf !== undefined) {
      return {
        ask: (question) => {
          const own = { ...settings, questionFirst: question.question };
          const once = path.join(folder, 'question');
          return withQuestionFirst(document, own, once, hooks, (compressed) =>
            this.#answer(compressed, question, signal),
          );
        },
        close: () => rm(folder, { recursive: true, force: true }),
      };
    }
    const compressed = await ensureCompressed(document, settings, folder, hooks);
    return {
      ask: (question) => this.#answer(compressed, question, signal),
      close: async () => {
        await model.forget(compressed.context);
        await rm(folder, { recursive: true, force: true });
      },
    };
  }

  async #answer(
    { context, report }: CompressedContext,
    { question, maxNewTokens }: EvalQuestion,
    signal: AbortSignal | undefined,
  ): Promise<Reply> {
    const answer = await answerQuestion(this.model, context, question, {
      maxNewTokens,
      ...(signal && { signal }),
    });
    signal?.throwIfAborted();
    return { ...answer, report };
  }

  #drawnFor(key: string): Drawn {
    if (this.#drawn?.key !== key)
      this.#drawn = { key, drawn: { pages: [], summary: null, images: [] } };
    return this.#drawn.drawn;
  }
}
