/**
 * Answers questions over opened documents: each opened once, the least recently asked closed first.
 */

import { GlyphpressError } from '../errors.js';
import type { AskOptions } from '../pipeline/backend.js';
import { LocalBackend } from '../pipeline/backends/local.js';
import type { LocalAnswer } from '../pipeline/backends/local-answer.js';
import type { LocalDocument } from '../pipeline/backends/local-document.js';
import { Expander } from '../pipeline/expanding/expander.js';
import type { ExpansionChoice } from '../pipeline/expanding/expansion-choice.js';
import type { CompressionReport, ReportSoFar } from '../pipeline/report.js';
import { type AnyPlace, placeName } from '../store/place.js';
import type { VisionLanguageModel } from '../vlm/index.js';
import type { AskedPart } from './evidence.js';
import { FairQueue } from './fair-queue.js';
import type { ModelRegistry } from './models.js';

export interface EngineOptions {
  /** Memory for contexts, beside what the model's own thread holds. @defaultValue 1 GiB */
  maxBytes?: number;
  /** Answers at the same time, each token of one after the other's. @defaultValue 4 */
  concurrency?: number;
  /** Questions that may wait for one model. @defaultValue 64 */
  maxWaiting?: number;
}

export interface EngineQuestion extends AskOptions {
  model: string;
  /** Where the contexts lie, one for each document; a path stands for a folder. */
  folders: readonly AnyPlace[];
  /** Have passages of the source read as text beside the pages. @defaultValue none */
  expand?: ExpansionChoice | undefined;
  /** Opens several documents together; needed for those only. */
  openJoint?: (backend: LocalBackend) => Promise<LocalDocument>;
  question: string;
  /** Who asks: askers take turns. */
  asker: string;
  signal: AbortSignal;
}

/** Whose question it is, and which model answers. */
export type Turn = Pick<EngineQuestion, 'model' | 'asker' | 'signal' | 'onText'>;

export interface EngineAnswer<Report extends ReportSoFar = ReportSoFar> extends LocalAnswer {
  /** Of what was asked: the document, or all of them together. */
  report: Report;
  /** Tokens of the prompt that were there before the question came; 0 where passages were read alone. */
  contextTokens: number;
  /** Time in line. */
  waitMs: number;
  /** Until the document was open; 0 when it was. */
  loadMs: number;
  /** Of a document that is read in parts: those that were asked, the best first. */
  parts?: AskedPart[];
}

/** A document that is open, or about to be. */
interface Held {
  opening: Promise<LocalDocument>;
  /** Questions that count on it. */
  users: number;
  /** Let go of: the last user closes it. */
  gone: boolean;
}

const DEFAULT_BYTES = 1024 ** 3;

/** Between the places of one key; stands in no name. */
const BETWEEN = '\0';

export class QuestionEngine {
  readonly #models: ModelRegistry;
  readonly #options: Required<EngineOptions>;
  readonly #queues = new Map<string, FairQueue>();
  /** By name of place or places, the most recently asked last. */
  readonly #held = new Map<string, Held>();
  readonly #expanders = new WeakMap<LocalDocument, Expander<LocalAnswer>>();

  constructor(models: ModelRegistry, options: EngineOptions = {}) {
    this.#models = models;
    this.#options = { maxBytes: DEFAULT_BYTES, concurrency: 4, maxWaiting: 64, ...options };
  }

  get waiting(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.waiting, 0);
  }

  get running(): number {
    return [...this.#queues.values()].reduce((sum, queue) => sum + queue.running, 0);
  }

  get contexts(): number {
    return this.#held.size;
  }

  /** @throws {GlyphpressError} GP_BUSY; GP_DOCUMENT_STATE when the context is gone */
  async ask(question: EngineQuestion): Promise<EngineAnswer<CompressionReport>> {
    return this.inTurn(question, (waitMs, onText) => this.#answer({ ...question, onText }, waitMs));
  }

  /**
   * Asks a model when it is the asker's turn; once more where its thread died before anything was said.
   *
   * @throws {GlyphpressError} GP_BUSY
   */
  async inTurn<T>(
    { model, asker, signal, onText }: Turn,
    ask: (waitMs: number, onText: (text: string) => void) => Promise<T>,
  ): Promise<T> {
    const arrived = performance.now();
    return this.#queueOf(model).run(asker, signal, async () => {
      const waitMs = performance.now() - arrived;
      let said = false;
      const say = (text: string) => {
        said = true;
        onText?.(text);
      };
      try {
        return await ask(waitMs, say);
      } catch (error) {
        if (!isDeadModel(error) || said || signal.aborted) throw error;
        return await ask(waitMs, say);
      }
    });
  }

  /** Lets go of what lies at or below a place that is deleted. */
  async drop(folder: string): Promise<void> {
    const below = [...this.#held].filter(([key]) =>
      key.split(BETWEEN).some((part) => part === folder || part.startsWith(`${folder}/`)),
    );
    await Promise.all(below.map(([key, held]) => this.#letGo(key, held)));
  }

  async #answer(
    question: EngineQuestion,
    waitMs: number,
  ): Promise<EngineAnswer<CompressionReport>> {
    const { model: name, folders, openJoint: _, asker: __, question: text, ...rest } = question;
    const { expand, ...options } = rest;
    const key = folders.map(placeName).join(BETWEEN);
    const start = performance.now();
    const known = this.#held.get(key);
    const held = known ?? this.#open(question);
    held.users += 1;
    // The most recently asked last.
    this.#held.delete(key);
    this.#held.set(key, held);
    try {
      const opened = await this.#opened(key, held);
      const loadMs = known ? 0 : performance.now() - start;
      if (!known) await this.#makeRoom();
      try {
        const answer = expand
          ? await this.#expanderOf(opened).ask(text, options, {
              ...expand,
              countTokens: (passage) => opened.model.countTokens(passage),
            })
          : await opened.ask(text, options);
        const { report, context } = opened;
        const contextTokens = answer.passagesRead === 'alone' ? 0 : context.promptTokens;
        return { ...answer, report, contextTokens, waitMs, loadMs };
      } catch (error) {
        if (isDeadModel(error)) await this.#forgetModel(name, opened.model);
        throw error;
      }
    } finally {
      held.users -= 1;
      if (held.gone && held.users === 0) await close(held);
    }
  }

  #expanderOf(opened: LocalDocument): Expander<LocalAnswer> {
    const known = this.#expanders.get(opened);
    if (known) return known;
    const expander = new Expander(opened);
    this.#expanders.set(opened, expander);
    return expander;
  }

  /** What lies at a place is one tenant's: its runs are those of who asks first. */
  #open({ model, folders, openJoint, asker }: EngineQuestion): Held {
    const opening = this.#models.open(model).then(async (whole) => {
      const opened = whole.inTurnsOf(asker);
      const backend = new LocalBackend(opened);
      try {
        return await (openJoint ? openJoint(backend) : backend.openStored(folders[0]!));
      } catch (error) {
        if (isDeadModel(error)) await this.#models.reopen(model, opened);
        throw error;
      }
    });
    return { opening, users: 0, gone: false };
  }

  /** What could not be opened is not held. */
  async #opened(key: string, held: Held): Promise<LocalDocument> {
    try {
      return await held.opening;
    } catch (error) {
      if (this.#held.get(key) === held) this.#held.delete(key);
      throw error;
    }
  }

  /** The newest stays, whatever its size. What is being asked goes on to its answer. */
  async #makeRoom(): Promise<void> {
    const entries = await Promise.all(
      [...this.#held].map(async ([key, held]) => ({
        key,
        held,
        bytes: await held.opening.then(
          ({ heldBytes }) => heldBytes,
          () => 0,
        ),
      })),
    );
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key, held, bytes } of entries.slice(0, -1)) {
      if (total <= this.#options.maxBytes) return;
      if (this.#held.get(key) !== held) continue;
      total -= bytes;
      await this.#letGo(key, held);
    }
  }

  async #letGo(key: string, held: Held): Promise<void> {
    if (this.#held.get(key) === held) this.#held.delete(key);
    held.gone = true;
    if (held.users === 0) await close(held);
  }

  async #forgetModel(name: string, failed: VisionLanguageModel): Promise<void> {
    for (const [key, held] of this.#held) {
      const opened = await held.opening.catch(() => null);
      if (!opened || opened.model.isSameAs(failed)) await this.#letGo(key, held);
    }
    await this.#models.reopen(name, failed);
  }

  #queueOf(model: string): FairQueue {
    const known = this.#queues.get(model);
    if (known) return known;
    const queue = new FairQueue(this.#options.concurrency, this.#options.maxWaiting);
    this.#queues.set(model, queue);
    return queue;
  }
}

/** A model whose thread is dead holds nothing any more. */
async function close({ opening }: Held): Promise<void> {
  await opening.then((opened) => opened.close()).catch(() => {});
}

export function isDeadModel(error: unknown): boolean {
  return error instanceof GlyphpressError && error.code === 'GP_MODEL_RUNTIME';
}
