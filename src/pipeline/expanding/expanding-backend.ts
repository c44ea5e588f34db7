/**
 * Expansion of any backend: questions are asked with the passages that they are about as text beside the
 * pages. The text is that of the source, so that exact values need not be read off dense pages.
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
import type { CitedDocument } from '../citing/cite-documents.js';
import type { SourceDocument } from '../read-document.js';
import type { CompressionReport } from '../report.js';
import { Expander, type ExpandSettings } from './expander.js';

/** Raised when the same question and budget give other passages, or their tokens are counted otherwise. */
const EXPANSION_VERSION = 4;

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
    return new ExpandingDocument(await this.backend.open(document, settings, hooks), this.settings);
  }
}

class ExpandingDocument implements OpenDocument {
  readonly #expander: Expander;

  constructor(
    private readonly opened: OpenDocument,
    private readonly settings: ExpandSettings,
  ) {
    this.#expander = new Expander(opened);
  }

  get report(): CompressionReport {
    return this.opened.report;
  }

  get sources(): readonly CitedDocument[] {
    return this.opened.sources;
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

  ask(question: string, options: AskOptions = {}): Promise<Answer> {
    return this.#expander.ask(question, options, this.settings);
  }

  close(): Promise<void> {
    return this.opened.close();
  }
}
