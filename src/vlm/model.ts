/**
 * A vision-language model, ready to read pages and answer. Text is handled here; graphs run in a worker.
 */
import { join } from 'node:path';
import { GlyphpressError } from '../errors.js';
import {
  checkMaxNewTokens,
  type GenerateEvent,
  type GenerateOptions,
  type GenerateResult,
  TokenQueue,
} from './answer-stream.js';
import { type AttentionHeads, readAttentionHeads } from './attention-heads.js';
import type { AttentionHead } from './attention-scores.js';
import { ChatTemplate, specialTokens } from './chat-template.js';
import { openCheckpoint } from './checkpoint.js';
import { checkCuts } from './compile.js';
import { visualRows } from './context-rows.js';
import type { EngineOptions, Forward, Generated, GenerateRequest, OnToken } from './engine.js';
import { noVision } from './families/family.js';
import type { ImageProcessorConfig, PageGrid, PageImage } from './image-processor.js';
import { visualTokenGrid } from './image-processor.js';
import { describeCheckpoint, type ModelInfo, type VisionInfo } from './inspect.js';
import { kvLength } from './kv-rows.js';
import {
  type AttendedCells,
  checkDrops,
  checkQuestion,
  type LayerDrop,
  type PrefilledContext,
  type PrefillOptions,
} from './prefilled-context.js';
import {
  type PromptImage,
  type PromptRows,
  type PromptShape,
  promptRows,
  promptShape,
} from './prompt.js';
import { checkSampling } from './sampler.js';
import { Tokenizer } from './tokenizer.js';
import type { EncodedImage } from './vision-encoder.js';
import { chooseDtype } from './weights/dtype.js';
import { WordVectors } from './word-vectors.js';
import { WorkerClient } from './worker/client.js';
import type { PrefillReply } from './worker/protocol.js';

export interface OpenOptions extends EngineOptions {}

export class VisionLanguageModel {
  #words: WordVectors | undefined;

  private constructor(
    readonly info: ModelInfo,
    private readonly worker: WorkerClient,
    private readonly tokenizer: Tokenizer,
    private readonly template: ChatTemplate,
    private readonly shape: PromptShape,
    private readonly imageProcessor: ImageProcessorConfig | null,
    /** Those that look where an answer stands; null until a calibration found them. */
    readonly attentionHeads: AttentionHeads | null,
    /** Contexts that the worker has ready. */
    private readonly handles = new WeakMap<PrefilledContext, Promise<number>>(),
    private readonly group = '',
  ) {}

  static async open(dir: string, options: OpenOptions = {}): Promise<VisionLanguageModel> {
    const checkpoint = openCheckpoint(dir);
    try {
      const { tokenizerJson, tokenizerConfig, chatTemplate, config } = checkpoint;
      const tokenizer = new Tokenizer(
        tokenizerJson,
        tokenizerConfig,
        join(checkpoint.dir, 'tokenizer.json'),
      );
      const specials = specialTokens(tokenizerConfig);
      const template = new ChatTemplate(
        chatTemplate,
        tokenizer,
        config.vision?.imageTokenId ?? null,
        specials,
        checkpoint.dir,
      );
      checkCuts(options.cuts ?? [], config.text.layers);
      const chosen = chooseDtype(checkpoint, options.dtype);
      const info = describeCheckpoint(checkpoint, tokenizer, chosen, options);
      const worker = new WorkerClient(checkpoint.dir, { ...options, dtype: chosen.dtype });
      try {
        await worker.call('open', undefined);
      } catch (error) {
        await worker.close();
        throw error;
      }
      return new VisionLanguageModel(
        info,
        worker,
        tokenizer,
        template,
        promptShape(config),
        checkpoint.imageProcessor,
        readAttentionHeads(checkpoint, options.cacheDir),
      );
    } finally {
      checkpoint.close();
    }
  }

  /**
   * The same model for one group of callers. Where several groups use it at once, they take turns by the
   * time that their runs take, so that none waits for more than the run that is under way. Calls that are
   * made without are one group too. Whoever opened the model closes it.
   */
  inTurnsOf(group: string): VisionLanguageModel {
    const { info, worker, tokenizer, template, shape, imageProcessor, attentionHeads } = this;
    return new VisionLanguageModel(
      info,
      worker,
      tokenizer,
      template,
      shape,
      imageProcessor,
      attentionHeads,
      this.handles,
      group,
    );
  }

  /** Whether both are one opened model, for whatever callers. */
  isSameAs(other: VisionLanguageModel): boolean {
    return this.worker === other.worker;
  }

  countTokens(text: string): number {
    return this.tokenizer.encodeLiteral(text).length;
  }

  /** What its input embedding knows of words, see {@link WordVectors}. */
  async wordVectors(words: readonly string[]): Promise<Float32Array[]> {
    this.#words ??= new WordVectors(
      (word) => this.tokenizer.encodeLiteral(word),
      this.info.tokenizerVocabulary,
      (ids) => this.worker.call('embedTokens', ids),
    );
    return this.#words.of(words);
  }

  /** @throws {GlyphpressError} GP_MODEL_NO_VISION if the model reads text only */
  get vision(): VisionInfo {
    if (!this.info.vision) throw noVision(this.info.family);
    return this.info.vision;
  }

  /**
   * Grid of visual tokens that a page of this size becomes.
   *
   * @throws {GlyphpressError} GP_MODEL_NO_VISION if the model reads text only, as `encodeImage` does
   */
  visualTokenGrid(page: { widthPx: number; heightPx: number }): PageGrid {
    if (!this.imageProcessor) throw noVision(this.info.family);
    return visualTokenGrid(page, this.imageProcessor);
  }

  async encodeImage({ data, ...size }: PageImage): Promise<EncodedImage> {
    // Sending a view would copy all of the memory behind it.
    const page = data.byteLength === data.buffer.byteLength ? data : new Uint8Array(data);
    return this.worker.call('encodeImage', { ...size, data: page }, { group: this.group });
  }

  /** @throws {GlyphpressError} GP_CHECKPOINT if the chat template lets no text stand before images */
  checkQuestionFirst(question: string): void {
    this.template.documentPrefix(1, question);
  }

  /** Runs the document part of the prompt, everything before the question, and returns its cache. */
  async prefill(
    images: readonly PromptImage[],
    drops: readonly LayerDrop[],
    options: PrefillOptions = {},
  ): Promise<PrefilledContext> {
    const { textAfterImages = '', questionFirst } = options;
    const prefix = this.template.documentPrefix(images.length, questionFirst);
    const text = textAfterImages === '' ? [] : this.tokenizer.encodeLiteral(textAfterImages);
    const rows = this.#promptRows([...prefix, ...text], images);
    const promptTokens = rows.tokenIds.length;
    this.#checkLength(promptTokens, 'The document');
    const byLayer = checkDrops(drops, this.info.layers);
    const { handle, ...reply } = await this.worker.call(
      'prefill',
      { rows, drops: [...byLayer.values()].map(({ layer, needs }) => ({ layer, needs })) },
      {
        ...options,
        group: this.group,
        select: ({ layer }, input) => byLayer.get(layer)!.select(input),
        onOrphan: (reply) => {
          const { handle } = reply as PrefillReply;
          this.worker.call('dropContext', handle).catch(() => {});
        },
      },
    );
    const context: PrefilledContext = {
      ...reply,
      nextPosition: rows.next,
      promptTokens,
      places: { image: rows.image, cell: rows.cell },
      ...(questionFirst !== undefined && { questionFirst }),
      ...(images.length === 0 && { isText: true }),
    };
    this.handles.set(context, Promise.resolve(handle));
    if (options.signal?.aborted) {
      // The worker was done before it heard of it; the caller still gets what was asked for.
      await this.forget(context);
      options.signal.throwIfAborted();
    }
    return context;
  }

  /** Asks a question over a context, which stays as it is; tokens come as they are made. */
  async *answer(
    context: PrefilledContext,
    question: string,
    options: GenerateOptions,
  ): AsyncGenerator<GenerateEvent, GenerateResult> {
    const { signal, stopLoops = true, maxNewTokens: wanted, ...sampling } = options;
    if (wanted !== undefined) checkMaxNewTokens(wanted);
    checkSampling(sampling);
    checkQuestion(context, question);
    const tokenIds = this.template.questionSuffix(question, !context.isText);
    const promptTokens = context.promptTokens + tokenIds.length;
    const { answerTokens, maxPositions } = this.info;
    // One token at least: where not even that fits, the length is what is wrong.
    const maxNewTokens = wanted ?? Math.max(1, Math.min(answerTokens, maxPositions - promptTokens));
    this.#checkLength(promptTokens + maxNewTokens, 'The document with question and answer');
    const abort = new AbortController();
    const signals = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal;
    const tokens = new TokenQueue();
    const request = {
      tokenIds,
      position: context.nextPosition,
      maxNewTokens,
      sampling,
      stopLoops,
    };
    const push = (tokenId: number, logProb: number) => tokens.push({ tokenId, logProb });
    const done = this.#generate(context, request, push, signals).finally(() => tokens.end());
    // It may fail while the consumer is elsewhere; the error is thrown below, when it comes back.
    done.catch(() => {});
    const text = this.tokenizer.stream();
    try {
      let completionTokens = 0;
      for await (const { tokenId, logProb } of tokens) {
        if (signal?.aborted) return { promptTokens, ...aborted(completionTokens) };
        completionTokens += 1;
        yield { tokenId, text: text.push(tokenId), logProb };
      }
    } finally {
      // A consumer that stops early stops the worker too, and leaves the context free for the next question.
      abort.abort();
      await done.catch(() => {});
    }
    return { promptTokens, ...(await done) };
  }

  /**
   * How much each visual token of a context is attended to by a question, head by head.
   *
   * @returns null for a context that does not say which of its rows are which cells
   * @throws {GlyphpressError} GP_MODEL_RUNTIME
   */
  async attend(
    context: PrefilledContext,
    question: string,
    heads: readonly AttentionHead[],
  ): Promise<AttendedCells[] | null> {
    const tokenIds = this.template.questionSuffix(question, !context.isText);
    this.#checkLength(context.promptTokens + tokenIds.length, 'The document with question');
    const layers = [...new Set(heads.map(({ layer }) => layer))].sort((a, b) => a - b);
    const rowsOf = new Map(layers.map((layer) => [layer, visualRows(context, layer)]));
    if ([...rowsOf.values()].includes(null)) return null;
    const asked = layers.map((layer) => ({
      layer,
      heads: heads.filter((head) => head.layer === layer),
      rows: rowsOf.get(layer)!.rows,
    }));
    const attend = { tokenIds, position: context.nextPosition, layers: asked };
    const shares = await this.#overContext(context, (handle) =>
      this.worker.call('attend', { handle, attend }, { group: this.group }),
    );
    const found = asked.flatMap(({ heads }) => heads).map((head, n) => ({ head, n }));
    return heads.map((head) => {
      const { n } = found.find((one) => one.head === head)!;
      const { image, cell } = rowsOf.get(head.layer)!;
      return { image, cell, share: shares[n]! };
    });
  }

  /** Lets the worker forget a context; it can still be asked, and is then sent again. */
  async forget(context: PrefilledContext): Promise<void> {
    const handle = this.handles.get(context);
    this.handles.delete(context);
    if (handle) await this.worker.call('dropContext', await handle);
  }

  /** Contexts that the worker keeps ready; each of them takes memory until it is forgotten. */
  contextCount(): Promise<number> {
    return this.worker.call('countContexts', undefined);
  }

  /** The whole prompt in one pass, without drops: hidden rows after each of `cuts` and every row's logits. */
  forward(
    images: readonly PromptImage[],
    question: string,
    cuts: readonly number[] = [],
  ): Promise<Forward> {
    const ids = [
      ...this.template.documentPrefix(images.length),
      ...this.template.questionSuffix(question, images.length > 0),
    ];
    const rows = this.#promptRows(ids, images);
    return this.worker.call('forward', { rows, cuts: checkCuts(cuts, this.info.layers) });
  }

  async close(): Promise<void> {
    await this.worker.close();
  }

  async #generate(
    context: PrefilledContext,
    generate: GenerateRequest,
    onToken: OnToken,
    signal: AbortSignal,
  ): Promise<Generated> {
    if (signal.aborted) return aborted(0);
    const hooks = { onToken, signal, group: this.group };
    return this.#overContext(context, async (handle) => {
      if (signal.aborted) return aborted(0);
      return this.worker.call('generate', { handle, generate }, hooks);
    });
  }

  /** The worker may have dropped the context for newer ones; then it is sent once more. */
  async #overContext<T>(
    context: PrefilledContext,
    work: (handle: number) => Promise<T | undefined>,
  ): Promise<T> {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const result = await work(await this.#handleOf(context));
      if (result !== undefined) return result;
      this.handles.delete(context);
    }
    throw new GlyphpressError('GP_MODEL_RUNTIME', {
      message: 'The context was dropped from memory as soon as it was loaded.',
      hint: 'Too many contexts are asked at once; ask fewer, or raise contextCacheBytes.',
    });
  }

  #handleOf(context: PrefilledContext): Promise<number> {
    const known = this.handles.get(context);
    if (known) return known;
    this.#checkContext(context);
    const handle = this.worker.call('loadContext', context.layers);
    this.handles.set(context, handle);
    handle.catch(() => this.handles.delete(context));
    return handle;
  }

  #promptRows(tokenIds: readonly number[], images: readonly PromptImage[]): PromptRows {
    return promptRows(tokenIds, this.shape, images);
  }

  #checkLength(tokens: number, what: string): void {
    if (tokens <= this.info.maxPositions) return;
    throw new GlyphpressError('GP_CONTEXT_LENGTH', {
      message: `${what} takes ${tokens} tokens; this model holds ${this.info.maxPositions}.`,
      hint: 'Render more densely, prune more before the decoder, ask for fewer new tokens, or split the document.',
      details: { tokens, limit: this.info.maxPositions },
    });
  }

  #checkContext({ layers }: PrefilledContext): void {
    const { kvHeads, headDim } = this.info;
    const fits =
      layers.length === this.info.layers &&
      layers.every(({ length, keys, values }) => {
        const size = kvHeads * length * headDim;
        return kvLength(keys) === size && kvLength(values) === size;
      });
    if (fits) return;
    throw new GlyphpressError('GP_TENSOR_SHAPE', {
      message: `The context does not fit this model: ${layers.length} layers came, ${this.info.layers} of [${kvHeads}, length, ${headDim}] are needed.`,
      hint: 'Use the model that the context was made with, or compress the document again.',
      details: { layers: layers.length, expected: this.info.layers, kvHeads, headDim },
    });
  }
}

function aborted(completionTokens: number): Generated {
  return { finishReason: 'aborted', completionTokens, repeatedTokens: 0 };
}
