/** A document whose context a model here can be asked over. */

import { GlyphpressError } from '../../errors.js';
import {
  type Calibrations,
  confidenceOf,
  curveFor,
  type FinishReason,
  type GenerateOptions,
  kvByteLength,
  type PassageReading,
  type PrefilledContext,
  type VisionLanguageModel,
} from '../../vlm/index.js';
import type { Answer, AskOptions, OpenDocument } from '../backend.js';
import { type CitedDocument, citeDocuments } from '../citing/cite-documents.js';
import { finalAnswer } from '../citing/final-answer.js';
import { saysNotFound } from '../citing/says-not-found.js';
import { type AttendedPage, attendedPages } from '../expanding/attended-places.js';
import { withPassages } from '../expanding/passages-prompt.js';
import type { CompressionReport } from '../report.js';
import { type Generation, generateAnswer } from './generate.js';

/** What is known of an answer that was made here. */
export interface LocalAnswer extends Answer {
  finishReason: FinishReason;
  usage: { promptTokens: number; completionTokens: number };
}

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
      const pages = await Promise.all(this.sources.map(({ pages }) => pages()));
      const grids = pages.flat().map((page) => this.model.visualTokenGrid(page));
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

  /** The question over passages as a text of their own, without the pages. */
  async #readAlone(
    passages: string,
    question: string,
    options: GenerateOptions,
    onText?: (text: string) => void,
  ): Promise<Generation> {
    const { model } = this;
    const { signal } = options;
    const textAfterImages = `${passages.trimEnd()}\n\n`;
    const context = await model.prefill([], [], { textAfterImages, ...(signal && { signal }) });
    try {
      return await generateAnswer(model, context, question, options, onText);
    } finally {
      await model.forget(context);
    }
  }

  #readFrom(passages: PassageReading | null): keyof Calibrations {
    return passages === 'alone' || this.report.pages === 0 ? 'text' : 'pages';
  }

  async #answer(question: string, options: AskOptions): Promise<LocalAnswer> {
    const {
      signal,
      stop,
      onText,
      citations = false,
      maxNewTokens,
      passages,
      ...generate
    } = options;
    const signals = [signal, stop].filter((one) => one !== undefined);
    const generateOptions = {
      ...generate,
      ...(maxNewTokens !== undefined && { maxNewTokens }),
      ...(signals.length > 0 && { signal: AbortSignal.any(signals) }),
    };
    const reading = passages ? this.model.info.passages : null;
    const generated =
      passages && reading === 'alone'
        ? await this.#readAlone(passages, question, generateOptions, onText)
        : await generateAnswer(
            this.model,
            this.context,
            withPassages(question, passages),
            generateOptions,
            onText,
          );
    signal?.throwIfAborted();
    const { answer, logProb } = generated;
    return {
      ...generated,
      ...(reading && { passagesRead: reading }),
      found: !saysNotFound(finalAnswer(answer)),
      ...confidenceOf(logProb, curveFor(this.model.info.calibrations, this.#readFrom(reading))),
      citations: citations ? await citeDocuments(answer, question, this.sources) : [],
    };
  }
}

export function closedError(): GlyphpressError {
  return new GlyphpressError('GP_USAGE', {
    message: 'The document was closed before it was asked',
    hint: 'Open it again, and close it after its last question.',
  });
}
