import { type ErrorCode, GlyphpressError } from '../../errors.js';

/** What tests replace: chance and waiting. */
export interface TransportHooks {
  /** Uniform in [0, 1), for the jitter. */
  random?: () => number;
  /** Waits, and rejects when the signal aborts. */
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export interface TransportOptions {
  baseUrl: string;
  apiKey?: string;
  timeoutMs: number;
  maxRetries: number;
}

export interface HttpCall {
  path: string;
  /** JSON bytes; without them the call is a GET. */
  body?: Uint8Array<ArrayBuffer>;
  accept: string;
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

/** A failed attempt: what to tell the caller, and whether another attempt may help. */
export class AttemptFailed extends Error {
  readonly error: GlyphpressError;
  readonly retry: boolean;
  /** What the server asked to wait. */
  readonly retryAfterMs: number | undefined;
  constructor(error: GlyphpressError, retry: boolean, retryAfterMs?: number) {
    super(error.message);
    this.error = error;
    this.retry = retry;
    this.retryAfterMs = retryAfterMs;
  }
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;
/** A server may ask for more than the usual delay, up to this. */
const LONGEST_RETRY_AFTER_MS = 60_000;
const MESSAGE_CHARACTERS = 1_000;
const ERROR_BODY_BYTES = 64 * 1024;

/**
 * HTTP to an OpenAI-compatible server: headers, time limit, retries, and errors in our own words.
 *
 * An attempt is repeated on 408, 409, 429, 5xx and broken connections, after 0.5 s, 1 s, 2 s, … up
 * to 8 s with up to 25 % taken off at random. `x-should-retry` overrules the status;
 * `retry-after-ms` and `retry-after` overrule the delay, up to 60 s. An attempt that ran into its own
 * time limit is not repeated: the server may still be working on it.
 *
 * Redirects are refused, so that the key and the pages go only where the user sent them. The key is
 * removed from everything that an error carries.
 */
export class OpenAiTransport {
  readonly #apiKey: string | undefined;
  readonly #base: URL;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;
  readonly #random: () => number;
  readonly #sleep: (ms: number, signal?: AbortSignal) => Promise<void>;

  constructor(options: TransportOptions, hooks: TransportHooks = {}) {
    this.#base = normaliseBaseUrl(options.baseUrl);
    this.#apiKey = readApiKey(options.apiKey);
    this.#timeoutMs = options.timeoutMs;
    this.#maxRetries = options.maxRetries;
    this.#random = hooks.random ?? Math.random;
    this.#sleep = hooks.sleep ?? sleep;
  }

  /** Where calls go, without a query, which may hold secrets. */
  get baseUrl(): string {
    return this.#base.origin + this.#base.pathname;
  }

  /**
   * Call the server; `read` consumes the answer within the time limit of the attempt.
   *
   * @throws {GlyphpressError} GP_BACKEND_UNAVAILABLE, GP_BACKEND_REQUEST or GP_CONTEXT_LENGTH
   * @throws the signal's reason if it aborts, and whatever `read` throws except {@link AttemptFailed}
   */
  async call<T>(
    call: HttpCall,
    read: (response: Response) => Promise<T>,
  ): Promise<{ value: T; attempts: number }> {
    for (let attempts = 1; ; attempts++) {
      try {
        return { value: await this.#attempt(call, read), attempts };
      } catch (failure) {
        if (!(failure instanceof AttemptFailed)) throw failure;
        if (!failure.retry || attempts > this.#maxRetries)
          throw withAttempts(failure.error, attempts);
        await this.#sleep(failure.retryAfterMs ?? this.#delay(attempts), call.signal);
      }
    }
  }

  #delay(attempts: number): number {
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempts - 1));
    return delay * (1 - this.#random() / 4);
  }

  async #attempt<T>(call: HttpCall, read: (response: Response) => Promise<T>): Promise<T> {
    const { signal } = call;
    signal?.throwIfAborted();
    const timeoutMs = call.timeoutMs ?? this.#timeoutMs;
    const controller = new AbortController();
    const abort = () => controller.abort();
    signal?.addEventListener('abort', abort, { once: true });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      abort();
    }, timeoutMs);
    try {
      const response = await this.#fetch(call, controller.signal);
      if (!response.ok) throw await this.#refusal(response);
      return await read(response);
    } catch (failure) {
      if (failure instanceof AttemptFailed) {
        signal?.throwIfAborted();
        if (timedOut) throw this.#timeout(timeoutMs);
      }
      throw failure;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      // Frees the connection of an answer that was not read to its end.
      abort();
    }
  }

  async #fetch(call: HttpCall, signal: AbortSignal): Promise<Response> {
    const url = new URL(this.#base);
    url.pathname += call.path;
    try {
      return await fetch(url, {
        method: call.body ? 'POST' : 'GET',
        headers: {
          accept: call.accept,
          'user-agent': 'glyphpress',
          ...(call.body && { 'content-type': 'application/json' }),
          ...(this.#apiKey !== undefined && { authorization: `Bearer ${this.#apiKey}` }),
        },
        ...(call.body && { body: call.body }),
        redirect: 'manual',
        signal,
        ...patientDispatcher(),
      });
    } catch (cause) {
      throw this.#brokenConnection(cause);
    }
  }

  /** The chunks of an answer; a connection that breaks is an {@link AttemptFailed}. */
  async *chunks(response: Response, retry: () => boolean = () => true): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((cause: unknown) => {
          throw this.#brokenConnection(cause, retry());
        });
        if (done) return;
        yield value;
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  /** An error in the server's words, without the key, and not longer than people read. */
  serverError(
    code: ErrorCode,
    {
      message,
      hint,
      details = {},
    }: { message: string; hint: string; details?: Record<string, unknown> },
  ): GlyphpressError {
    const clean = (value: unknown) => (typeof value === 'string' ? this.redact(value) : value);
    return new GlyphpressError(code, {
      message: this.redact(message),
      hint,
      details: {
        ...Object.fromEntries(Object.entries(details).map(([key, value]) => [key, clean(value)])),
        server: this.baseUrl,
      },
    });
  }

  /** The text with every copy of the key masked, cut to {@link MESSAGE_CHARACTERS}. */
  redact(text: string): string {
    const key = this.#apiKey;
    let clean = text;
    if (key !== undefined) {
      // Placeholders such as "x" or "EMPTY" for servers without keys are no secret.
      // PHP and some proxies escape slashes in JSON.
      const forms =
        key.length < 6
          ? []
          : [
              key,
              encodeURIComponent(key),
              JSON.stringify(key).slice(1, -1),
              key.replaceAll('/', '\\/'),
            ];
      for (const form of forms) clean = clean.replaceAll(form, '[key]');
    }
    return clean.length > MESSAGE_CHARACTERS ? `${clean.slice(0, MESSAGE_CHARACTERS)}…` : clean;
  }

  #brokenConnection(cause: unknown, retry = true): AttemptFailed {
    const error = cause as { message?: unknown; cause?: { code?: unknown; message?: unknown } };
    const reason = String(error?.cause?.code ?? error?.cause?.message ?? error?.message ?? cause);
    return new AttemptFailed(
      this.serverError('GP_BACKEND_UNAVAILABLE', {
        message: `Expected an answer from ${this.baseUrl}, got a broken connection (${reason})`,
        hint:
          CONNECTION_HINTS[reason] ??
          'Check that the model server runs and that its address is right.',
        details: { reason },
      }),
      retry,
    );
  }

  #timeout(timeoutMs: number): AttemptFailed {
    return new AttemptFailed(
      this.serverError('GP_BACKEND_UNAVAILABLE', {
        message: `Expected a whole answer from ${this.baseUrl} within ${timeoutMs} ms, got none`,
        hint: 'Raise timeoutMs, send fewer pages, or look at the load of the model server.',
        details: { reason: 'timeout', timeoutMs },
      }),
      false,
    );
  }

  async #refusal(response: Response): Promise<AttemptFailed> {
    const { status, headers } = response;
    const said = await this.#errorText(response);
    const retry = readShouldRetry(headers.get('x-should-retry')) ?? isRetryableStatus(status);
    const { code, hint } = explainStatus(status, said);
    return new AttemptFailed(
      this.serverError(code, {
        message: `Expected an answer from ${this.baseUrl}, got HTTP ${status}${said ? `: ${said}` : ''}`,
        hint,
        details: { status, said, requestId: headers.get('x-request-id') },
      }),
      retry,
      readRetryAfterMs(headers),
    );
  }

  async #errorText(response: Response): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    try {
      for await (const chunk of this.chunks(response)) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > ERROR_BODY_BYTES) break;
      }
    } catch (failure) {
      if (!(failure instanceof AttemptFailed)) throw failure;
    }
    const text = Buffer.concat(chunks).toString('utf8').trim();
    try {
      return this.redact(errorMessageOf(JSON.parse(text)) ?? text);
    } catch {
      // A proxy in between answers with a page of its own.
      return this.redact(
        text
          .replace(/<[^>]*>/g, ' ')
          .replace(/\s+/g, ' ')
          .trim(),
      );
    }
  }
}

/** The words of an error body: OpenAI's envelope, vLLM's older one, FastAPI's, or a bare string. */
export function errorMessageOf(body: unknown): string | undefined {
  const outer = body as { error?: unknown; message?: unknown; detail?: unknown } | null;
  const error = outer?.error as { message?: unknown } | string | null | undefined;
  const words = [typeof error === 'object' ? error?.message : error, outer?.message, outer?.detail];
  const found = words.find((word) => word !== undefined && word !== null && word !== '');
  if (found === undefined) return undefined;
  return typeof found === 'string' ? found : JSON.stringify(found);
}

export const isRetryableStatus = (status: number) =>
  status === 408 || status === 409 || status === 429 || status >= 500;

/** Which error a status is, and what the user can do about it. */
export function explainStatus(status: number, said: string): { code: ErrorCode; hint: string } {
  if (
    /context.{0,10}(length|window|size)|max_model_len|maximum.{0,20}(tokens|length)|too many tokens|prompt is too long/i.test(
      said,
    )
  ) {
    if (status === 400 || status === 413 || status === 422) {
      return {
        code: 'GP_CONTEXT_LENGTH',
        hint: 'Send fewer pages or a denser rendering, ask for fewer new tokens, or serve the model with a longer context.',
      };
    }
  }
  if (status === 401 || status === 403) {
    return {
      code: 'GP_BACKEND_REQUEST',
      hint: 'Set GLYPHPRESS_API_KEY (or OPENAI_API_KEY) to a key that this server accepts for this model.',
    };
  }
  if (status === 404) {
    return {
      code: 'GP_BACKEND_REQUEST',
      hint: 'Check the base URL and the model name against GET /models.',
    };
  }
  if (status === 413) {
    return {
      code: 'GP_BACKEND_REQUEST',
      hint: 'The request is larger than the server or a proxy before it allows: send fewer pages, or raise its body limit.',
    };
  }
  if (status === 429) {
    return {
      code: 'GP_BACKEND_UNAVAILABLE',
      hint: 'The server limits the rate or the quota is used up: wait, or send fewer requests at once.',
    };
  }
  if (isRetryableStatus(status)) {
    return {
      code: 'GP_BACKEND_UNAVAILABLE',
      hint: 'Try again later, and look at the log of the model server.',
    };
  }
  if (status >= 300 && status < 400) {
    return {
      code: 'GP_BACKEND_REQUEST',
      hint: 'Redirects are not followed: set the base URL to where the server really is.',
    };
  }
  return {
    code: 'GP_BACKEND_REQUEST',
    hint: 'Change what the server objects to; the message is its own.',
  };
}

const CONNECTION_HINTS: Record<string, string> = {
  ECONNREFUSED: 'Nothing listens there: start the model server, or correct host and port.',
  ENOTFOUND: 'The host name does not exist: correct the base URL.',
  EAI_AGAIN: 'The host name could not be looked up: check the network and the base URL.',
  UND_ERR_HEADERS_TIMEOUT:
    'The server was silent for too long: ask with streaming, or send fewer pages.',
  UND_ERR_BODY_TIMEOUT:
    'The server was silent for too long: send fewer pages, or look at its load.',
};

function withAttempts(error: GlyphpressError, attempts: number): GlyphpressError {
  error.details.attempts = attempts;
  return error;
}

function readShouldRetry(header: string | null): boolean | undefined {
  return header === 'true' ? true : header === 'false' ? false : undefined;
}

/** The wait that the server asks for, within [0, 60 s]; none if it asks nothing readable. */
function readRetryAfterMs(headers: Headers): number | undefined {
  const ms = headers.get('retry-after-ms');
  const seconds = headers.get('retry-after');
  const asked =
    ms !== null && isNumeric(ms)
      ? Number(ms)
      : seconds === null
        ? Number.NaN
        : isNumeric(seconds)
          ? Number(seconds) * 1000
          : Date.parse(seconds) - Date.now();
  if (Number.isNaN(asked)) return undefined;
  return Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, asked));
}

const isNumeric = (text: string) => /^\s*\d+(\.\d+)?\s*$/.test(text);

/**
 * The address that calls are made under. `http://host:8000`, `…/v1`, `…/v1/` and
 * `…/v1/chat/completions` are the same; `/v1` is added only where no part of the path is a version.
 *
 * @throws {GlyphpressError} GP_CONFIG_VALUE if it is not http or https, or holds a password
 */
export function normaliseBaseUrl(baseUrl: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: `Expected the base URL as http:// or https://, got ${url ? url.protocol : 'no URL'}`,
      hint: 'For example http://127.0.0.1:8000/v1.',
      details: { key: 'baseUrl', allowed: 'http or https URL' },
    });
  }
  if (url.username || url.password) {
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: 'Expected the base URL without a user name and password, got one with them',
      hint: 'Put the key into GLYPHPRESS_API_KEY instead.',
      details: { key: 'baseUrl', host: url.host },
    });
  }
  url.hash = '';
  const path = url.pathname.replace(/\/+$/, '').replace(/\/chat\/completions$/, '');
  url.pathname = path.split('/').some((part) => /^v\d/.test(part)) ? path : `${path}/v1`;
  return url;
}

/** @throws {GlyphpressError} GP_CONFIG_VALUE, without the key, if it cannot stand in a header */
function readApiKey(apiKey: string | undefined): string | undefined {
  const key = apiKey?.trim();
  if (key === undefined || key === '') return undefined;
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new GlyphpressError('GP_CONFIG_VALUE', {
      message: 'Expected an API key of printable ASCII without spaces, got other characters',
      hint: 'Look for a line break, a space or quotation marks in GLYPHPRESS_API_KEY or OPENAI_API_KEY.',
      details: { key: 'apiKey' },
    });
  }
  return key;
}

/**
 * Node's fetch gives up after 300 s without a byte, which a long prefill exceeds. The limit belongs
 * to its dispatcher, which can only be had through this symbol without another package; where a
 * future Node hides it, fetch works with its own limit.
 */
export function patientDispatcher(): Record<string, unknown> {
  if (!patient) {
    void globalThis.Headers; // Loads fetch, which sets the symbol.
    const shared = (globalThis as Record<symbol, unknown>)[Symbol.for('undici.globalDispatcher.1')];
    const Agent = shared?.constructor as
      | (new (options: {
          headersTimeout: number;
          bodyTimeout: number;
        }) => unknown)
      | undefined;
    patient =
      Agent?.name === 'Agent'
        ? { dispatcher: new Agent({ headersTimeout: 0, bodyTimeout: 0 }) }
        : {};
  }
  return patient;
}

let patient: Record<string, unknown> | undefined;

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
