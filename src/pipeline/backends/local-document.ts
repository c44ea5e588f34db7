/** A document whose context a model here can be asked over. */

import { GlyphpressError } from '../../errors.js';
import {
  kvByteLength,
  type PassageReading,
  type PrefilledContext,
  type VisionLanguageModel,
} from '../../vlm/index.js';
import type { AskOptions, OpenDocument } from '../backend.js';
import type { CitedDocument } from '../citing/cite-documents.js';
import { type AttendedPage, attendedPages } from '../expanding/attended-places.js';
import { withPassages } from '../expanding/passages-prompt.js';
import type { CompressionReport } from '../report.js';
import { generateAnswer } from './generate.js';
import {
  answerFromPassages,
  finishedAnswer,
  generateOptionsOf,
  type LocalAnswer,
} from './local-answer.js';

export interface LocalContext {
  context: PrefilledContext;
  report: CompressionReport;
  cached: boolean;
  rebuiltBecause: string | null;
}

export class LocalDocument implements OpenDocument {
  readonly context: PrefilledContext;
  readonly report: CompressionReport;
  readonly cached: boolean;
  readonly rebuiltBecause: string | null;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  /** @param model holds the context from the first question on, until this is closed */
  constructor(
    readonly model: VisionLanguageModel,
    { context, report, cached, rebuiltBecause }: LocalContext,
    readonly sources: readonly CitedDocument[],
  ) {
    this.context = context;
    this.report = report;
    this.cached = cached;
    this.rebuiltBecause = rebuiltBecause;
  }

  get passageReading(): PassageReading {
    return this.model.info.passages;
  }

  get heldBytes(): number {
    return this.context.layers.reduce(
      (sum, { keys, values }) => sum + kvByteLength(keys) + kvByteLength(values),
      0,
    );
  }

  async ask(question: string, options: AskOptions = {}): Promise<LocalAnswer> {
    if (this.#closed) throw closedError();
    const answering = this.#answer(question, options);
    this.#running.add(answering);
    try {
      return await answering;
    } finally {
      this.#running.delete(answering);
    }
  }

  /** @throws {GlyphpressError} GP_USAGE once it is closed, GP_MODEL_RUNTIME */
  async attend(question: string): Promise<AttendedPage[] | null> {
    if (this.#closed) throw closedError();
    const heads = this.model.attentionHeads?.heads;
    if (!heads) return null;
    const attending = this.model.attend(this.context, question, heads);
    this.#running.add(attending);
    try {
      const attended = await attending;
      if (!attended) return null;
      const pages = await Promise.all(this.sources.map(({ pages }) => pages(true)));
      const grids = pages
        .flatMap((ofDocument) => ofDocument ?? [])
        .map((page) => this.model.visualTokenGrid(page));
      return attendedPages(attended, grids);
    } finally {
      this.#running.delete(attending);
    }
  }

  wordVectors(words: readonly string[]): Promise<Float32Array[]> {
    return this.model.wordVectors(words);
  }

  async close(): Promise<void> {
    this.#closed = true;
    // An answer under way may be sending the context to the model.
    await Promise.allSettled(this.#running);
    await this.model.forget(this.context);
  }

  /** Of a document without pages all of it; null for pages. */
  async #textRead(): Promise<string | null> {
    if (this.report.pages > 0) return null;
    return (await Promise.all(this.sources.map(({ text }) => text()))).join('\n\n');
  }

  async #answer(question: string, options: AskOptions): Promise<LocalAnswer> {
    const { passages } = options;
    const { model } = this;
    if (passages && this.passageReading === 'alone')
      return answerFromPassages(model, this.sources, passages, question, options);
    const generated = await generateAnswer(
      model,
      this.context,
      withPassages(question, passages),
      generateOptionsOf(options),
      options.onText,
    );
    return finishedAnswer(model, this.sources, generated, question, options, {
      text: await this.#textRead(),
      ...(passages && { passagesRead: this.passageReading }),
    });
  }
}

export function closedError(): GlyphpressError {
  return new GlyphpressError('GP_USAGE', {
    message: 'The document was closed before it was asked',
    hint: 'Open it again, and close it after its last question.',
  });
}
