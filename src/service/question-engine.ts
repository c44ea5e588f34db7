/** Answers questions over stored contexts: each context read once, the least recently asked let go. */

import { GlyphpressError } from '../errors.js';
import { CONTEXT_FILE, readContext } from '../pipeline/artifacts/context-file.js';
import { type Answer, answerQuestion } from '../pipeline/backends/answer.js';
import { CONTEXT_FORM, type CompressedBody } from '../pipeline/compress.js';
import { readArtifactFile, readManifest } from '../store/artifact-folder.js';
import type { GenerateOptions, PrefilledContext, VisionLanguageModel } from '../vlm/index.js';
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

export interface EngineQuestion {
  model: string;
  /** Folder of the context; where several documents are asked, of each of theirs. */
  folders: readonly string[];
  /** Makes the one context of several documents; needed for those only. */
  join?: (model: VisionLanguageModel) => Promise<PrefilledContext>;
  question: string;
  /** Who asks: askers take turns. */
  asker: string;
  generate: Omit<GenerateOptions, 'signal'>;
  signal: AbortSignal;
  /** Part of `signal`: ends the answer where it is, which is then no failure. */
  stop?: AbortSignal;
  onText?: ((text: string) => void) | undefined;
}

export interface EngineAnswer extends Answer {
  /** Tokens of the prompt that were there before the question came. */
  contextTokens: number;
  /** Visual rows in each layer of what was asked. */
  layerVisualTokens: number[];
  /** Time in line. */
  waitMs: number;
  /** Until the context was in memory; 0 when it was. */
  loadMs: number;
}

interface Held {
  model: VisionLanguageModel;
  modelName: string;
  context: PrefilledContext;
  bytes: number;
}

const DEFAULT_BYTES = 1024 ** 3;

/** Between the folders of one key; stands in no path. */
const BETWEEN = '\0';

export class QuestionEngine {
  readonly #models: ModelRegistry;
  readonly #options: Required<EngineOptions>;
  readonly #queues = new Map<string, FairQueue>();
  /** By folder or folders, the most recently asked last. */
  readonly #held = new Map<string, Promise<Held>>();

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
  async ask(question: EngineQuestion): Promise<EngineAnswer> {
    const arrived = performance.now();
    const queue = this.#queueOf(question.model);
    return queue.run(question.asker, question.signal, async () => {
      const waitMs = performance.now() - arrived;
      let said = false;
      const onText = (text: string) => {
        said = true;
        question.onText?.(text);
      };
      try {
        return await this.#answer({ ...question, onText }, waitMs);
      } catch (error) {
        if (!isDeadModel(error) || said || question.signal.aborted) throw error;
        return await this.#answer({ ...question, onText }, waitMs);
      }
    });
  }

  /** Lets go of what lies below a folder that is deleted. */
  async drop(folder: string): Promise<void> {
    for (const [key, held] of this.#held) {
      if (!key.split(BETWEEN).some((part) => part === folder || part.startsWith(`${folder}/`)))
        continue;
      this.#held.delete(key);
      await held.then(({ model, context }) => model.forget(context)).catch(() => {});
    }
  }

  async #answer(question: EngineQuestion, waitMs: number): Promise<EngineAnswer> {
    const start = performance.now();
    const known = this.#held.has(question.folders.join(BETWEEN));
    const { model, context } = await this.#hold(question);
    const loadMs = known ? 0 : performance.now() - start;
    const { generate, signal, onText } = question;
    const options = { ...generate, signal };
    try {
      const answer = await answerQuestion(model, context, question.question, options, onText);
      if (!question.stop?.aborted) signal.throwIfAborted();
      const { promptTokens: contextTokens, layerVisualTokens } = context;
      return { ...answer, contextTokens, layerVisualTokens, waitMs, loadMs };
    } catch (error) {
      if (isDeadModel(error)) await this.#forgetModel(question.model, model);
      throw error;
    }
  }

  async #hold(question: EngineQuestion): Promise<Held> {
    const key = question.folders.join(BETWEEN);
    const known = this.#held.get(key);
    const holding = known ?? this.#load(question);
    this.#held.delete(key);
    this.#held.set(key, holding);
    try {
      const held = await holding;
      if (!known) await this.#letGo();
      return held;
    } catch (error) {
      if (this.#held.get(key) === holding) this.#held.delete(key);
      throw error;
    }
  }

  async #load({ model: modelName, folders, join }: EngineQuestion): Promise<Held> {
    const opening = this.#models.open(modelName);
    const loading = join ? opening.then(join) : loadContext(folders[0]!);
    const [model, context] = await Promise.all([opening, loading]);
    const bytes = context.layers.reduce(
      (sum, { keys, values }) => sum + keys.byteLength + values.byteLength,
      0,
    );
    return { model, modelName, context, bytes };
  }

  /** The newest stays, whatever its size. What is being asked goes on to its answer. */
  async #letGo(): Promise<void> {
    const entries = await Promise.all(
      [...this.#held].map(async ([folder, holding]) => ({
        folder,
        holding,
        held: await holding.catch(() => null),
      })),
    );
    let total = entries.reduce((sum, { held }) => sum + (held?.bytes ?? 0), 0);
    for (const { folder, holding, held } of entries.slice(0, -1)) {
      if (total <= this.#options.maxBytes) return;
      if (!held || this.#held.get(folder) !== holding) continue;
      this.#held.delete(folder);
      total -= held.bytes;
      await held.model.forget(held.context).catch(() => {});
    }
  }

  async #forgetModel(name: string, failed: VisionLanguageModel): Promise<void> {
    for (const [folder, holding] of this.#held) {
      const held = await holding.catch(() => null);
      if (!held || held.model === failed) this.#held.delete(folder);
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

async function loadContext(folder: string): Promise<PrefilledContext> {
  const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM);
  if (!manifest) {
    throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
      message: 'The context of this document is gone from the store',
      hint: 'Submit the same document again: its context is made anew, for this one too.',
    });
  }
  return readContext(await readArtifactFile(folder, manifest, CONTEXT_FILE));
}

function isDeadModel(error: unknown): boolean {
  return error instanceof GlyphpressError && error.code === 'GP_MODEL_RUNTIME';
}
