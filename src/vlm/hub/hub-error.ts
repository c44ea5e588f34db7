/** What the hub's client throws, as errors of ours. */
import type { HubApiError } from '@huggingface/hub';
import { GlyphpressError } from '../../errors.js';
import type { HubSettings } from './hub-settings.js';

const REFUSALS: Readonly<Record<number, [problem: string, hint: string]>> = {
  401: [
    'the hub does not know who asks, or there is no such model',
    'Check the name; for a private or gated model set HF_TOKEN to a token that may read it.',
  ],
  403: [
    'this token may not read it',
    'Accept the terms of the model on its page, or use a token of an account that did.',
  ],
  404: ['there is none', 'Check owner, name and revision.'],
};

/** @param what was asked for */
export function hubError(cause: unknown, what: string, { endpoint }: HubSettings): GlyphpressError {
  if (cause instanceof GlyphpressError) return cause;
  const status = isApiError(cause) ? cause.statusCode : undefined;
  const refusal = status === undefined ? undefined : REFUSALS[status];
  const details = { endpoint, ...(status !== undefined && { status }) };
  if (refusal) {
    const [problem, hint] = refusal;
    return new GlyphpressError('GP_HUB_REFUSED', {
      message: `${endpoint} does not give ${what}: ${problem} (${status}).`,
      hint,
      details,
      cause,
    });
  }
  // The client knows tokens by their beginning.
  if (isTokenError(cause)) {
    return new GlyphpressError('GP_HUB_REFUSED', {
      message: 'HF_TOKEN is no token of the hub: it does not begin with hf_.',
      hint: 'Make one in the settings of your account, or unset HF_TOKEN for public models.',
      cause,
    });
  }
  return new GlyphpressError('GP_HUB_UNAVAILABLE', {
    message: `${what} could not be fetched from ${endpoint}: ${reasonOf(cause)}.`,
    hint: 'Check the connection, or set HF_ENDPOINT to a mirror; what was fetched is kept, and the same command goes on from there.',
    details,
    cause,
  });
}

/** A broken connection or a server in trouble: worth another try. */
export function isConnectionError(cause: unknown): boolean {
  if (isApiError(cause)) return cause.statusCode >= 500 || cause.statusCode === 429;
  return !(cause instanceof GlyphpressError) && !isTokenError(cause);
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { message, cause: inner } = cause;
  return inner instanceof Error ? `${message} (${inner.message})` : message;
}

const isTokenError = (cause: unknown) =>
  cause instanceof TypeError && cause.message.includes("'hf_'");

/** Told by its field, so that the client is loaded only where something is fetched. */
const isApiError = (cause: unknown): cause is HubApiError =>
  cause instanceof Error && 'statusCode' in cause && typeof cause.statusCode === 'number';
