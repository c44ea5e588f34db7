/**
 * Lexical expansion: any backend, with the passages that a question is about as text beside the pages.
 * The text is that of the source, so that exact values need not be read off dense pages.
 */

import { GlyphpressError } from '../../errors.js';
import type { Key } from '../artifacts/keys.js';
import type {
  Answer,
  AskOptions,
  Backend,
  OpenDocument,
  OpenHooks,
  ReadingSettings,
} from '../backend.js';
import type { SourceDocument } from '../read-document.js';
import type { CompressionReport } from '../report.js';
import { expandPlaces, type ScoredPlace } from './expand-places.js';
import { LexicalPlaces } from './lexical-places.js';
import { type TextRange, unitsOf } from './text-units.js';

/** Raised when the same question and budget give other passages. */
const EXPANSION_VERSION = 1;

/** Who says where to look. `lexical`: the words of the question, BM25 over sentences and lines. */
export const EXPANSION_METHODS = ['lexical'] as const;
export type ExpansionMethod = (typeof EXPANSION_METHODS)[number];

export interface ExpandSettings {
  method: ExpansionMethod;
  /** Text tokens of the passages of one question, at most. */
  budget: number;
  /** In the tokenizer of the model that reads them. */
  countTokens: (text: string) => number;
}

export class ExpandingBackend implements Backend {
  readonly key: Readonly<Key>;

  constructor(
    private readonly backend: Backend,
    private readonly settings: ExpandSettings,
  ) {
    const { method, budget } = settings;
    this.key = { ...backend.key, expansion: `${method} ${budget} v${EXPANSION_VERSION}` };
  }

  get modelName(): string {
    return this.backend.modelName;
  }

  get concurrency(): number {
    return this.backend.concurrency;
  }

  /** @throws {GlyphpressError} GP_USAGE for pages that are read with one question in mind */
  async open(
    document: SourceDocument,
    settings: ReadingSettings,
    hooks?: OpenHooks,
  ): Promise<OpenDocument> {
    if (settings.questionFirst !== undefined) {
      throw new GlyphpressError('GP_USAGE', {
        message: 'A question that stands before the pages cannot be asked with passages beside it',
        hint: 'Leave out --question-first, or --expand.',
      });
    }
    const opened = await this.backend.open(document, settings, hooks);
    return new ExpandingDocument(opened, document.text, this.settings);
  }
}

class ExpandingDocument implements OpenDocument {
  readonly #units: readonly TextRange[];
  readonly #lexical: LexicalPlaces;

  constructor(
    private readonly opened: OpenDocument,
    private readonly text: string,
    private readonly settings: ExpandSettings,
  ) {
    this.#units = unitsOf(text);
    this.#lexical = new LexicalPlaces(text, this.#units);
  }

  get report(): CompressionReport {
    return this.opened.report;
  }

  get cached(): boolean {
    return this.opened.cached;
  }

  get rebuiltBecause(): string | null {
    return this.opened.rebuiltBecause;
  }

  get heldBytes(): number {
    return this.opened.heldBytes;
  }

  async ask(question: string, options: AskOptions = {}): Promise<Answer> {
    const { budget, countTokens } = this.settings;
    const { passages, text, tokens } = expandPlaces(this.text, this.#placesOf(question), {
      budget,
      countTokens,
      units: this.#units,
    });
    const answer = await this.opened.ask(question, { ...options, passages: text });
    const { textTokens, contextTokens } = this.report;
    const expansion = {
      passages: passages.map(({ start, end }) => ({ start, end })),
      tokens,
      stackedRatio: textTokens / (contextTokens + tokens),
    };
    return { ...answer, expansion };
  }

  close(): Promise<void> {
    return this.opened.close();
  }

  #placesOf(question: string): ScoredPlace[] {
    switch (this.settings.method) {
      case 'lexical':
        return this.#lexical.find(question);
    }
  }
}
