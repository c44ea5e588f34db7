/** Answers questions by passages of documents, for models that read them alone: no context is needed. */

import type { AskOptions } from '../pipeline/backend.js';
import type { ExpansionChoice } from '../pipeline/expanding/expansion-choice.js';
import { PassagesDocument } from '../pipeline/expanding/passages-document.js';
import type { ReportSoFar } from '../pipeline/report.js';
import { placeName } from '../store/place.js';
import { citedDocument } from './joint-context.js';
import type { ModelRegistry } from './models.js';
import { type EngineAnswer, isDeadModel, type QuestionEngine } from './question-engine.js';
import { contextFolder, type Work } from './work.js';

export interface PassagesQuestion extends AskOptions {
  model: string;
  works: readonly Work[];
  /** Of the works together. */
  report: ReportSoFar;
  expand: ExpansionChoice;
  question: string;
  asker: string;
  signal: AbortSignal;
}

interface Held {
  opening: Promise<PassagesDocument>;
  characters: number;
}

/** Of texts that are held ready, with the index of their words. */
const MAX_CHARACTERS = 16 * 1024 ** 2;

/** Between the places of one key; stands in no name. */
const BETWEEN = '\0';

export class PassagesEngine {
  /** By the names of their places, the most recently asked last. */
  readonly #held = new Map<string, Held>();

  constructor(
    private readonly models: ModelRegistry,
    private readonly engine: QuestionEngine,
  ) {}

  /** @returns null where the question has no passages: it is to be asked over contexts */
  async ask(question: PassagesQuestion): Promise<EngineAnswer | null> {
    return this.engine.inTurn(question, (waitMs, onText) =>
      this.#answer({ ...question, onText }, waitMs),
    );
  }

  /** Lets go of texts of a document that is deleted. @param folder of one of its contexts */
  drop(folder: string): void {
    for (const key of this.#held.keys())
      if (key.split(BETWEEN).includes(folder)) this.#held.delete(key);
  }

  async #answer(question: PassagesQuestion, waitMs: number): Promise<EngineAnswer | null> {
    const { works, report, expand, question: text, model: name, asker: _, ...options } = question;
    const start = performance.now();
    const key = works.map((work) => placeName(contextFolder(work))).join(BETWEEN);
    const known = this.#held.get(key);
    const held = known ?? this.#open(name, works);
    // The most recently asked last.
    this.#held.delete(key);
    this.#held.set(key, held);
    try {
      const opened = await this.#opened(key, held);
      const loadMs = known ? 0 : performance.now() - start;
      this.#makeRoom();
      const countTokens = (passage: string) => opened.model.countTokens(passage);
      const answer = await opened.ask(text, options, { ...expand, countTokens });
      return answer && { ...answer, report, contextTokens: 0, waitMs, loadMs };
    } catch (error) {
      if (isDeadModel(error)) await this.#forgetModel(name, held);
      throw error;
    }
  }

  #open(model: string, works: readonly Work[]): Held {
    const opening = this.models.open(model).then((whole) => {
      const opened = whole.inTurnsOf(works[0]!.record.tenant);
      return new PassagesDocument(opened, works.map(citedDocument));
    });
    const characters = works.reduce((sum, { record }) => sum + (record.characters ?? 0), 0);
    return { opening, characters };
  }

  /** What could not be opened is not held. */
  async #opened(key: string, held: Held): Promise<PassagesDocument> {
    try {
      return await held.opening;
    } catch (error) {
      if (this.#held.get(key) === held) this.#held.delete(key);
      throw error;
    }
  }

  /** The newest stays, whatever its size. What is being asked goes on to its answer. */
  #makeRoom(): void {
    const entries = [...this.#held];
    let total = entries.reduce((sum, [, { characters }]) => sum + characters, 0);
    for (const [key, { characters }] of entries.slice(0, -1)) {
      if (total <= MAX_CHARACTERS) return;
      this.#held.delete(key);
      total -= characters;
    }
  }

  async #forgetModel(name: string, { opening }: Held): Promise<void> {
    const failed = await opening.then(({ model }) => model).catch(() => null);
    if (!failed) return;
    for (const [key, held] of this.#held) {
      const { model } = (await held.opening.catch(() => null)) ?? {};
      if (!model || model.isSameAs(failed)) this.#held.delete(key);
    }
    await this.models.reopen(name, failed);
  }
}
