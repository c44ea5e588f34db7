import { GlyphpressError } from '../../errors.js';
import { SseParser } from './openai-sse.js';
import {
  AttemptFailed,
  errorMessageOf,
  explainStatus,
  isRetryableStatus,
  OpenAiTransport,
  type TransportHooks,
} from './openai-transport.js';

export interface OpenAiBackendOptions {
  /** With or without `/v1`; http or https. */
  baseUrl: string;
  /** The name that the server knows the model by. */
  model: string;
  /** Sent as a bearer token. Never appears in errors. */
  apiKey?: string;
  /** For one attempt, from connecting to the last byte. @defaultValue 600000 */
  timeoutMs?: number;
  /** Attempts after the first. @defaultValue 2 */
  maxRetries?: number;
}

export interface OpenAiAskOptions {
  /** The server's own limit if left out. */
  maxNewTokens?: number;
  /** Other sampling is left to the server. @defaultValue 0 */
  temperature?: number;
  /** Needed for onText and for a true firstTokenMs. @defaultValue true */
  stream?: boolean;
  /** Gets the answer piece by piece. */
  onText?(delta: string): void;
  signal?: AbortSignal | undefined;
  /** Sent as a system message. */
  instructions?: string;
  /** A text part of its own between pages and question. */
  textAfterPages?: string;
}

export interface OpenAiAnswer {
  answer: string;
  /** `stop`, `length`, … as the server says; null if it says nothing. */
  finishReason: string | null;
  usage: { promptTokens: number | null; completionTokens: number | null };
  /**
   * From the first byte sent to the first text (reasoning included), failed attempts and waits
   * included. Without streaming, the first text is the whole answer.
   */
  firstTokenMs: number;
  totalMs: number;
  attempts: number;
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Base64 and JSON must fit into one string of the engine. */
const MAX_PAGE_BYTES = 256 * 1024 * 1024;
const LIST_TIMEOUT_MS = 30_000;

/**
 * Asks a vision-language model behind any OpenAI-compatible server, with pages as images.
 *
 * The rendering saves tokens here as anywhere; pruning does not happen, for the server owns the
 * visual tokens.
 */
export class OpenAiBackend {
  readonly model: string;
  readonly #transport: OpenAiTransport;
  readonly #listTimeoutMs: number;
  /** What the server was found to understand. */
  #dialect: Dialect = { limit: 'max_tokens', temperature: true, streamOptions: true };

  /**
   * @param hooks chance and waiting, for tests
   * @throws {GlyphpressError} GP_CONFIG_VALUE for a bad address, key, time limit or retry count
   */
  constructor(options: OpenAiBackendOptions, hooks: TransportHooks = {}) {
    const { timeoutMs = 600_000, maxRetries = 2 } = options;
    // A timer of Node holds at most 2³¹ − 1 ms.
    assertRange('timeoutMs', timeoutMs, 1, 2 ** 31 - 1);
    assertRange('maxRetries', maxRetries, 0, 20);
    this.model = options.model;
    this.#transport = new OpenAiTransport({ ...options, timeoutMs, maxRetries }, hooks);
    this.#listTimeoutMs = Math.min(timeoutMs, LIST_TIMEOUT_MS);
  }

  /** The normalised address that calls are made under. */
  get baseUrl(): string {
    return this.#transport.baseUrl;
  }

  /**
   * Ask one question about pages.
   *
   * @param pages PNG files in page order; they stand before the question in one user message
   * @throws {GlyphpressError} GP_BACKEND_UNAVAILABLE (try later), GP_BACKEND_REQUEST (the server
   *   refuses), GP_CONTEXT_LENGTH (too many pages), GP_BACKEND_RESPONSE (not the protocol)
   * @throws the signal's reason when it aborts, and whatever onText throws
   */
  async ask(
    pages: AsyncIterable<Buffer> | Iterable<Buffer>,
    question: string,
    options: OpenAiAskOptions = {},
  ): Promise<OpenAiAnswer> {
    const { stream = true, signal } = options;
    const images = await readImages(pages, signal);
    const started = performance.now();
    const reading = new AnswerReading(started, options.onText);
    const ask = (dialect: Dialect) =>
      this.#transport.call(
        {
          path: '/chat/completions',
          body: this.#chatBody(images, question, { ...options, stream }, dialect),
          accept: stream ? 'text/event-stream, application/json' : 'application/json',
          signal,
        },
        async (response) => {
          reading.firstTokenMs = undefined;
          // Some servers ignore `stream` and answer in one piece.
          const isJson = /\bjson\b/i.test(response.headers.get('content-type') ?? '');
          return stream && !isJson
            ? this.#readStream(response, reading)
            : this.#readWhole(response, reading);
        },
      );
    for (let adapted = 0; ; adapted++) {
      const dialect = this.#dialect;
      try {
        const { value, attempts } = await ask(dialect);
        const totalMs = performance.now() - started;
        const firstTokenMs = reading.firstTokenMs ?? totalMs;
        return { ...value, firstTokenMs, totalMs, attempts: attempts + adapted };
      } catch (error) {
        const adaptedDialect = adapt(error, dialect, options);
        if (!adaptedDialect) throw error;
        this.#dialect = adaptedDialect;
      }
    }
  }

  /**
   * Names of the models that the server offers.
   *
   * @throws {GlyphpressError} as {@link ask}; the time limit is at most 30 s
   */
  async listModels(options: { signal?: AbortSignal } = {}): Promise<string[]> {
    const { value } = await this.#transport.call(
      {
        path: '/models',
        accept: 'application/json',
        timeoutMs: this.#listTimeoutMs,
        signal: options.signal,
      },
      async (response) => {
        const body = (await this.#readJson(response)) as { data?: { id?: unknown }[] } | null;
        const ids = Array.isArray(body?.data) ? body.data.map((model) => model?.id) : [undefined];
        if (!ids.every((id) => typeof id === 'string')) {
          throw this.#notTheProtocol('a list of models with ids', JSON.stringify(body));
        }
        return ids as string[];
      },
    );
    return value;
  }

  #chatBody(
    images: readonly ImagePart[],
    question: string,
    { instructions, textAfterPages, maxNewTokens, temperature, stream }: OpenAiAskOptions,
    dialect: Dialect,
  ): Uint8Array<ArrayBuffer> {
    const texts = [...(textAfterPages ? [textAfterPages] : []), question].map((text) => ({
      type: 'text',
      text,
    }));
    const request = {
      model: this.model,
      messages: [
        ...(instructions === undefined ? [] : [{ role: 'system', content: instructions }]),
        { role: 'user', content: [...images, ...texts] },
      ],
      ...((dialect.temperature || temperature !== undefined) && { temperature: temperature ?? 0 }),
      ...(maxNewTokens !== undefined && { [dialect.limit]: maxNewTokens }),
      stream,
      ...(stream && dialect.streamOptions && { stream_options: { include_usage: true } }),
    };
    return Uint8Array.from(Buffer.from(JSON.stringify(request)));
  }

  async #readWhole(response: Response, reading: AnswerReading): Promise<AnswerParts> {
    const body = await this.#readJson(response);
    this.#throwErrorMember(body, reading);
    const choice = firstChoice(body);
    const text = choice && textOf(choice.message);
    if (!choice || text === undefined) {
      throw this.#notTheProtocol('a choice with a message', JSON.stringify(body));
    }
    reading.take(text);
    return { answer: text, finishReason: finishReasonOf(choice), usage: usageOf(body) };
  }

  async #readStream(response: Response, reading: AnswerReading): Promise<AnswerParts> {
    const parser = new SseParser();
    const state: StreamState = {
      answer: '',
      finishReason: null,
      usage: NO_USAGE,
      choices: 0,
      done: false,
    };
    const take = (events: ReturnType<SseParser['push']>) => {
      for (const { event, data } of events) {
        if (state.done) return;
        this.#takeEvent(event, data, state, reading);
      }
    };
    let bytes = 0;
    for await (const chunk of this.#transport.chunks(response, () => !reading.delivered)) {
      bytes += chunk.length;
      take(parser.push(chunk));
      if (state.done) break;
      if (bytes > MAX_ANSWER_BYTES) throw this.#tooLong();
    }
    if (!state.done) take(parser.end());
    if (state.choices === 0) {
      throw this.#notTheProtocol('a stream of events with choices', `none in ${bytes} bytes`);
    }
    if (!state.done && state.finishReason === null) {
      throw new AttemptFailed(
        this.#transport.serverError('GP_BACKEND_UNAVAILABLE', {
          message: `Expected the stream from ${this.baseUrl} to end with [DONE], got its end after ${state.answer.length} characters`,
          hint: 'The server or a proxy cut the answer off: look at its log, then ask again.',
          details: { reason: 'cut off', received: state.answer.length },
        }),
        !reading.delivered,
      );
    }
    return { answer: state.answer, finishReason: state.finishReason, usage: state.usage };
  }

  #takeEvent(event: string, data: string, state: StreamState, reading: AnswerReading): void {
    if (data === '') return;
    if (data === '[DONE]') {
      state.done = true;
      return;
    }
    const chunk = this.#parse(data);
    this.#throwErrorMember(event === 'error' ? { error: chunk } : chunk, reading);
    const usage = usageOf(chunk);
    if (usage !== NO_USAGE) state.usage = usage;
    const choice = firstChoice(chunk);
    if (!choice) return; // The chunk with the usage has no choices.
    state.choices++;
    state.finishReason = finishReasonOf(choice) ?? state.finishReason;
    if (reasoningOf(choice.delta)) reading.think();
    const text = textOf(choice.delta) ?? '';
    state.answer += text;
    reading.take(text);
  }

  /** An answer may carry an error after all: in a stream that had begun, or with status 200. */
  #throwErrorMember(body: unknown, reading: AnswerReading): void {
    const error = (body as { error?: unknown } | null)?.error;
    if (error === undefined || error === null) return;
    const nested = (error as { error?: unknown }).error ?? error;
    const { code, type } = nested as { code?: unknown; type?: unknown };
    const said = this.#transport.redact(
      errorMessageOf({ error: nested }) ?? JSON.stringify(nested),
    );
    // Without a status the request was accepted, so it is the server that failed.
    const status = Number(code) >= 400 && Number(code) < 600 ? Number(code) : 500;
    const explained = explainStatus(status, said);
    throw new AttemptFailed(
      this.#transport.serverError(explained.code, {
        message: `Expected an answer from ${this.baseUrl}, got an error ${reading.delivered ? 'in the middle of it' : 'in its place'}: ${said}`,
        hint: explained.hint,
        details: {
          said,
          errorCode: wordOf(code),
          errorType: wordOf(type),
          midStream: reading.delivered,
        },
      }),
      isRetryableStatus(status) && !reading.delivered,
    );
  }

  async #readJson(response: Response): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.#transport.chunks(response)) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) throw this.#tooLong();
    }
    return this.#parse(Buffer.concat(chunks).toString('utf8'));
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      // The engine's own error quotes the text, which may hold the key: it is not kept as cause.
      throw this.#notTheProtocol('JSON', text === '' ? 'nothing' : text);
    }
  }

  #notTheProtocol(expected: string, got: string): GlyphpressError {
    const shown = this.#transport.redact(got.slice(0, 20_000));
    return this.#transport.serverError('GP_BACKEND_RESPONSE', {
      message: `Expected ${expected} from ${this.baseUrl}, got ${shown.slice(0, 200)}`,
      hint: 'Check that the base URL is that of an OpenAI-compatible server.',
      details: { expected, got: shown },
    });
  }

  #tooLong(): GlyphpressError {
    return this.#notTheProtocol(`at most ${MAX_ANSWER_BYTES} bytes`, 'more');
  }
}

/** Servers differ in which of these request members they take. */
interface Dialect {
  readonly limit: 'max_tokens' | 'max_completion_tokens';
  readonly temperature: boolean;
  readonly streamOptions: boolean;
}

/**
 * Another way to ask a server that refuses a member, if that member can be said otherwise or left out
 * without changing what the caller asked for.
 */
function adapt(error: unknown, sent: Dialect, options: OpenAiAskOptions): Dialect | undefined {
  if (!(error instanceof GlyphpressError)) return undefined;
  const { status, said } = error.details;
  if ((status !== 400 && status !== 422) || typeof said !== 'string') return undefined;
  if (/max_completion_tokens/.test(said) && sent.limit === 'max_tokens') {
    return { ...sent, limit: 'max_completion_tokens' };
  }
  if (/stream_options/.test(said) && sent.streamOptions) return { ...sent, streamOptions: false };
  if (/temperature/.test(said) && sent.temperature && options.temperature === undefined) {
    return { ...sent, temperature: false };
  }
  return undefined;
}

interface ImagePart {
  type: 'image_url';
  image_url: { url: string };
}

/** PNG files as message parts, in order. */
async function readImages(
  pages: AsyncIterable<Buffer> | Iterable<Buffer>,
  signal: AbortSignal | undefined,
): Promise<ImagePart[]> {
  signal?.throwIfAborted();
  const images: ImagePart[] = [];
  let bytes = 0;
  for await (const page of pages) {
    signal?.throwIfAborted();
    const number = images.length + 1;
    bytes += page.length;
    if (!page.subarray(0, 8).equals(PNG_SIGNATURE)) {
      throw new GlyphpressError('GP_BACKEND_REQUEST', {
        message: `Expected page ${number} as a PNG file, got ${page.length} other bytes`,
        hint: 'Pass pages as the renderer wrote them.',
        details: { page: number },
      });
    }
    if (bytes > MAX_PAGE_BYTES) {
      throw new GlyphpressError('GP_BACKEND_REQUEST', {
        message: `Expected pages of at most ${MAX_PAGE_BYTES} bytes in one request, got more at page ${number}`,
        hint: 'Ask about fewer pages at once.',
        details: { page: number, allowed: MAX_PAGE_BYTES },
      });
    }
    const url = `data:image/png;base64,${page.toString('base64')}`;
    images.push({ type: 'image_url', image_url: { url } });
  }
  return images;
}

type AnswerParts = Pick<OpenAiAnswer, 'answer' | 'finishReason' | 'usage'>;

interface StreamState extends AnswerParts {
  choices: number;
  done: boolean;
}

/** What has reached the caller, over all attempts. */
class AnswerReading {
  /** Of the last attempt. */
  firstTokenMs: number | undefined;
  /** True once the caller got text, which no other attempt can take back. */
  delivered = false;
  readonly #started: number;
  readonly #onText: ((delta: string) => void) | undefined;

  constructor(started: number, onText: ((delta: string) => void) | undefined) {
    this.#started = started;
    this.#onText = onText;
  }

  think(): void {
    this.firstTokenMs ??= performance.now() - this.#started;
  }

  take(text: string): void {
    if (text === '') return;
    this.think();
    if (!this.#onText) return;
    this.delivered = true;
    this.#onText(text);
  }
}

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const NO_USAGE: OpenAiAnswer['usage'] = { promptTokens: null, completionTokens: null };

const wordOf = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? value : null;

interface Choice {
  index?: unknown;
  message?: unknown;
  delta?: unknown;
  finish_reason?: unknown;
}

function firstChoice(body: unknown): Choice | undefined {
  const choices = (body as { choices?: unknown } | null)?.choices;
  if (!Array.isArray(choices)) return undefined;
  const objects = choices.filter((choice) => typeof choice === 'object' && choice !== null);
  return objects.find((choice: Choice) => (choice.index ?? 0) === 0);
}

function finishReasonOf(choice: Choice): string | null {
  return typeof choice.finish_reason === 'string' ? choice.finish_reason : null;
}

/** The text of a message: a string, null (all of it was reasoning), or a list of text parts. */
function textOf(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { content } = message as { content?: unknown };
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  return content
    .map((part: { text?: unknown } | null) => (typeof part?.text === 'string' ? part.text : ''))
    .join('');
}

/** Reasoning models stream their thoughts beside the answer, under either name. */
function reasoningOf(delta: unknown): boolean {
  const { reasoning_content, reasoning } = (delta ?? {}) as Record<string, unknown>;
  return Boolean(reasoning_content || reasoning);
}

function usageOf(body: unknown): OpenAiAnswer['usage'] {
  const usage = (body as { usage?: unknown } | null)?.usage;
  if (typeof usage !== 'object' || usage === null) return NO_USAGE;
  const { prompt_tokens, completion_tokens } = usage as Record<string, unknown>;
  const count = (value: unknown) =>
    typeof value === 'number' && Number.isFinite(value) ? value : null;
  return { promptTokens: count(prompt_tokens), completionTokens: count(completion_tokens) };
}

function assertRange(key: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: `Expected ${key} as an integer from ${low} to ${high}, got ${value}`,
    hint: `Set ${key} within that range, or leave it out for the default.`,
    details: { key, value: String(value), allowed: `${low} to ${high}` },
  });
}
