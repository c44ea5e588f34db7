/**
 * Errors as sent to clients of a service: no files and addresses of the machine, and no advice that
 * only whoever runs the service, or types at a terminal, can follow.
 */

import { type ErrorCode, GlyphpressError } from '../errors.js';

interface Words {
  /** In place of an own message that names what a client must not see. */
  message?: string;
  hint: string;
}

const CANNOT_WRITE: Words = {
  message: 'The service cannot write: its disk or its Redis is full or read-only',
  hint: 'Try again later.',
};

const CANNOT_REACH: Words = {
  message: 'The service cannot reach its store for now',
  hint: 'Try again in a few seconds.',
};

const WORDS: Partial<Record<ErrorCode, Words>> = {
  GP_ARTIFACT_DAMAGED: {
    message: 'What is stored of this document is damaged',
    hint: 'Submit the same document again: what is damaged is made anew, for this one too.',
  },
  GP_STORAGE: CANNOT_WRITE,
  GP_STORE_UNAVAILABLE: CANNOT_REACH,
  GP_STORE_REFUSED: CANNOT_REACH,
  GP_OUTPUT_UNWRITABLE: CANNOT_WRITE,
  GP_REDIS_UNAVAILABLE: {
    message: 'The service cannot reach its records for now',
    hint: 'Try again in a few seconds.',
  },
};

/** Hints that a client cannot follow, and the hint that replaces them, by error code. */
const OPERATOR_WORDS =
  /(?:^|[\s"'`(])--?[a-z][\w-]*|\bglyphpress [a-z]+|\b(?:REDIS_URL|GLYPHPRESS_[A-Z]+|CHROMIUM_[A-Z]+)\b|\b(?:npm|npx|apt(?:-get)?) [a-z]+|\bfont-path\b|\bconfig file\b/;
const HINTS: Partial<Record<ErrorCode, string>> = {
  GP_INPUT_ENCODING: 'Send the text as UTF-8, or name its encoding in the field encoding.',
  GP_INPUT_FORMAT: 'Send text, Markdown, HTML, PDF, DOCX or EPUB.',
  GP_INPUT_ENCRYPTED: 'Remove the password, and send the document again.',
  GP_INPUT_SCANNED: 'Send a document with text, for example what text recognition made of it.',
  GP_FONT: 'GET /v1/renderings lists what can be asked for.',
  GP_CONFIG_VALUE: 'GET /v1/renderings lists what can be asked for.',
  GP_CONTEXT_LENGTH: 'Hand in a shorter document, a denser rendering, or a plan that keeps less.',
  GP_PRUNE_PLAN: 'GET /v1/plans lists plans by name.',
};
const DEFAULT_HINT = 'GET /openapi.json describes every request.';

/** The same error reworded for clients; logs get the original. */
export function inClientWords(error: GlyphpressError): GlyphpressError {
  const { code, details } = error;
  const words = WORDS[code];
  const isOurs = OPERATOR_WORDS.test(error.hint);
  if (!words && !isOurs) return error;
  return new GlyphpressError(code, {
    message: words?.message ?? error.message,
    hint: words?.hint ?? HINTS[code] ?? DEFAULT_HINT,
    ...(words?.message === undefined && { details }),
    cause: error,
  });
}
