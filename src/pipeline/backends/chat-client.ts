/** Chat completions of any OpenAI-compatible server, for questions about pages and for the search. */

import { createParser } from 'eventsource-parser';
import type { Agent, Response } from 'undici';
import { GlyphpressError } from '../../errors.js';
import { AnswerReading, type ChatAnswer } from './chat-answer.js';
import { readCompletion, readModelNames, type TokenUsage } from './chat-completion.js';
import { bodyOf, type ChatRequest, type Dialect, otherDialect } from './chat-request.js';
import { Endpoint, type EndpointOptions } from './endpoint.js';
import { AttemptFailed, type RetryOptions, withRetries } from './retry.js';
import { ServerFailures } from './server-failure.js';

export interface ChatClientOptions extends EndpointOptions {
  /** The name that the server knows the model by. */
  model: string;
  /** For one attempt, from connecting to the last byte. @defaultValue 600000 */
  timeoutMs?: number | undefined;
  /** Attempts after the first. @defaultValue 2 */
  maxRetries?: number | undefined;
  /** Longer answers are refused. @defaultValue 64 MiB */
  maxAnswerBytes?: number | undefined;
}

/** What tests replace: chance and waiting. */
export type ChatClientHooks = Pick<RetryOptions, 'random' | 'sleep'>;

interface HttpCall {
  path: string;
  /** JSON; without it the call is a GET. */
  body?: Buffer;
  accept: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

const LIST_TIMEOUT_MS = 30_000;
const ERROR_BODY_BYTES = 64 * 1024;

/** A long prefill may be silent for longer than the 300 s that undici waits on its own. */
let patient: Agent | undefined;

/** Loaded at the first call: most of what imports this file asks no server. */
async function http() {
  const { Agent, fetch } = await import('undici');
  patient ??= new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  return { fetch, dispatcher: patient };
}

/**
 * An attempt is repeated on 408, 409, 429, 5xx and broken connections, unless `x-should-retry` says
 * otherwise, and not once text was handed out. An attempt that ran into its time limit is not repeated:
 * the server may still be working on it.
 *
 * Redirects are refused, so that the key and the pages go only where the user sent them.
 */
export class ChatClient {
  readonly model: string;
  readonly #endpoint: Endpoint;
  readonly #failures: ServerFailures;
  readonly #timeoutMs: number;
  readonly #retries: RetryOptions;
  readonly #maxAnswerBytes: number;
  /** What the server was found to understand. */
  #dialect: Dialect = { limit: 'max_tokens', streamOptions: true };

  /** @throws {GlyphpressError} GP_CONFIG_VALUE for a bad address, key, time limit or retry count */
  constructor(options: ChatClientOptions, hooks: ChatClientHooks = {}) {
    const { timeoutMs = 600_000, maxRetries = 2, maxAnswerBytes = 64 * 1024 ** 2 } = options;
    // A timer of Node holds at most 2³¹ − 1 ms.
    assertRange('timeoutMs', timeoutMs, 1, 2 ** 31 - 1);
    assertRange('maxRetries', maxRetries, 0, 20);
    this.model = options.model;
    this.#endpoint = new Endpoint(options);
    this.#failures = new ServerFailures(this.#endpoint);
    this.#timeoutMs = timeoutMs;
    this.#retries = { maxRetries, ...hooks };
    this.#maxAnswerBytes = maxAnswerBytes;
  }

  /** The normalised address that calls are made under. */
  get baseUrl(): string {
    return this.#endpoint.address;
  }

  /**
   * @throws {GlyphpressError} GP_BACKEND_UNAVAILABLE (try later), GP_BACKEND_REQUEST (the server
   *   refuses), GP_CONTEXT_LENGTH (the prompt is too long), GP_BACKEND_RESPONSE (not the protocol)
   * @throws the signal's reason when it aborts, and whatever onText throws
   */
  async complete(request: ChatRequest): Promise<ChatAnswer> {
    const started = performance.now();
    const reading = new AnswerReading(started, request);
    for (let adapted = 0; ; adapted++) {
      const dialect = this.#dialect;
      try {
        const { value, attempts } = await this.#ask(request, dialect, reading);
        const totalMs = performance.now() - started;
        const firstTokenMs = reading.firstTokenMs ?? totalMs;
        return { ...value, firstTokenMs, totalMs, attempts: attempts + adapted };
      } catch (error) {
        const other = otherDialect(error, dialect);
        if (!other) throw error;
        this.#dialect = other;
      }
    }
  }

  /**
   * Names of the models that the server offers.
   *
   * @throws {GlyphpressError} as {@link complete}; the time limit is at most 30 s
   */
  async listModels({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<string[]> {
    const { value } = await this.#call(
      {
        path: '/models',
        accept: 'application/json',
        timeoutMs: Math.min(this.#timeoutMs, LIST_TIMEOUT_MS),
        signal,
      },
      async (response) => {
        const body = await this.#readJson(response);
        const names = readModelNames(body);
        if (names) return names;
        throw this.#failures.unreadable('a list of models with ids', JSON.stringify(body));
      },
    );
    return value;
  }

  #ask(request: ChatRequest, dialect: Dialect, reading: AnswerReading) {
    const { stream = false, signal } = request;
    const call = {
      path: '/chat/completions',
      body: Buffer.from(JSON.stringify(bodyOf(this.model, request, dialect))),
      accept: stream ? 'text/event-stream, application/json' : 'application/json',
      timeoutMs: this.#timeoutMs,
      signal,
    };
    return this.#call(call, (response) => {
      reading.restart();
      // Some servers ignore `stream` and answer in one piece.
      const isJson = /\bjson\b/i.test(response.headers.get('content-type') ?? '');
      return stream && !isJson
        ? this.#readStream(response, reading)
        : this.#readWhole(response, reading);
    });
  }

  #call<T>(call: HttpCall, read: (response: Response) => Promise<T>) {
    return withRetries(() => this.#attempt(call, read), { ...this.#retries, signal: call.signal });
  }

  /** `read` consumes the answer within the time limit of the attempt. */
  async #attempt<T>(call: HttpCall, read: (response: Response) => Promise<T>): Promise<T> {
    call.signal?.throwIfAborted();
    const attempt = new AbortController();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      attempt.abort();
    }, call.timeoutMs);
    const signals = [attempt.signal, ...(call.signal ? [call.signal] : [])];
    try {
      const response = await this.#fetch(call, AbortSignal.any(signals));
      if (!response.ok) throw await this.#refusal(response);
      return await read(response);
    } catch (failure) {
      if (failure instanceof AttemptFailed) {
        call.signal?.throwIfAborted();
        if (timedOut) throw this.#failures.timeout(call.timeoutMs);
      }
      throw failure;
    } finally {
      clearTimeout(timer);
      // Frees the connection of an answer that was not read to its end.
      attempt.abort();
    }
  }

  async #fetch({ path, body, accept }: HttpCall, signal: AbortSignal): Promise<Response> {
    const { fetch, dispatcher } = await http();
    try {
      return await fetch(this.#endpoint.url(path), {
        method: body ? 'POST' : 'GET',
        headers: {
          accept,
          'user-agent': 'glyphpress',
          ...(body && { 'content-type': 'application/json' }),
          ...this.#endpoint.authorization,
        },
        body: body ?? null,
        redirect: 'manual',
        signal,
        dispatcher,
      });
    } catch (cause) {
      throw this.#failures.brokenConnection(cause, true);
    }
  }

  async #refusal(response: Response): Promise<AttemptFailed> {
    const { status, headers } = response;
    let body = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.#chunks(response)) {
        body += decoder.decode(chunk, { stream: true });
        if (body.length > ERROR_BODY_BYTES) break;
      }
    } catch (failure) {
      // What came before the connection broke says enough.
      if (!(failure instanceof AttemptFailed)) throw failure;
    }
    return this.#failures.refusal(status, headers as unknown as Headers, body);
  }

  async #readWhole(response: Response, reading: AnswerReading): Promise<AnswerParts> {
    const body = await this.#readJson(response);
    const { choice, usage, error } = readCompletion(body, 'message');
    if (error !== null) throw this.#failures.errorMember(error, reading.delivered);
    if (!choice) {
      throw this.#failures.unreadable('a choice with a message', JSON.stringify(body));
    }
    reading.take(choice.text);
    return {
      text: reading.end(),
      toolCalls: choice.toolCalls,
      finishReason: choice.finishReason,
      usage: usage ?? NO_USAGE,
    };
  }

  async #readStream(response: Response, reading: AnswerReading): Promise<AnswerParts> {
    const state: StreamState = { finishReason: null, usage: NO_USAGE, choices: 0, done: false };
    const parser = createParser({
      onEvent: ({ event, data }) => {
        if (!state.done) this.#takeEvent(event, data, state, reading);
      },
    });
    const decoder = new TextDecoder();
    let bytes = 0;
    for await (const chunk of this.#chunks(response, () => !reading.delivered)) {
      bytes += chunk.length;
      parser.feed(decoder.decode(chunk, { stream: true }));
      if (state.done) break;
    }
    // The standard drops an event without a blank line after it; servers that close right after their
    // last line exist.
    if (!state.done) parser.feed(`${decoder.decode()}\n\n`);
    if (state.choices === 0) {
      throw this.#failures.unreadable('a stream of events with choices', `none in ${bytes} bytes`);
    }
    const isCutOff = !state.done && state.finishReason === null;
    if (isCutOff) throw this.#failures.cutOff(reading.received, !reading.delivered);
    return {
      text: reading.end(),
      toolCalls: [],
      finishReason: state.finishReason,
      usage: state.usage,
    };
  }

  #takeEvent(
    event: string | undefined,
    data: string,
    state: StreamState,
    reading: AnswerReading,
  ): void {
    if (data === '') return;
    if (data === '[DONE]') {
      state.done = true;
      return;
    }
    const body = this.#parse(data);
    const { choice, usage, error } = readCompletion(body, 'delta');
    const fault = event === 'error' ? body : error;
    if (fault !== null) throw this.#failures.errorMember(fault, reading.delivered);
    state.usage = usage ?? state.usage;
    if (!choice) return;
    state.choices++;
    state.finishReason = choice.finishReason ?? state.finishReason;
    if (choice.isReasoning) reading.noteFirstToken();
    reading.take(choice.text);
  }

  /** The chunks of an answer, as many as are allowed; a connection that breaks is an {@link AttemptFailed}. */
  async *#chunks(response: Response, retry = () => true): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    const reader = response.body?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((cause: unknown) => {
          throw this.#failures.brokenConnection(cause, retry());
        });
        if (done) return;
        bytes += value.length;
        if (bytes > this.#maxAnswerBytes)
          throw this.#failures.unreadable(`at most ${this.#maxAnswerBytes} bytes`, 'more');
        yield value;
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  async #readJson(response: Response): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#chunks(response)) chunks.push(chunk);
    return this.#parse(Buffer.concat(chunks).toString('utf8'));
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      // The engine's own error quotes the text, which may hold the key: it is not kept as cause.
      throw this.#failures.unreadable('JSON', text === '' ? 'nothing' : text);
    }
  }
}

type AnswerParts = Pick<ChatAnswer, 'text' | 'toolCalls' | 'finishReason' | 'usage'>;

interface StreamState {
  finishReason: string | null;
  usage: TokenUsage;
  choices: number;
  done: boolean;
}

const NO_USAGE: TokenUsage = { promptTokens: null, completionTokens: null };

function assertRange(key: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: `Expected ${key} as an integer from ${low} to ${high}, got ${value}`,
    hint: `Set ${key} within that range, or leave it out for the default.`,
    details: { key, value: String(value), allowed: `${low} to ${high}` },
  });
}
