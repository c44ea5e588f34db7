/**
 * The one door to an opened document. A backend knows who reads (a model that runs here, a server); it
 * opens a document under settings, and the opened document answers questions until it is closed.
 * Whoever opens closes.
 */

import type { PrunePlan } from '../prune/index.js';
import type { RenderConfig } from '../render/index.js';
import type {
  AnswerEvidence,
  AnswerLogProb,
  Confidence,
  FinishReason,
  PassageReading,
  SamplingOptions,
} from '../vlm/index.js';
import type { Key } from './artifacts/keys.js';
import type { Citation } from './citing/citations.js';
import type { CitedDocument } from './citing/cite-documents.js';
import type { AnswerSupport } from './expanding/answer-support.js';
import type { AttendedPage } from './expanding/attended-places.js';
import type { ExpandedPlace } from './expanding/expanded-place.js';
import type { VectorsOfWords } from './expanding/meaning-places.js';
import type { SourceReader } from './expanding/source-reader.js';
import type { SourceDocument } from './read-document.js';
import type { CompressionReport, ReportSoFar } from './report.js';

export interface Backend {
  /** What reports call the model. */
  readonly modelName: string;
  /** Parts of a key: what answers depend on, apart from document, settings and question. */
  readonly key: Readonly<Key>;
  /** Documents that may be asked side by side. */
  readonly concurrency: number;
  /**
   * Makes a document ready for questions, from what is stored of it as far as that is whole.
   *
   * @throws {GlyphpressError} GP_CONTEXT_LENGTH before anything is encoded when the document does not
   *   fit the model; GP_INPUT_EMPTY, GP_BROWSER_…, GP_CHECKPOINT, GP_MODEL_…, GP_STORAGE
   * @throws the signal's reason
   */
  open(
    document: SourceDocument,
    settings: ReadingSettings,
    hooks?: OpenHooks,
  ): Promise<OpenDocument>;
}

/** How a document is read. */
export interface ReadingSettings {
  renderConfig: RenderConfig;
  /** @defaultValue nothing is dropped */
  plan?: PrunePlan;
  /** Text tokens for exact values beside the pages, at most. @defaultValue 0 */
  sidecar?: number;
  /**
   * This question stands before the pages too, so that they are read, and dropped, with it in mind. The
   * opened document answers it alone, and nothing of it is stored.
   */
  questionFirst?: string;
}

export type OpenStage = 'render' | 'encode' | 'prefill';

export interface OpenHooks {
  signal?: AbortSignal | undefined;
  /** `done` counts pages, or rows of the prompt in `prefill`; `share` is that of the stage, 0 to 1. */
  onProgress?: ((stage: OpenStage, done: number, share: number) => void) | undefined;
  /** Time already spent on reading the document, for the report. @defaultValue 0 */
  extractMs?: number | undefined;
}

/** `Report` may be one of a document of which not all was made yet. */
export interface OpenDocument<Report extends ReportSoFar = CompressionReport> {
  readonly report: Report;
  /** Text and span map of each document that was opened, in their order. */
  readonly sources: readonly CitedDocument[];
  /** Nothing had to be made: it was stored. */
  readonly cached: boolean;
  /** Why what was stored could not be used; null where it was used, or nothing was there. */
  readonly rebuiltBecause: string | null;
  /** Bytes that it holds in memory until it is closed. */
  readonly heldBytes: number;
  /**
   * Questions may be asked side by side.
   *
   * @throws {GlyphpressError} GP_USAGE once it is closed, GP_CONTEXT_LENGTH, GP_MODEL_…, GP_BACKEND_…
   * @throws the signal's reason
   */
  ask(question: string, options?: AskOptions): Promise<Answer>;
  /**
   * Where the model looks for an answer; absent where it cannot say, null where it was not calibrated, or
   * this context does not say which of its rows are which cells.
   *
   * @throws as {@link ask}
   */
  attend?(question: string): Promise<AttendedPage[] | null>;
  /** What words mean to the model, see {@link VectorsOfWords}; absent where it does not say. */
  wordVectors?: VectorsOfWords;
  /**
   * Lets the model read lines of the source by itself; absent where it cannot.
   *
   * @throws as {@link ask}
   */
  askWithReader?(question: string, reader: SourceReader, options?: AskOptions): Promise<Answer>;
  /** Waits for the answers under way, then lets go of all that it holds. */
  close(): Promise<void>;
}

export interface AskOptions extends SamplingOptions {
  /** Longest answer, in tokens. @defaultValue what the model, or the server, has for it */
  maxNewTokens?: number | undefined;
  /** End when the answer only repeats itself; a server decides that by itself. @defaultValue true */
  stopLoops?: boolean;
  /** Look the answer up in the text. @defaultValue false */
  citations?: boolean;
  /** Text of the document that is read right before the question. @defaultValue none */
  passages?: string | undefined;
  /** Gets the answer as it grows, whole characters only. */
  onText?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** Ends the answer where it is, which is no failure. */
  stop?: AbortSignal | undefined;
}

export interface Answer extends Confidence {
  /** An answer that began to repeat itself without end goes up to the first repetition. */
  answer: string;
  /**
   * False where the answer says that the text does not hold what was asked for, or where it names an exact
   * value that stands nowhere in what was expanded.
   */
  found: boolean;
  /** Citations: where the text contains the answer, the most probable first; empty unless requested. */
  citations: PlacedCitation[];
  /** What a server says may be another word; null if it says none. */
  finishReason: FinishReason | (string & {}) | null;
  /** Null where a server does not say. */
  usage: {
    promptTokens: number | null;
    completionTokens: number | null;
    /** How a model behind a server read the source, where it could; the counts are those of all rounds. */
    reading?: {
      /** It called tools, or named lines when it was asked where to look. */
      by: 'tools' | 'prompt';
      /** Requests that the answer took. */
      rounds: number;
      calls: { name: string; arguments: string }[];
    };
  };
  /** Of the tokens of `answer`; null if there are none, or the server reports none. */
  logProb: AnswerLogProb | null;
  /** What speaks for it in the text that was read; absent or null where it was read from pages. */
  evidence?: AnswerEvidence | null;
  timings: { firstTokenMs: number; totalMs: number };
  /** How passages that were handed over were read; absent where there were none. */
  passagesRead?: PassageReading;
  /** What was read as text for this question; absent where nothing of the kind was asked for. */
  expansion?: AnswerExpansion;
}

export interface AnswerExpansion {
  /** Who said where to look. */
  method: string;
  /** In the order of the documents. */
  expanded: ExpandedPlace[];
  /** Text tokens of what was read. */
  tokens: number;
  /** `alone`: the pages were not read for this answer. Null where there was nothing to read. */
  reading: PassageReading | null;
  /** Whether the exact values of the answer stand there. */
  support: AnswerSupport;
}

export interface PlacedCitation extends Citation {
  /** Which of the documents that were opened together, from 0. */
  document: number;
}
