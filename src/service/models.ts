/** The models of a service, by the name that clients use. */

import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import type { TokenCounter } from '../pipeline/report.js';
import {
  inspectModel,
  type KvDtype,
  type ModelInfo,
  SHARED_RUN_OPERATIONS,
  textTokenCounter,
  VisionLanguageModel,
} from '../vlm/index.js';

export interface ModelOptions {
  threads?: number;
  /** What the weights of each model are held in; see OpenOptions. */
  dtype?: string;
  /** What keys and values are held in; see OpenOptions. */
  kvDtype?: KvDtype;
  /** Memory for contexts that the model holds ready. */
  contextCacheBytes?: number;
  /** For compiled graphs; see OpenOptions. */
  cacheDir?: string;
}

/** A model under a name that its folder does not have: of the hub, or of a file. */
export interface NamedModel {
  name: string;
  dir: string;
}

export class ModelRegistry {
  readonly #infos = new Map<string, ModelInfo>();
  readonly #counters = new Map<string, TokenCounter>();
  readonly #opened = new Map<string, Promise<VisionLanguageModel>>();
  readonly #options: ModelOptions;

  /**
   * @param models checkpoint folders, called as the folder unless they have a name; the first is the default
   * @throws {GlyphpressError} GP_CHECKPOINT and others if one cannot be read, GP_SERVICE for two of one name,
   *   GP_MODEL_NO_VISION for one that reads text only: a service reads pages
   */
  constructor(models: readonly (string | NamedModel)[], options: ModelOptions = {}) {
    this.#options = options;
    for (const model of models) {
      const { name, dir } =
        typeof model === 'string'
          ? { name: path.basename(path.resolve(model)), dir: model }
          : model;
      if (this.#infos.has(name)) {
        throw new GlyphpressError('GP_SERVICE', {
          message: `Two models are called ${name}`,
          hint: 'A model is called as its folder, or as on the hub: rename one of the folders.',
          details: { name },
        });
      }
      const info = inspectModel(path.resolve(dir), undefined, options.dtype, options.kvDtype);
      if (!info.vision) throw readsNoPages(name);
      this.#infos.set(name, info);
    }
  }

  get names(): string[] {
    return [...this.#infos.keys()];
  }

  get defaultName(): string {
    return this.names[0]!;
  }

  /** @throws {GlyphpressError} GP_MODEL_UNKNOWN */
  info(name: string): ModelInfo {
    const info = this.#infos.get(name);
    if (info) return info;
    throw new GlyphpressError('GP_MODEL_UNKNOWN', {
      message: `There is no model "${name}" here`,
      hint: `Give one of ${this.names.join(', ')}.`,
      details: { param: 'model', allowed: this.names },
    });
  }

  /** What counts text tokens of a model, without opening it. */
  counter(name: string): TokenCounter {
    const info = this.info(name);
    const known = this.#counters.get(name) ?? { info, countTokens: textTokenCounter(info.dir) };
    this.#counters.set(name, known);
    return known;
  }

  /** The model, opened once; a failure to open is not kept. */
  open(name: string): Promise<VisionLanguageModel> {
    const known = this.#opened.get(name);
    if (known) return known;
    const opening = VisionLanguageModel.open(this.info(name).dir, {
      ...this.#options,
      runOperations: SHARED_RUN_OPERATIONS,
    });
    this.#opened.set(name, opening);
    opening.catch(() => this.#opened.delete(name));
    return opening;
  }

  /** For a model whose thread may be dead: the next call opens it anew, unless somebody did already. */
  async reopen(name: string, failed: VisionLanguageModel): Promise<void> {
    const opened = this.#opened.get(name);
    const now = await opened?.catch(() => null);
    if (!now?.isSameAs(failed)) return;
    if (this.#opened.get(name) === opened) this.#opened.delete(name);
    await failed.close().catch(() => {});
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opened.values()].map(async (model) => (await model).close()));
    this.#opened.clear();
  }
}

function readsNoPages(name: string): GlyphpressError {
  return new GlyphpressError('GP_MODEL_NO_VISION', {
    message: `The model ${name} reads text only; a service reads documents as pages.`,
    hint: 'Serve a model with a vision tower (glyphpress models --known); ask reads as text with --as text.',
    details: { name },
  });
}
