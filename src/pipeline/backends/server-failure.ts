/** What a model server says when it refuses or fails, in the errors of this product. */

import { type ErrorCode, GlyphpressError } from '../../errors.js';
import type { Endpoint } from './endpoint.js';
import { AttemptFailed, retryAfterMs } from './retry.js';

const MESSAGE_CHARACTERS = 1_000;

export const isRetryableStatus = (status: number) =>
  status === 408 || status === 409 || status === 429 || status >= 500;

interface Refusal {
  applies(status: number, said: string): boolean;
  code: ErrorCode;
  hint: string;
}

const CONTEXT_LENGTH =
  /context.{0,10}(length|window|size)|max_model_len|maximum.{0,20}(tokens|length)|too many tokens|prompt is too long/i;

/** The first that applies. */
const REFUSALS: readonly Refusal[] = [
  {
    applies: (status, said) => [400, 413, 422].includes(status) && CONTEXT_LENGTH.test(said),
    code: 'GP_CONTEXT_LENGTH',
    hint: 'Send fewer pages or a denser rendering, ask for fewer new tokens, or serve the model with a longer context.',
  },
  {
    applies: (status) => status === 401 || status === 403,
    code: 'GP_BACKEND_REQUEST',
    hint: 'Set GLYPHPRESS_API_KEY (or OPENAI_API_KEY) to a key that this server accepts for this model.',
  },
  {
    applies: (status) => status === 404,
    code: 'GP_BACKEND_REQUEST',
    hint: 'Check the base URL and the model name against GET /models.',
  },
  {
    applies: (status) => status === 413,
    code: 'GP_BACKEND_REQUEST',
    hint: 'The request is larger than the server or a proxy before it allows: send fewer pages, or raise its body limit.',
  },
  {
    applies: (status) => status === 429,
    code: 'GP_BACKEND_UNAVAILABLE',
    hint: 'The server limits the rate or the quota is used up: wait, or send fewer requests at once.',
  },
  {
    applies: isRetryableStatus,
    code: 'GP_BACKEND_UNAVAILABLE',
    hint: 'Try again later, and look at the log of the model server.',
  },
  {
    applies: (status) => status >= 300 && status < 400,
    code: 'GP_BACKEND_REQUEST',
    hint: 'Redirects are not followed: set the base URL to where the server really is.',
  },
  {
    applies: () => true,
    code: 'GP_BACKEND_REQUEST',
    hint: 'Change what the server objects to; the message is its own.',
  },
];

const CONNECTION_HINTS: Record<string, string> = {
  ECONNREFUSED: 'Nothing listens there: start the model server, or correct host and port.',
  ENOTFOUND: 'The host name does not exist: correct the base URL.',
  EAI_AGAIN: 'The host name could not be looked up: check the network and the base URL.',
};

/** Builds the errors of one server; the key is removed from everything that they carry. */
export class ServerFailures {
  constructor(private readonly endpoint: Endpoint) {}

  /** The request was answered with an error status. */
  refusal(status: number, headers: Headers, body: string): AttemptFailed {
    const said = this.#shown(errorTextOf(body));
    const { code, hint } = explain(status, said);
    const asked = headers.get('x-should-retry');
    return new AttemptFailed(
      this.error(code, {
        message: `Expected an answer from ${this.endpoint.address}, got HTTP ${status}${said ? `: ${said}` : ''}`,
        hint,
        details: { status, said, requestId: headers.get('x-request-id') },
      }),
      asked === 'true' || (asked !== 'false' && isRetryableStatus(status)),
      retryAfterMs(headers),
    );
  }

  /**
   * An error in place of an answer or in the middle of it, although the status was 200. Without a
   * status of its own the request was accepted, so it is the server that failed.
   *
   * @param delivered whether the caller has text already, which no other attempt can take back
   */
  errorMember(error: unknown, delivered: boolean): AttemptFailed {
    const nested = (error as { error?: unknown }).error ?? error;
    const { code: errorCode, type } = nested as { code?: unknown; type?: unknown };
    const said = this.#shown(messageOf({ error: nested }) ?? JSON.stringify(nested));
    const status = Number(errorCode) >= 400 && Number(errorCode) < 600 ? Number(errorCode) : 500;
    const { code, hint } = explain(status, said);
    return new AttemptFailed(
      this.error(code, {
        message: `Expected an answer from ${this.endpoint.address}, got an error ${delivered ? 'in the middle of it' : 'in its place'}: ${said}`,
        hint,
        details: {
          said,
          errorCode: scalarOrNull(errorCode),
          errorType: scalarOrNull(type),
          midStream: delivered,
        },
      }),
      isRetryableStatus(status) && !delivered,
    );
  }

  brokenConnection(cause: unknown, retry: boolean): AttemptFailed {
    const error = cause as { message?: unknown; cause?: { code?: unknown; message?: unknown } };
    const reason = String(error?.cause?.code ?? error?.cause?.message ?? error?.message ?? cause);
    return new AttemptFailed(
      this.error('GP_BACKEND_UNAVAILABLE', {
        message: `Expected an answer from ${this.endpoint.address}, got a broken connection (${reason})`,
        hint:
          CONNECTION_HINTS[reason] ??
          'Check that the model server runs and that its address is right.',
        details: { reason },
      }),
      retry,
    );
  }

  /** Not repeated: the server may still be working on it. */
  timeout(timeoutMs: number): AttemptFailed {
    return new AttemptFailed(
      this.error('GP_BACKEND_UNAVAILABLE', {
        message: `Expected a whole answer from ${this.endpoint.address} within ${timeoutMs} ms, got none`,
        hint: 'Raise the time limit, send fewer pages, or look at the load of the model server.',
        details: { reason: 'timeout', timeoutMs },
      }),
      false,
    );
  }

  cutOff(received: number, retry: boolean): AttemptFailed {
    return new AttemptFailed(
      this.error('GP_BACKEND_UNAVAILABLE', {
        message: `Expected the stream from ${this.endpoint.address} to end with [DONE], got its end after ${received} characters`,
        hint: 'The server or a proxy cut the answer off: look at its log, then ask again.',
        details: { reason: 'cut off', received },
      }),
      retry,
    );
  }

  /** An answer that is not of the protocol. */
  unreadable(expected: string, got: string): GlyphpressError {
    const shown = this.#shown(got.slice(0, 20_000));
    return this.error('GP_BACKEND_RESPONSE', {
      message: `Expected ${expected} from ${this.endpoint.address}, got ${shown.slice(0, 200)}`,
      hint: 'Check that the base URL is that of an OpenAI-compatible server.',
      details: { expected, got: shown },
    });
  }

  error(
    code: ErrorCode,
    given: { message: string; hint: string; details: Record<string, unknown> },
  ): GlyphpressError {
    const details = Object.entries(given.details).map(([key, value]) => [
      key,
      typeof value === 'string' ? this.#shown(value) : value,
    ]);
    return new GlyphpressError(code, {
      message: this.#shown(given.message),
      hint: given.hint,
      details: { ...Object.fromEntries(details), server: this.endpoint.address },
    });
  }

  /** Without the key, and not longer than people read. */
  #shown(text: string): string {
    const clean = this.endpoint.redact(text);
    return clean.length > MESSAGE_CHARACTERS ? `${clean.slice(0, MESSAGE_CHARACTERS)}…` : clean;
  }
}

function explain(status: number, said: string): Refusal {
  return REFUSALS.find(({ applies }) => applies(status, said))!;
}

/** The message of an error body; a proxy in between answers with a page of its own. */
function errorTextOf(body: string): string {
  const text = body.trim();
  try {
    return messageOf(JSON.parse(text)) ?? text;
  } catch {
    const withoutMarkup = text.replace(/<[^>]*>/g, ' ');
    return withoutMarkup.replace(/\s+/g, ' ').trim();
  }
}

/** OpenAI's envelope, vLLM's older one, FastAPI's, or a bare string. */
function messageOf(body: unknown): string | undefined {
  const outer = body as { error?: unknown; message?: unknown; detail?: unknown } | null;
  const error = outer?.error as { message?: unknown } | string | null | undefined;
  const inner = typeof error === 'object' ? error?.message : error;
  const found = [inner, outer?.message, outer?.detail].find(
    (word) => word !== undefined && word !== null && word !== '',
  );
  if (found === undefined) return undefined;
  return typeof found === 'string' ? found : JSON.stringify(found);
}

const scalarOrNull = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? value : null;
