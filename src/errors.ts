/**
 * Every error that glyphpress throws on purpose.
 *
 * A code is stable: scripts, the HTTP face and the queue decide by it. Each code stands once in
 * {@link ERROR_CATALOGUE} with what it means and whether trying again can help; the thrower adds
 * what was expected, what came, and how to fix this very case.
 */

/** What each code means, and whether the same call may succeed later without a change. */
export const ERROR_CATALOGUE = {
  GP_USAGE: { meaning: 'The command line is off.', retryable: false },
  GP_INPUT_NOT_FOUND: { meaning: 'The input file or folder does not exist.', retryable: false },
  GP_INPUT_UNREADABLE: { meaning: 'The input cannot be read.', retryable: false },
  GP_INPUT_EMPTY: { meaning: 'The document holds no text.', retryable: false },
  GP_INPUT_ENCODING: {
    meaning: 'The text is not in the encoding that it is read as.',
    retryable: false,
  },
  GP_INPUT_FORMAT: { meaning: 'The document is in a format that is not read.', retryable: false },
  GP_INPUT_ENCRYPTED: { meaning: 'The document is locked or protected.', retryable: false },
  GP_INPUT_SCANNED: {
    meaning: 'The document holds pictures of pages and no text.',
    retryable: false,
  },
  GP_INPUT_URL: { meaning: 'An address is not one that is read from.', retryable: false },
  GP_INPUT_FETCH: { meaning: 'A document could not be read from its address.', retryable: true },
  GP_OUTPUT_EXISTS: {
    meaning: 'The output folder holds something else.',
    retryable: false,
  },
  GP_OUTPUT_UNWRITABLE: {
    meaning: 'The output cannot be written where it was to go.',
    retryable: false,
  },
  GP_STORAGE: {
    meaning: 'The disk refused a file: full, read-only or forbidden.',
    retryable: true,
  },
  GP_CONFIG_SYNTAX: { meaning: 'A configuration file is not valid JSON.', retryable: false },
  GP_CONFIG_UNKNOWN_KEY: {
    meaning: 'A configuration has a key that means nothing.',
    retryable: false,
  },
  GP_CONFIG_VALUE: { meaning: 'A configuration value is out of its range.', retryable: false },
  GP_CONFIG_CONFLICT: { meaning: 'Two configuration values exclude each other.', retryable: false },
  GP_FONT: { meaning: 'A font cannot be found or read.', retryable: false },
  GP_BROWSER_NOT_FOUND: { meaning: 'No Chromium was found.', retryable: false },
  GP_BROWSER_LAUNCH: { meaning: 'Chromium was found but does not start.', retryable: true },
  GP_BROWSER_CRASHED: {
    meaning: 'Chromium died more often than a page is tried.',
    retryable: true,
  },
  GP_RENDER: { meaning: 'Chromium drew something that the page plan forbids.', retryable: false },
  GP_CHECKPOINT: { meaning: 'A model folder is incomplete or damaged.', retryable: false },
  GP_MODEL_FAMILY: { meaning: 'The model is of a family that is not supported.', retryable: false },
  GP_MODEL_NO_VISION: { meaning: 'The model reads text only, not pages.', retryable: false },
  GP_MODEL_DTYPE: { meaning: 'The weight type is not supported.', retryable: false },
  GP_MODEL_DEVICE: { meaning: 'The model cannot run on the device asked for.', retryable: false },
  GP_HUB_REFUSED: { meaning: 'The model hub does not give what was asked for.', retryable: false },
  GP_HUB_UNAVAILABLE: {
    meaning: 'The model hub does not answer, or what it sent is damaged.',
    retryable: true,
  },
  GP_MODEL_RUNTIME: { meaning: 'ONNX Runtime refused a graph or a run.', retryable: false },
  GP_TENSOR_SHAPE: {
    meaning: 'A tensor has another shape than the contract says.',
    retryable: false,
  },
  GP_TENSOR_VALUE: {
    meaning: 'A tensor holds a value that is not allowed, such as NaN.',
    retryable: false,
  },
  GP_CONTEXT_LENGTH: { meaning: 'The prompt is longer than the model can hold.', retryable: false },
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
    meaning: 'The model server answered something that is not the protocol.',
    retryable: false,
  },
  GP_REDIS_NOT_FOUND: { meaning: 'There is no Redis or Valkey to work with.', retryable: false },
  GP_REDIS_UNAVAILABLE: { meaning: 'Redis does not answer.', retryable: true },
  GP_QUEUE_FULL: { meaning: 'More work waits than the service takes in.', retryable: true },
  GP_BUSY: { meaning: 'More questions wait than the service takes in.', retryable: true },
  GP_JOB: { meaning: 'A job in the queue is not what a worker understands.', retryable: false },
  GP_DOCUMENT_POISON: {
    meaning: 'A document ended its workers more often than it is tried.',
    retryable: false,
  },
  GP_DOCUMENT_UNKNOWN: { meaning: 'There is no such document here.', retryable: false },
  GP_DOCUMENT_STATE: {
    meaning: 'The document is in a state that does not allow this.',
    retryable: false,
  },
  GP_DOCUMENT_PENDING: { meaning: 'The document is still being compressed.', retryable: true },
  GP_RESPONSE_UNKNOWN: { meaning: 'There is no such response here.', retryable: false },
  GP_MODEL_UNKNOWN: { meaning: 'The service has no such model.', retryable: false },
  GP_REQUEST: { meaning: 'A request is not what the interface describes.', retryable: false },
  GP_REQUEST_TOO_LARGE: {
    meaning: 'A request is larger than the service takes.',
    retryable: false,
  },
  GP_ROUTE: { meaning: 'The service has no such address.', retryable: false },
  GP_UNAUTHORISED: { meaning: 'The request carries no valid API key.', retryable: false },
  GP_FORBIDDEN: { meaning: 'The API key does not allow this.', retryable: false },
  GP_WEBHOOK_UNKNOWN: { meaning: 'There is no such webhook here.', retryable: false },
  GP_WEBHOOK_ADDRESS: { meaning: 'An address is not one that is written to.', retryable: false },
  GP_WEBHOOK_DELIVERY: { meaning: 'A webhook did not take what it was sent.', retryable: true },
  GP_RATE_LIMITED: { meaning: 'The API key makes more requests than it may.', retryable: true },
  GP_IDEMPOTENCY_KEY: {
    meaning: 'An idempotency key was used for another request.',
    retryable: false,
  },
  GP_IDEMPOTENCY_BUSY: {
    meaning: 'A request with the same idempotency key is under way.',
    retryable: true,
  },
  GP_SEARCH_SPACE: {
    meaning: 'A search space is not valid, or holds no valid point.',
    retryable: false,
  },
  GP_SEARCH_FAILED: { meaning: 'A search could try nothing.', retryable: false },
  GP_SERVICE: { meaning: 'The service cannot start as it is set up.', retryable: false },
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
