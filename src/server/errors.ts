/** One catalogue, two faces: OpenAI's envelope for its routes, problem details (RFC 9457) for ours. */

import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ERROR_CATALOGUE, type ErrorCode, GlyphpressError } from '../errors.js';
import { inClientWords } from '../queue/client-words.js';
import { isConnectionLoss, redisRefusal, redisUnavailable } from '../queue/connection.js';
import { tooLarge } from '../service/content-store.js';
import { storageFailure } from '../store/storage-failure.js';
import { type Rate, showRate } from './rate-limit.js';

/** What an error means over HTTP. What stands nowhere here is a fault of ours: 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  GP_USAGE: 400,
  GP_REQUEST: 400,
  GP_INPUT_EMPTY: 400,
  GP_INPUT_ENCODING: 400,
  GP_INPUT_FORMAT: 415,
  GP_INPUT_ENCRYPTED: 415,
  GP_INPUT_SCANNED: 415,
  GP_CONFIG_SYNTAX: 400,
  GP_CONFIG_UNKNOWN_KEY: 400,
  GP_CONFIG_VALUE: 400,
  GP_CONFIG_CONFLICT: 400,
  GP_FONT: 400,
  GP_PRUNE_PLAN: 400,
  GP_CONTEXT_LENGTH: 400,
  GP_UNAUTHORISED: 401,
  GP_FORBIDDEN: 403,
  GP_QUOTA: 403,
  GP_ROUTE: 404,
  GP_MODEL_UNKNOWN: 404,
  GP_DOCUMENT_UNKNOWN: 404,
  GP_RESPONSE_UNKNOWN: 404,
  GP_WEBHOOK_UNKNOWN: 404,
  GP_WEBHOOK_ADDRESS: 400,
  // Neither is worth an automatic second try, which clients make after 409.
  GP_DOCUMENT_STATE: 422,
  GP_IDEMPOTENCY_KEY: 422,
  GP_IDEMPOTENCY_BUSY: 409,
  GP_REQUEST_TOO_LARGE: 413,
  GP_RATE_LIMITED: 429,
  GP_DOCUMENT_PENDING: 503,
  GP_REDIS_UNAVAILABLE: 503,
  GP_STORAGE: 507,
  GP_STORE_UNAVAILABLE: 503,
  GP_STORE_REFUSED: 503,
  GP_OUTPUT_UNWRITABLE: 507,
};

const RETRY_AFTER_S: Partial<Record<ErrorCode, number>> = {
  GP_QUEUE_FULL: 10,
  GP_BUSY: 2,
  GP_DOCUMENT_PENDING: 5,
  GP_REDIS_UNAVAILABLE: 2,
  GP_IDEMPOTENCY_BUSY: 1,
  GP_STORAGE: 10,
  GP_STORE_UNAVAILABLE: 5,
  GP_STORE_REFUSED: 30,
};

const INTERNAL = 'GP_INTERNAL';

export interface HttpFailure {
  status: number;
  code: string;
  title: string;
  message: string;
  hint: string;
  details: Record<string, unknown>;
  retryAfterS: number | null;
}

/** The error response for a client; `unforeseen` is for the log only. */
export function httpFailure(error: unknown): HttpFailure & { unforeseen: boolean } {
  const known = asGlyphpressError(error);
  if (!known) {
    return {
      status: 500,
      code: INTERNAL,
      title: 'Something went wrong inside glyphpress.',
      message: 'Something went wrong inside glyphpress',
      hint: 'Try again; report it with the request id if it stays.',
      details: {},
      retryAfterS: null,
      unforeseen: true,
    };
  }
  const { code, message, hint, details } = inClientWords(known);
  const status = statusOf(code, details.scope);
  return {
    status: status ?? 500,
    code,
    title: ERROR_CATALOGUE[code].meaning,
    message,
    hint,
    details,
    retryAfterS:
      typeof details.retryAfterS === 'number' ? details.retryAfterS : (RETRY_AFTER_S[code] ?? null),
    unforeseen: status === undefined,
  };
}

function statusOf(code: ErrorCode, scope: unknown): number | undefined {
  // Full is either all of the service, or one tenant's share of it.
  if (code === 'GP_QUEUE_FULL' || code === 'GP_BUSY') return scope === 'tenant' ? 429 : 503;
  return STATUS[code];
}

function asGlyphpressError(error: unknown): GlyphpressError | null {
  if (error instanceof GlyphpressError) return error;
  if (isConnectionLoss(error)) return redisUnavailable(error);
  const refusal = redisRefusal(error) ?? storageFailure(error);
  if (refusal) return refusal;
  // Either the client has left and reads nothing of this, or the service ends.
  if (error instanceof Error && error.name === 'AbortError') {
    return new GlyphpressError('GP_BUSY', {
      message: 'The answer was cut off: the service is stopping',
      hint: 'Ask again.',
      cause: error,
    });
  }
  return fromFastify(error as FastifyError);
}

interface Violation {
  instancePath: string;
  params: object;
  message?: string | undefined;
}

/** What is wrong at the first place, with the values that would be taken there. */
export function problemOf(violations: readonly Violation[]): string {
  const [first] = violations;
  const values = violations
    .filter(({ instancePath }) => instancePath === first?.instancePath)
    .flatMap(({ params }) => {
      const { allowedValue, allowedValues } = params as Record<string, unknown>;
      return Array.isArray(allowedValues) ? allowedValues : (allowedValue ?? []);
    });
  if (values.length === 0) return first?.message ?? 'is not what is taken here';
  const list = values.map((value) => JSON.stringify(value)).join(', ');
  return values.length === 1 ? `must be ${list}` : `must be one of ${list}`;
}

/** Fastify's own errors of a request in our words. */
function fromFastify(error: FastifyError): GlyphpressError | null {
  const { code = '', statusCode = 500, validation, validationContext, message } = error ?? {};
  if (validation) {
    const { instancePath, params } = validation[0]!;
    const problem = problemOf(validation);
    const extra = (params as { additionalProperty?: string }).additionalProperty;
    const path = [...instancePath.split('/').slice(1), ...(extra ? [extra] : [])].join('.');
    return new GlyphpressError('GP_REQUEST', {
      message: extra
        ? `${path} is not known here`
        : `${path || `The ${validationContext}`} ${problem}`,
      hint: 'GET /openapi.json describes every request.',
      details: { ...(path && { param: path }), in: validationContext },
      cause: error,
    });
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || code === 'FST_REQ_FILE_TOO_LARGE') {
    return new GlyphpressError('GP_REQUEST_TOO_LARGE', {
      message: 'The body is larger than the service takes in this form',
      hint: 'Send a document as a stream or as multipart/form-data; GET /v1/limits says what is taken.',
      cause: error,
    });
  }
  if (statusCode < 400 || statusCode >= 500) return null;
  return new GlyphpressError('GP_REQUEST', {
    message,
    hint: 'GET /openapi.json describes every request.',
    cause: error,
  });
}

export { tooLarge };

/** OpenAI's clients read `error` and nothing else. */
export function openAiError(failure: HttpFailure) {
  const { status, code, message, hint, details } = failure;
  return {
    error: {
      message: `${message.replace(/\.$/, '')}. ${hint}`,
      type: openAiType(status),
      code,
      param: typeof details.param === 'string' ? details.param : null,
    },
  };
}

function openAiType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

export function problem(failure: HttpFailure, requestId: string) {
  const { status, code, title, message, hint, details } = failure;
  return {
    type: `urn:glyphpress:error:${code}`,
    title,
    status,
    detail: message,
    code,
    hint,
    details,
    request_id: requestId,
  };
}

const OPENAI_ROUTES = /^\/v1\/(models|files|chat|responses|completions|embeddings)(\/|\?|$)/;

export function sendFailure(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
  const failure = httpFailure(error);
  if (failure.unforeseen) request.log.error({ err: error }, 'unforeseen error');
  if (failure.retryAfterS !== null) void reply.header('retry-after', String(failure.retryAfterS));
  if (failure.code === 'GP_RATE_LIMITED') showRate(reply, failure.details as unknown as Rate);
  if (failure.status === 401) {
    const { browser } = request.routeOptions.config;
    void reply.header('www-authenticate', browser ? 'Basic realm="glyphpress"' : 'Bearer');
  }
  void reply.code(failure.status);
  if (OPENAI_ROUTES.test(request.url)) void reply.send(openAiError(failure));
  else void reply.type('application/problem+json').send(problem(failure, request.id));
}
