/**
 * Everything that runs graphs, free of threads and text: images to tokens, rows to a cache, tokens to
 * tokens. The worker owns one; tests may use it directly.
 */
import { availableParallelism } from 'node:os';
import { GlyphpressError } from '../errors.js';
import { type AttentionHead, attentionShares } from './attention-scores.js';
import { type Checkpoint, openCheckpoint } from './checkpoint.js';
import { chunkRows, type RunLimits } from './chunk-rows.js';
import { type CompiledModel, compile } from './compile.js';
import { ContextCache, type ContextLease } from './context-cache.js';
import { runStage } from './decoder.js';
import { EMBEDDING } from './decoders/decoder-graph.js';
import { tokenWidth } from './decoders/text-config.js';
import { DeepStackRows } from './deepstack.js';
import type { Device } from './device.js';
import { requireVision } from './families/family.js';
import type { PageImage } from './image-processor.js';
import type { KvShape } from './kv-buffer.js';
import { type ContextLayer, LayerCache } from './kv-cache.js';
import type { KvDtype } from './kv-rows.js';
import { logSumExp } from './log-probability.js';
import { LoopDetector } from './loop-detector.js';
import { textPositions } from './positions.js';
import {
  type DropPoint,
  type PrefillHooks,
  type PrefillResult,
  runPrefill,
  variationMetrics,
} from './prefill.js';
import type { PromptRows } from './prompt.js';
import { type InTurn, RunTurns } from './run-turns.js';
import { checkDevice, Session } from './runtime.js';
import { Sampler, type SamplingOptions } from './sampler.js';
import { type StageLease, StagePool } from './stage-pool.js';
import { type EncodedImage, encodeImage } from './vision-encoder.js';
import { chooseDtype } from './weights/dtype.js';
import { EmbeddingTable } from './weights/embedding-table.js';
import type { AccuracyLevel } from './weights/recipe.js';

export interface EngineOptions {
  /** Threads of each session. @defaultValue all cores */
  threads?: number;
  /** What the graphs run on; the CPU is the tested one. @defaultValue cpu */
  device?: Device;
  cacheDir?: string;
  /** fp32, fp16, int8 or int4. @defaultValue as stored if quantised, else by the model's size */
  dtype?: string;
  /** How quantised weights are multiplied: 1 in float32, 4 with rows of eight bits. @defaultValue 4 */
  accuracyLevel?: AccuracyLevel;
  /**
   * What keys and values are held in, in memory and stored: int8 and fp16 are smaller, and slower by the
   * widening of the cache at each token. @defaultValue fp32, stored as fp16
   */
  kvDtype?: KvDtype;
  /** Rows that go through a stage at once. @defaultValue 512 */
  prefillChunk?: number;
  /**
   * Floating-point operations of one run of a prompt, at most: a run keeps other callers waiting.
   * @defaultValue no bound
   */
  runOperations?: number;
  /**
   * Bytes of layers from which on a model is large: its tower is closed while a prompt is prefilled.
   * @defaultValue 1 GiB
   */
  largeBytes?: number;
  /** Layers before which a drop is expected; others can still be asked for. */
  cuts?: readonly number[];
  /** Memory for contexts kept ready. @defaultValue 1 GiB */
  contextCacheBytes?: number;
}

export interface GenerateRequest {
  tokenIds: readonly number[];
  /** Position of the first of them. */
  position: number;
  maxNewTokens: number;
  sampling: SamplingOptions;
  /** End when the answer only repeats itself. @defaultValue true */
  stopLoops?: boolean;
}

export interface AttendRequest {
  tokenIds: readonly number[];
  /** Position of the first of them. */
  position: number;
  /** Each layer once. */
  layers: {
    layer: number;
    heads: Pick<AttentionHead, 'head' | 'from'>[];
    /** Of the context in this layer, ascending. */
    rows: Int32Array;
  }[];
}

/** `loop`: the answer began to repeat itself without end. */
export type FinishReason = 'stop' | 'length' | 'loop' | 'aborted';

export interface Generated {
  finishReason: FinishReason;
  completionTokens: number;
  /** Tokens at the end that only repeat what stands before them; 0 unless it ended as a loop. */
  repeatedTokens: number;
}

/** @param logProb natural logarithm, under the model's own distribution whatever the sampling */
export type OnToken = (id: number, logProb: number) => void;

export interface Forward {
  /** Output of each stage: float32 [rows, D], by the layer after it. */
  hidden: { layer: number; data: Float32Array; variation?: Float32Array }[];
  /** float32 [rows, vocabulary] */
  logits: Float32Array;
}

const VISION = 'vision';
/** For a first question and its answer, behind a context that is loaded. */
const SPARE_ROWS = 256;
const DEFAULT_CHUNK = 512;
const DEFAULT_CONTEXT_BYTES = 1024 ** 3;

export class Engine {
  readonly #run: RunLimits;
  readonly #device: Device;
  readonly #pool: StagePool;
  readonly #embedding: EmbeddingTable;
  readonly #contexts: ContextCache;
  readonly #kv: KvShape;
  readonly #turns = new RunTurns();
  /** Pages that are encoded or wait for it. */
  #encoding = 0;
  /** Sessions of the vision and head graphs, opened when first needed. */
  readonly #sessions = new Map<string, Promise<Session>>();

  private constructor(
    readonly checkpoint: Checkpoint,
    private readonly model: CompiledModel,
    private readonly threads: number,
    options: EngineOptions,
  ) {
    const { cuts = [], device = 'cpu', prefillChunk = DEFAULT_CHUNK } = options;
    const { runOperations: operations = Number.POSITIVE_INFINITY } = options;
    this.#run = { chunk: checkChunk(prefillChunk), operations };
    this.#device = device;
    this.#pool = new StagePool(model, threads, cuts, device);
    this.#kv = { ...checkpoint.config.text, dtype: options.kvDtype ?? 'fp32' };
    this.#contexts = new ContextCache(options.contextCacheBytes ?? DEFAULT_CONTEXT_BYTES);
    const { config, weights } = checkpoint;
    this.#embedding = new EmbeddingTable(weights.get(EMBEDDING)!, config.text.hiddenSize);
  }

  static async open(dir: string, options: EngineOptions = {}): Promise<Engine> {
    checkDevice(options.device ?? 'cpu');
    const checkpoint = openCheckpoint(dir);
    try {
      const { dtype } = chooseDtype(checkpoint, options.dtype);
      const model = await compile(checkpoint, dtype, {
        cacheDir: options.cacheDir,
        accuracyLevel: options.accuracyLevel,
        kvDtype: options.kvDtype,
        largeBytes: options.largeBytes,
      });
      return new Engine(checkpoint, model, options.threads ?? availableParallelism(), options);
    } catch (error) {
      checkpoint.close();
      throw error;
    }
  }

  get #text() {
    return this.checkpoint.config.text;
  }

  /**
   * @param group of callers, who take turns with those of other groups
   * @throws {GlyphpressError} GP_MODEL_NO_VISION if the model reads text only
   */
  async encodeImage(page: PageImage, group = ''): Promise<EncodedImage> {
    requireVision(this.checkpoint.config);
    this.#encoding += 1;
    try {
      // Attention between patches takes scratch memory that is not worth keeping from page to page.
      const session = await this.#session(VISION, this.model.visionGraph, false);
      return await this.#turns.run(group, () => encodeImage(session, this.checkpoint, page));
    } finally {
      this.#encoding -= 1;
    }
  }

  /**
   * A large model's tower is not kept beside the layers of its decoder, which would take a third more: pages
   * are encoded before a prefill, and the next one opens it again.
   */
  async #letTowerGo(): Promise<void> {
    if (!this.model.isLarge || this.#encoding > 0) return;
    const session = this.#sessions.get(VISION);
    this.#sessions.delete(VISION);
    await (await session)?.release();
  }

  /**
   * Runs a prompt through the decoder and keeps its cache under the returned handle.
   *
   * @param group as in {@link encodeImage}
   */
  async prefill(
    rows: PromptRows,
    drops: readonly DropPoint[],
    hooks: Omit<PrefillHooks, 'inTurn'>,
    group = '',
  ): Promise<PrefillResult & { handle: number }> {
    await this.#letTowerGo();
    const lease = await this.#pool.acquire(
      drops.map(({ layer }) => layer),
      variationMetrics(drops),
    );
    try {
      const input = { ...rows, hidden: this.#embed(rows), deepStack: this.#deepStack(rows) };
      const settings = { run: this.#run, kvDtype: this.#kv.dtype };
      const turns = { ...hooks, inTurn: this.#inTurn(group) };
      const result = await runPrefill(lease.stages, this.#text, input, drops, settings, turns);
      return { ...result, handle: this.#contexts.add(result.caches) };
    } finally {
      await lease.release();
    }
  }

  /** Takes in a context that was made before, perhaps by another process. */
  loadContext(layers: readonly ContextLayer[]): number {
    return this.#contexts.add(
      layers.map((layer) => LayerCache.fromContext(layer, this.#kv, SPARE_ROWS)),
    );
  }

  /** Contexts that are kept ready. */
  get contextCount(): number {
    return this.#contexts.size;
  }

  dropContext(handle: number): void {
    this.#contexts.delete(handle);
  }

  /**
   * Answers over a context: `onToken` gets each token but the stop token.
   *
   * @param group as in {@link encodeImage}
   * @returns undefined when the context is no longer here and must be loaded again
   */
  async generate(
    handle: number,
    request: GenerateRequest,
    onToken: OnToken,
    signal?: AbortSignal,
    group = '',
  ): Promise<Generated | undefined> {
    const context = this.#contexts.lease(handle, request.tokenIds.length + request.maxNewTokens);
    if (!context) return undefined;
    let lease: StageLease | undefined;
    try {
      lease = await this.#pool.acquire(lengthChanges(context.caches));
      return await this.#decode(lease, context, request, onToken, this.#inTurn(group), signal);
    } finally {
      context.release();
      await lease?.release();
    }
  }

  /**
   * How the rows of a question attend to rows of a context, which stays as it is.
   *
   * @param group as in {@link encodeImage}
   * @returns float32 [rows] for each head, in the order of the request; undefined when the context is no
   *   longer here and must be loaded again
   */
  async attend(
    handle: number,
    { tokenIds, position, layers }: AttendRequest,
    group = '',
  ): Promise<Float32Array[] | undefined> {
    const context = this.#contexts.lease(handle, tokenIds.length);
    if (!context) return undefined;
    let lease: StageLease | undefined;
    try {
      const { caches } = context;
      const lengths = caches.map((cache) => cache.length);
      lease = await this.#pool.acquire(lengthChanges(caches));
      const last = Math.max(...layers.map(({ layer }) => layer));
      const found = new Map<number, Float32Array[]>();
      let data = this.embedTokens(tokenIds);
      const positions = textPositions(position, tokenIds.length);
      const span = [0, tokenIds.length] as const;
      for (const stage of lease.stages.filter(({ from }) => from <= last)) {
        const wants = ['output', 'queries'] as const;
        const result = await this.#turns.run(group, () =>
          runStage(stage, this.#text, caches, data, positions, span, wants),
        );
        data = result.output!;
        for (const { layer, heads, rows } of layers) {
          if (layer < stage.from || layer >= stage.to) continue;
          const queries = { ...this.#text, queries: result.queries![layer - stage.from]! };
          const { keys } = caches[layer]!;
          found.set(layer, attentionShares(queries, keys, lengths[layer]!, heads, rows));
        }
      }
      return layers.flatMap(({ layer }) => found.get(layer)!);
    } finally {
      context.release();
      await lease?.release();
    }
  }

  /** The whole prompt at once, without drops or a kept cache: for tests and recomputation. */
  async forward(rows: PromptRows, cuts: readonly number[]): Promise<Forward> {
    const lease = await this.#pool.acquire(cuts);
    try {
      const { layers } = this.#text;
      const caches = Array.from({ length: layers }, () => new LayerCache(this.#kv));
      for (const cache of caches) cache.reserve(rows.image.length);
      const hidden: Forward['hidden'] = [];
      let data = this.#embed(rows);
      const deepStack = this.#deepStack(rows);
      const { positions } = rows;
      for (const stage of lease.stages) {
        const wants = stage.variation ? (['output', 'variation'] as const) : (['output'] as const);
        const span = [0, rows.image.length] as const;
        const text = this.#text;
        const result = await runStage(stage, text, caches, data, positions, span, wants, deepStack);
        data = result.output!;
        hidden.push({
          layer: stage.to,
          data,
          ...(result.variation ? { variation: result.variation } : {}),
        });
      }
      return { hidden, logits: await this.#logits(data) };
    } finally {
      await lease.release();
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
    for (const session of this.#sessions.values()) await (await session).release();
    this.checkpoint.close();
  }

  async #decode(
    { stages }: StageLease,
    { caches }: ContextLease,
    { tokenIds, position, maxNewTokens, sampling, stopLoops = true }: GenerateRequest,
    onToken: OnToken,
    inTurn: InTurn,
    signal?: AbortSignal,
  ): Promise<Generated> {
    const sampler = new Sampler(sampling, tokenIds);
    const loops = new LoopDetector();
    const end = (finishReason: FinishReason, completionTokens: number, repeatedTokens = 0) => ({
      finishReason,
      completionTokens,
      repeatedTokens,
    });
    const stops = new Set(this.checkpoint.eosTokenIds);
    const step = async (ids: readonly number[], at: number) => {
      let data = this.embedTokens(ids);
      const positions = textPositions(at, ids.length);
      for (const stage of stages) {
        const span = [0, ids.length] as const;
        data = (await runStage(stage, this.#text, caches, data, positions, span, ['output']))
          .output!;
      }
      return data.subarray(-this.#text.hiddenSize);
    };
    let last: Float32Array | undefined;
    let next = position;
    const past = caches[0]!.length;
    for (let from = 0; from < tokenIds.length; ) {
      if (signal?.aborted) return end('aborted', 0);
      const ids = tokenIds.slice(from, from + chunkRows(this.#run, past + from, this.#text));
      last = await inTurn(() => step(ids, next));
      from += ids.length;
      next += ids.length;
    }
    if (!last) throw new Error('a question needs at least one token');
    for (let count = 0; ; count += 1) {
      if (signal?.aborted) return end('aborted', count);
      if (count === maxNewTokens) return end('length', count);
      const logits = await inTurn(() => this.#logits(last!));
      // The sampler may change its copy for the repetition penalty.
      const own = (sampling.repetitionPenalty ?? 1) === 1 ? logits : logits.slice();
      const id = sampler.next(logits);
      if (stops.has(id)) return end('stop', count);
      onToken(id, own[id]! - logSumExp(own));
      const repeated = stopLoops ? loops.push(id) : 0;
      if (repeated > 0) return end('loop', count + 1, repeated);
      // The last token's own row would never be read.
      if (count + 1 < maxNewTokens) last = await inTurn(() => step([id], next));
      next += 1;
    }
  }

  async #logits(hidden: Float32Array): Promise<Float32Array> {
    const session = await this.#session('head', this.model.headGraph, true);
    const width = this.#text.hiddenSize;
    const feeds = { hidden: { data: hidden, dims: [hidden.length / width, width] } };
    return (await session.run(feeds, ['logits'])).logits;
  }

  #inTurn(group: string): InTurn {
    return (work) => this.#turns.run(group, work);
  }

  #session(name: string, graph: () => Uint8Array, arena: boolean): Promise<Session> {
    const known = this.#sessions.get(name);
    if (known) return known;
    const { weightsFolder } = this.model;
    const session = Session.create(name, graph(), {
      weightsFolder,
      threads: this.threads,
      device: this.#device,
      arena,
    });
    this.#sessions.set(name, session);
    // A failure is not kept: memory may be there next time.
    session.catch(() => this.#sessions.delete(name));
    return session;
  }

  /** Rows of the input embedding. @returns float32 [ids, D] */
  embedTokens(ids: readonly number[]): Float32Array {
    const width = this.#text.hiddenSize;
    const hidden = new Float32Array(ids.length * width);
    for (const [row, id] of ids.entries()) this.#embedding.read(id, hidden, row * width);
    return hidden;
  }

  #deepStack({ features, image }: PromptRows): DeepStackRows | undefined {
    const { hiddenSize, deepStackLevels } = this.#text;
    if (deepStackLevels === 0) return undefined;
    return new DeepStackRows(features, hiddenSize, deepStackLevels, image);
  }

  #embed({ tokenIds, features }: PromptRows): Float32Array {
    const width = this.#text.hiddenSize;
    const stride = tokenWidth(this.#text);
    const hidden = new Float32Array(tokenIds.length * width);
    let image = 0;
    let taken = 0;
    for (const [row, id] of tokenIds.entries()) {
      if (id >= 0) {
        this.#embedding.read(id, hidden, row * width);
        continue;
      }
      while (taken === features[image]!.length) {
        image += 1;
        taken = 0;
      }
      hidden.set(features[image]!.subarray(taken, taken + width), row * width);
      taken += stride;
    }
    return hidden;
  }
}

/** Layers whose context is of another length than the layer's before: stages must end there. */
function lengthChanges(caches: readonly LayerCache[]): number[] {
  return [...caches.keys()].filter(
    (layer) => layer > 0 && caches[layer]!.length !== caches[layer - 1]!.length,
  );
}

function checkChunk(rows: number): number {
  if (Number.isSafeInteger(rows) && rows >= 1) return rows;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: `Expected prefillChunk to be a positive whole number, got ${rows}.`,
    hint: 'Leave it out, or use 512.',
    details: { key: 'prefillChunk', actual: rows },
  });
}
