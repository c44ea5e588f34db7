/** A document that is open for questions, from one call. */

import { stat } from 'node:fs/promises';
import {
  placeInFolder,
  readCompressedSource,
  typesOf,
} from '../pipeline/artifacts/compressed-folder.js';
import { ContextLibrary } from '../pipeline/artifacts/context-library.js';
import type { Answer, AskOptions, Backend, OpenDocument, OpenHooks } from '../pipeline/backend.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import { OpenAiBackend, type OpenAiBackendOptions } from '../pipeline/backends/openai.js';
import { ServerBackend } from '../pipeline/backends/server.js';
import { ExpandingBackend } from '../pipeline/expanding/expanding-backend.js';
import { type AskedExpansion, expansionFor } from '../pipeline/expanding/expansion-choice.js';
import { mayAnswerWithoutPages } from '../pipeline/expanding/passages-document.js';
import { PassagesFirstBackend } from '../pipeline/expanding/passages-first.js';
import type { ReportSoFar } from '../pipeline/report.js';
import { asksForSettings } from '../pipeline/settings.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import { isArtifactFolder } from '../store/artifact-folder.js';
import { type DocumentInput, type InputOptions, readInput } from './input.js';
import {
  askedSettings,
  type ModelOptions,
  openModel,
  type ReadingOptions,
  readingSettings,
} from './reading.js';

export interface LibraryOpenOptions extends InputOptions, ReadingOptions, ModelOptions {
  /** A model behind an OpenAI-compatible server reads, in the place of one here; nothing is dropped. */
  server?: OpenAiBackendOptions;
  /** Folder for contexts, to be found again by the next opening. @defaultValue they stay in memory */
  store?: string;
  /** Browsers that draw side by side. @defaultValue half the CPU threads */
  browsers?: number;
  onProgress?: OpenHooks['onProgress'];
  /**
   * Have passages of the text read that a question is about, see docs/reading.md. A model that reads them
   * alone gets pages only for questions without any. @defaultValue `auto` for such models, else `off`
   */
  expand?: AskedExpansion['expand'];
  /** Text tokens of the passages of one question. @defaultValue 300 */
  expandBudget?: number;
}

/** What opens documents, with a report that may lack what nobody needed yet. */
interface Opening {
  open(...args: Parameters<Backend['open']>): Promise<OpenDocument<ReportSoFar>>;
}

/** An opened document that closes with its scope: `await using document = await open(…)`. */
export type Opened = OpenDocument<ReportSoFar> & AsyncDisposable;

/**
 * Opens a document for questions: a text, files, or a folder that {@link compress} made.
 *
 * @throws {GlyphpressError} GP_INPUT_…, GP_CONFIG_…, GP_CHECKPOINT, GP_CONTEXT_LENGTH, GP_BROWSER_…,
 *   GP_BACKEND_…
 * @throws the signal's reason
 */
export async function open(
  input: DocumentInput,
  options: LibraryOpenOptions = {},
): Promise<Opened> {
  if (options.server) return openBehindServer(input, options.server, options);
  return typeof input === 'string' && (await isCompressed(input))
    ? openCompressed(input, options)
    : openHere(input, options);
}

/** Opens, asks once and closes. Where more is asked, {@link open} once. */
export async function ask(
  input: DocumentInput,
  question: string,
  options: LibraryOpenOptions & AskOptions = {},
): Promise<Answer> {
  const document = await open(input, options);
  try {
    const { maxNewTokens, temperature, topP, seed, stopLoops, citations = true } = options;
    const { onText, signal, stop } = options;
    return await document.ask(question, {
      maxNewTokens,
      citations,
      onText,
      signal,
      stop,
      ...(temperature !== undefined && { temperature }),
      ...(topP !== undefined && { topP }),
      ...(seed !== undefined && { seed }),
      ...(stopLoops !== undefined && { stopLoops }),
    });
  } finally {
    await document.close();
  }
}

async function openHere(input: DocumentInput, options: LibraryOpenOptions): Promise<Opened> {
  const document = await readInput(input, options);
  const { model, close } = await openModel(options);
  return closing(close, async () => {
    const contexts = options.store === undefined ? undefined : new ContextLibrary(options.store);
    const backend = new LocalBackend(model, { contexts, browsers: options.browsers });
    const settings = readingSettings(options, model.info);
    return expanded(backend, options).open(document, settings, hooksOf(options));
  });
}

/** A folder says itself how it was made; where something else is asked for, it stays as it is. */
async function openCompressed(folder: string, options: LibraryOpenOptions): Promise<Opened> {
  const source = await readCompressedSource(folder);
  const { renderConfig, plan, sidecar, modelDir } = source.body;
  const types = options.model === undefined ? typesOf(source) : {};
  const { model, close } = await openModel({ model: modelDir, ...types, ...options });
  return closing(close, async () => {
    const stored = { renderConfig, plan, sidecar: sidecar?.budget ?? 0 };
    const asksForOther =
      options.model !== undefined ||
      options.dtype !== undefined ||
      options.kvDtype !== undefined ||
      asksForSettings(askedSettings(options));
    const elsewhere = new ContextLibrary(options.store ?? `${folder}.others`);
    const backend = new LocalBackend(model, {
      contexts: placeInFolder(source, asksForOther, elsewhere),
      browsers: options.browsers,
    });
    const settings = readingSettings(options, model.info, stored);
    return expanded(backend, options).open(source.document, settings, hooksOf(options));
  });
}

/** With passages as they were asked for, else as they suit the model. */
function expanded(backend: LocalBackend, options: LibraryOpenOptions): Opening {
  const { model } = backend;
  const expansion = expansionFor(options, model.info);
  if (!expansion) return backend;
  const settings = { ...expansion, countTokens: (text: string) => model.countTokens(text) };
  return mayAnswerWithoutPages(model.info, expansion)
    ? new PassagesFirstBackend(backend, settings)
    : new ExpandingBackend(backend, settings);
}

async function openBehindServer(
  input: DocumentInput,
  server: OpenAiBackendOptions,
  options: LibraryOpenOptions,
): Promise<Opened> {
  const document =
    typeof input === 'string' && (await isCompressed(input))
      ? (await readCompressedSource(input)).document
      : await readInput(input, options);
  const pages = new ServerBackend(new OpenAiBackend(server), { browsers: options.browsers });
  const expansion = expansionFor(options, null);
  const backend = expansion
    ? new ExpandingBackend(pages, { ...expansion, countTokens: countTextTokens })
    : pages;
  const settings = readingSettings(options, { layers: 0, rendering: null, vision: null });
  return closing(
    async () => {},
    () => backend.open(document, settings, hooksOf(options)),
  );
}

/** The document closes with what was opened for it; where it does not open, that closes at once. */
async function closing(
  close: () => Promise<void>,
  work: () => Promise<OpenDocument<ReportSoFar>>,
): Promise<Opened> {
  let document: OpenDocument<ReportSoFar>;
  try {
    document = await work();
  } catch (error) {
    await close();
    throw error;
  }
  return new ClosingDocument(document, close);
}

class ClosingDocument implements Opened {
  constructor(
    private readonly document: OpenDocument<ReportSoFar>,
    private readonly closeModel: () => Promise<void>,
  ) {}

  get report() {
    return this.document.report;
  }
  get sources() {
    return this.document.sources;
  }
  get cached() {
    return this.document.cached;
  }
  get rebuiltBecause() {
    return this.document.rebuiltBecause;
  }
  get heldBytes() {
    return this.document.heldBytes;
  }
  ask(question: string, options?: AskOptions): Promise<Answer> {
    return this.document.ask(question, options);
  }
  async close(): Promise<void> {
    try {
      await this.document.close();
    } finally {
      await this.closeModel();
    }
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function hooksOf({ signal, onProgress }: LibraryOpenOptions): OpenHooks {
  return { signal, onProgress };
}

async function isCompressed(input: string): Promise<boolean> {
  const info = await stat(input).catch(() => null);
  return info?.isDirectory() === true && isArtifactFolder(input);
}
