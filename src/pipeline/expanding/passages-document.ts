/**
 * A document whose model reads passages alone: for a question that has some, nothing of it is drawn,
 * encoded or prefilled.
 */

import type { ModelInfo, VisionLanguageModel } from '../../vlm/index.js';
import type { AskOptions } from '../backend.js';
import { answerFromPassages, type LocalAnswer } from '../backends/local-answer.js';
import { closedError } from '../backends/local-document.js';
import type { CitedDocument } from '../citing/cite-documents.js';
import { Expander, type ExpandSettings } from './expander.js';
import type { ExpansionChoice } from './expansion-choice.js';

/** Whether questions may be answered before there are pages; attention looks at them. */
export function mayAnswerWithoutPages(
  { passages }: Pick<ModelInfo, 'passages'>,
  expansion: ExpansionChoice | undefined,
): expansion is ExpansionChoice {
  return passages === 'alone' && expansion !== undefined && expansion.method !== 'attention';
}

export class PassagesDocument {
  readonly #expander: Expander<LocalAnswer>;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  /** @param model stays its opener's to close */
  constructor(
    readonly model: VisionLanguageModel,
    readonly sources: readonly CitedDocument[],
  ) {
    this.#expander = new Expander<LocalAnswer>({
      sources,
      passageReading: 'alone',
      wordVectors: (words) => model.wordVectors(words),
      ask: (question, { passages = '', ...options } = {}) =>
        answerFromPassages(model, sources, passages, question, options),
    });
  }

  /**
   * Questions may be asked side by side.
   *
   * @returns null where the question has no passages: the pages must be read for it
   * @throws {GlyphpressError} as OpenDocument.ask
   */
  async ask(
    question: string,
    options: AskOptions,
    settings: ExpandSettings,
  ): Promise<LocalAnswer | null> {
    if (this.#closed) throw closedError();
    const answering = this.#expander.askPassages(question, options, settings);
    this.#running.add(answering);
    try {
      return await answering;
    } finally {
      this.#running.delete(answering);
    }
  }

  /** Waits for the answers under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }
}
