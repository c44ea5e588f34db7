/**
 * Every error that glyphpress throws on purpose.
 *
 * A code is stable: scripts, the HTTP face and the queue decide by it. Each code stands once in
 * {@link ERROR_CATALOGUE} with what it means and whether trying again can help; the thrower adds
 * what was expected, what came, and how to fix this very case.
 */

/** What each code means, and whether the same call may succeed later without a change. */
export const ERROR_CATALOGUE = {
  GP_USAGE: { meaning: 'The command line is not valid.', retryable: false },
  GP_INPUT_NOT_FOUND: { meaning: 'The input file or folder does not exist.', retryable: false },
  GP_INPUT_UNREADABLE: { meaning: 'The input cannot be read.', retryable: false },
  GP_INPUT_EMPTY: { meaning: 'The document contains no text.', retryable: false },
  GP_INPUT_ENCODING: {
    meaning: 'The text is not valid in the given or detected encoding.',
    retryable: false,
  },
  GP_INPUT_FORMAT: { meaning: 'The document format is not supported.', retryable: false },
  GP_INPUT_ENCRYPTED: {
    meaning: 'The document is encrypted or password-protected.',
    retryable: false,
  },
  GP_INPUT_SCANNED: {
    meaning: 'The document contains scanned pages without a text layer.',
    retryable: false,
  },
  GP_INPUT_URL: { meaning: 'The URL is not allowed as an input.', retryable: false },
  GP_INPUT_FETCH: { meaning: 'A document could not be downloaded from its URL.', retryable: true },
  GP_OUTPUT_EXISTS: {
    meaning: 'The output folder already contains other files.',
    retryable: false,
  },
  GP_OUTPUT_UNWRITABLE: {
    meaning: 'The output path is not writable.',
    retryable: false,
  },
  GP_STORAGE: {
    meaning: 'A file could not be read or written: disk full, read-only or permission denied.',
    retryable: true,
  },
  GP_STORE_UNAVAILABLE: { meaning: 'The object store does not respond.', retryable: true },
  GP_STORE_REFUSED: { meaning: 'The object store refused a request.', retryable: true },
  GP_CONFIG_SYNTAX: { meaning: 'A configuration file is not valid JSON.', retryable: false },
  GP_CONFIG_UNKNOWN_KEY: {
    meaning: 'A configuration has an unknown key.',
    retryable: false,
  },
  GP_CONFIG_VALUE: { meaning: 'A configuration value is out of range.', retryable: false },
  GP_CONFIG_CONFLICT: { meaning: 'Two configuration values exclude each other.', retryable: false },
  GP_FONT: { meaning: 'A font cannot be found or read.', retryable: false },
  GP_BROWSER_NOT_FOUND: { meaning: 'No Chromium was found.', retryable: false },
  GP_BROWSER_LAUNCH: { meaning: 'Chromium was found but does not start.', retryable: true },
  GP_BROWSER_CRASHED: {
    meaning: 'Chromium crashed on every attempt to render a page.',
    retryable: true,
  },
  GP_RENDER: { meaning: 'A rendered page does not match the page layout.', retryable: false },
  GP_CHECKPOINT: { meaning: 'A model folder is incomplete or damaged.', retryable: false },
  GP_MODEL_FAMILY: { meaning: 'The model family is not supported.', retryable: false },
  GP_MODEL_NO_VISION: { meaning: 'The model reads text only, not pages.', retryable: false },
  GP_MODEL_DTYPE: { meaning: 'The weight type is not supported.', retryable: false },
  GP_MODEL_DEVICE: { meaning: 'The model cannot run on the requested device.', retryable: false },
  GP_HUB_REFUSED: { meaning: 'The model hub refused the request.', retryable: false },
  GP_HUB_UNAVAILABLE: {
    meaning: 'The model hub does not respond, or the downloaded data is corrupt.',
    retryable: true,
  },
  GP_MODEL_RUNTIME: { meaning: 'ONNX Runtime could not load or run a graph.', retryable: false },
  GP_TENSOR_SHAPE: {
    meaning: 'A tensor does not have the expected shape.',
    retryable: false,
  },
  GP_TENSOR_VALUE: {
    meaning: 'A tensor holds a value that is not allowed, such as NaN.',
    retryable: false,
  },
  GP_CONTEXT_LENGTH: {
    meaning: 'The prompt exceeds the context length of the model.',
    retryable: false,
  },
  GP_PRUNE_PLAN: { meaning: 'A prune plan is not valid.', retryable: false },
  GP_ARTIFACT_DAMAGED: {
    meaning: 'A stored artifact does not match its checksum.',
    retryable: false,
  },
  GP_ARTIFACT_MISMATCH: {
    meaning: 'A stored artifact was made with other settings.',
    retryable: false,
  },
  GP_BACKEND_REQUEST: { meaning: 'The model server refused the request.', retryable: false },
  GP_BACKEND_UNAVAILABLE: {
    meaning: 'The model server cannot be reached or is overloaded.',
    retryable: true,
  },
  GP_BACKEND_RESPONSE: {
    meaning: 'The response of the model server does not follow the protocol.',
    retryable: false,
  },
  GP_REDIS_NOT_FOUND: { meaning: 'No Redis or Valkey server was found.', retryable: false },
  GP_REDIS_UNAVAILABLE: { meaning: 'Redis does not respond.', retryable: true },
  GP_WORKER: {
    meaning: 'A worker does not fit the service whose documents it would compress.',
    retryable: false,
  },
  GP_QUOTA: {
    meaning: 'The tenant has used what it may store.',
    retryable: false,
  },
  GP_QUEUE_FULL: { meaning: 'The job queue is full.', retryable: true },
  GP_BUSY: { meaning: 'Too many questions are waiting.', retryable: true },
  GP_JOB: { meaning: 'A job in the queue has an unknown format.', retryable: false },
  GP_DOCUMENT_POISON: {
    meaning: 'A document crashed its worker on every attempt.',
    retryable: false,
  },
  GP_DOCUMENT_UNKNOWN: { meaning: 'The document does not exist.', retryable: false },
  GP_DOCUMENT_STATE: {
    meaning: 'The operation is not allowed in the current state of the document.',
    retryable: false,
  },
  GP_DOCUMENT_PENDING: { meaning: 'The document is still being compressed.', retryable: true },
  GP_RESPONSE_UNKNOWN: { meaning: 'The response does not exist.', retryable: false },
  GP_MODEL_UNKNOWN: { meaning: 'The model does not exist on this service.', retryable: false },
  GP_REQUEST: { meaning: 'The request does not match the API schema.', retryable: false },
  GP_REQUEST_TOO_LARGE: {
    meaning: 'The request exceeds the size limit.',
    retryable: false,
  },
  GP_ROUTE: { meaning: 'The route does not exist.', retryable: false },
  GP_UNAUTHORISED: { meaning: 'The request carries no valid API key.', retryable: false },
  GP_FORBIDDEN: { meaning: 'The API key does not allow this.', retryable: false },
  GP_WEBHOOK_UNKNOWN: { meaning: 'The webhook does not exist.', retryable: false },
  GP_WEBHOOK_ADDRESS: { meaning: 'The webhook URL is not allowed.', retryable: false },
  GP_WEBHOOK_DELIVERY: { meaning: 'A webhook delivery was not accepted.', retryable: true },
  GP_RATE_LIMITED: { meaning: 'The API key exceeded its request rate limit.', retryable: true },
  GP_IDEMPOTENCY_KEY: {
    meaning: 'An idempotency key was used for another request.',
    retryable: false,
  },
  GP_IDEMPOTENCY_BUSY: {
    meaning: 'A request with the same idempotency key is still in progress.',
    retryable: true,
  },
  GP_SEARCH_SPACE: {
    meaning: 'A search space is not valid, or holds no valid point.',
    retryable: false,
  },
  GP_SEARCH_FAILED: {
    meaning: 'No configuration of the search could be evaluated.',
    retryable: false,
  },
  GP_TLS: { meaning: 'The TLS certificate or its key cannot be used.', retryable: false },
  GP_SERVICE: { meaning: 'The service cannot start with this configuration.', retryable: false },
} as const satisfies Record<string, { meaning: string; retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

export interface ErrorDetails {
  /** What was expected and what came, in one sentence. */
  message: string;
  /** How to fix it. */
  hint: string;
  /** Machine-readable facts: file, key, tensor, allowed range, … */
  details?: Record<string, unknown>;
  cause?: unknown;
}

export class GlyphpressError extends Error {
  override readonly name: string = 'GlyphpressError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly retryable: boolean;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, { message, hint, details = {}, cause }: ErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint;
    this.retryable = ERROR_CATALOGUE[code].retryable;
    this.details = details;
  }

  /** The form that `--json`, the HTTP face and logs show. */
  toJSON() {
    const { code, message, hint, retryable, details } = this;
    return { code, message, hint, retryable, details };
  }
}

/** A tensor that does not have the shape that the contract states. */
export class ShapeError extends GlyphpressError {
  override readonly name = 'ShapeError';
  constructor(tensor: string, expected: string, actual: readonly number[], hint: string) {
    super('GP_TENSOR_SHAPE', {
      message: `Expected ${tensor} of shape ${expected}, got [${actual.join(', ')}]`,
      hint,
      details: { tensor, expected, actual: [...actual] },
    });
  }
}
