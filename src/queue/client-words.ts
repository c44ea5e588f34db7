/** Errors whose own words name files of the machine, as clients are told of them. */

import { type ErrorCode, GlyphpressError } from '../errors.js';

const CANNOT_WRITE = {
  message: 'The service cannot write: its disk or its Redis is full or read-only',
  hint: 'Try again later; whoever runs the service finds the reason in its log.',
};

const WORDS: Partial<Record<ErrorCode, { message: string; hint: string }>> = {
  GP_ARTIFACT_DAMAGED: {
    message: 'What is stored of this document is damaged',
    hint: 'Submit the same document again: what is damaged is made anew, for this one too.',
  },
  GP_STORAGE: CANNOT_WRITE,
  GP_OUTPUT_UNWRITABLE: CANNOT_WRITE,
};

/** The same error without paths; whoever logs takes the original. */
export function inClientWords(error: GlyphpressError): GlyphpressError {
  const words = WORDS[error.code];
  return words ? new GlyphpressError(error.code, { ...words, cause: error }) : error;
}
