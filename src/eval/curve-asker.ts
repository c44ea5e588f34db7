/** Asks under the prune plan of each document's condition; pages are drawn and encoded once for all plans. */

import { keepLastPages } from '../pipeline/artifacts/page-memory.js';
import { drawPages } from '../pipeline/artifacts/page-source.js';
import type { Backend } from '../pipeline/backend.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { decodeDocument } from '../pipeline/read-document.js';
import { planId } from '../prune/index.js';
import type { ChromiumOptions, RenderConfig } from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import { type Asker, type OpenedDocument, openForQuestions } from './asker.js';
import type { CurvePlan } from './curve-tasks.js';
import type { EvalDocument } from './task.js';

export interface CurveAskerOptions {
  chromium: () => ChromiumOptions;
  browsers?: number | undefined;
  /** Passages of the source beside the pages; no condition may have the question first then. */
  expand?: ExpandSettings | undefined;
}

export class CurveAsker implements Asker {
  readonly concurrency = 1;
  readonly key: Record<string, string>;
  readonly #backend: Backend;

  constructor(
    model: VisionLanguageModel,
    readonly plan: CurvePlan,
    options: CurveAskerOptions,
  ) {
    const { expand, ...drawing } = options;
    const conditions = plan.conditions.map(({ name, rendering, plan, questionFirstOf }) => [
      name,
      rendering,
      planId(plan),
      ...(questionFirstOf === undefined ? [] : ['question first']),
    ]);
    // Documents come in the order of their texts and renderings.
    const backend = new LocalBackend(model, { openPages: keepLastPages(drawPages(drawing)) });
    this.#backend = expand ? new ExpandingBackend(backend, expand) : backend;
    this.key = {
      ...this.#backend.key,
      conditions: sha256Hex(JSON.stringify(conditions)),
    };
  }

  async open(
    text: string,
    renderConfig: RenderConfig,
    signal: AbortSignal | undefined,
    { id }: Pick<EvalDocument, 'id'>,
  ): Promise<OpenedDocument> {
    const { condition, seed } = this.plan.cases.get(id)!;
    const document = decodeDocument(Buffer.from(text), 'the document');
    const settings = { renderConfig, plan: { ...condition.plan, seed } };
    if (condition.questionFirstOf === undefined)
      return openForQuestions(this.#backend, document, settings, signal);
    return {
      ask: async (question) => {
        const own = { ...settings, questionFirst: question.question };
        const opened = await openForQuestions(this.#backend, document, own, signal);
        try {
          return await opened.ask(question);
        } finally {
          await opened.close();
        }
      },
      close: async () => {},
    };
  }
}
