/** Questions by passages alone, and the pages for those that have none: opened when the first one needs them. */

import type {
  Answer,
  AskOptions,
  Backend,
  OpenDocument,
  OpenHooks,
  ReadingSettings,
} from '../backend.js';
import type { KnownDocument, LocalBackend } from '../backends/local.js';
import { closedError } from '../backends/local-document.js';
import type { CitedDocument } from '../citing/cite-documents.js';
import type { SourceDocument } from '../read-document.js';
import type { ReportSoFar } from '../report.js';
import type { ExpandSettings } from './expander.js';
import { ExpandingBackend } from './expanding-backend.js';
import { PassagesDocument } from './passages-document.js';

/** For models that read passages alone. */
export class PassagesFirstBackend {
  readonly #backend: LocalBackend;
  readonly #expanding: Backend;

  constructor(
    backend: LocalBackend,
    private readonly settings: ExpandSettings,
  ) {
    this.#backend = backend;
    this.#expanding = new ExpandingBackend(backend, settings);
  }

  /** @param hooks serve the opening of the pages, whenever that is */
  async open(
    document: SourceDocument,
    settings: ReadingSettings,
    hooks: OpenHooks = {},
  ): Promise<OpenDocument<ReportSoFar>> {
    hooks.signal?.throwIfAborted();
    const { extractMs = 0 } = hooks;
    const known = await this.#backend.known(document, settings, { extractMs, mayLayOut: true });
    const passages = new PassagesDocument(this.#backend.model, [known.cited]);
    const openPages = (signal: AbortSignal) =>
      this.#expanding.open(document, settings, { ...hooks, signal });
    return new PassagesFirstDocument(passages, known, this.settings, openPages);
  }
}

class PassagesFirstDocument implements OpenDocument<ReportSoFar> {
  readonly #closing = new AbortController();
  #opening: Promise<OpenDocument> | null = null;
  /** Once the pages are open. */
  #opened: OpenDocument | null = null;

  constructor(
    private readonly passages: PassagesDocument,
    private readonly known: KnownDocument,
    private readonly settings: ExpandSettings,
    private readonly openPages: (signal: AbortSignal) => Promise<OpenDocument>,
  ) {}

  get report(): ReportSoFar {
    return this.#opened?.report ?? this.known.report;
  }

  get sources(): readonly CitedDocument[] {
    return this.#opened?.sources ?? this.passages.sources;
  }

  get cached(): boolean {
    return this.#opened?.cached ?? this.known.cached;
  }

  get rebuiltBecause(): string | null {
    return this.#opened?.rebuiltBecause ?? null;
  }

  get heldBytes(): number {
    return this.#opened?.heldBytes ?? 0;
  }

  async ask(question: string, options: AskOptions = {}): Promise<Answer> {
    const answer = await this.passages.ask(question, options, this.settings);
    if (answer) return answer;
    const opened = await this.#pages(options.signal);
    return opened.ask(question, options);
  }

  async close(): Promise<void> {
    this.#closing.abort(closedError());
    await this.passages.close();
    const opened = await this.#opening?.catch(() => null);
    await opened?.close();
  }

  /** Opened once for all questions; one that is given up does not take the pages from others. */
  async #pages(signal: AbortSignal | undefined): Promise<OpenDocument> {
    const closing = this.#closing.signal;
    closing.throwIfAborted();
    this.#opening ??= this.openPages(closing).then((opened) => (this.#opened = opened));
    // A failure is not kept: the next question tries again.
    this.#opening.catch(() => {
      this.#opening = null;
    });
    if (!signal) return this.#opening;
    signal.throwIfAborted();
    let giveUp = () => {};
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = () => reject(signal.reason);
    });
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      return await Promise.race([this.#opening, givenUp]);
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }
}
