/** What a failed job means: for the next attempt, and for the client that submitted the document. */

import { GlyphpressError } from '../errors.js';
import { storageFailure } from '../store/storage-failure.js';
import { inClientWords } from './client-words.js';
import { redisRefusal } from './connection.js';
import type { Failure, Stage } from './document-record.js';

/** @returns null for an unexpected error */
export function asGlyphpressError(error: unknown): GlyphpressError | null {
  if (error instanceof GlyphpressError) return error;
  return storageFailure(error) ?? redisRefusal(error);
}

/**
 * Whether another try may end differently. A damaged artifact is made again from its source, a dead
 * model is opened again; an unexpected error may be a transient fault of the machine.
 */
export function mayPass(error: unknown): boolean {
  const known = asGlyphpressError(error);
  if (known === null) return true;
  return (
    known.retryable || known.code === 'GP_ARTIFACT_DAMAGED' || known.code === 'GP_MODEL_RUNTIME'
  );
}

/** The error as sent to clients. */
export function describeFailure(error: unknown, stage: Stage): Failure {
  const known = asGlyphpressError(error);
  if (known) {
    const { code, message, hint, details } = inClientWords(known);
    return { code, message, hint, stage, details };
  }
  // What it says may name paths of the machine; the log has it.
  return {
    code: 'GP_INTERNAL',
    message: 'The document met a fault of glyphpress',
    hint: 'The log of the worker says more; try again, and report it if it stays.',
    stage,
    details: {},
  };
}

export function poisonError(starts: number): GlyphpressError {
  return new GlyphpressError('GP_DOCUMENT_POISON', {
    message: `Work on this document was started ${starts} times and never finished`,
    hint: 'It ends its worker, for example by the memory it takes: split it, or render it less densely.',
    details: { starts },
  });
}
