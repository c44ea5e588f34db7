/** When a failed call to a model server is made again, and after how long. */

import { setTimeout as delay } from 'node:timers/promises';
import type { GlyphpressError } from '../../errors.js';

/** A failed attempt: the error for the caller, and whether a retry may help. */
export class AttemptFailed extends Error {
  constructor(
    readonly error: GlyphpressError,
    readonly retry: boolean,
    /** What the server asks to wait. */
    readonly retryAfterMs?: number | undefined,
  ) {
    super(error.message);
  }
}

export interface RetryOptions {
  /** Attempts after the first. */
  maxRetries: number;
  /** Uniform in [0, 1), for the jitter. @defaultValue Math.random */
  random?: (() => number) | undefined;
  /** Waits, and rejects when the signal aborts. */
  sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 8_000;
/** A server may ask for a longer wait than we would choose, up to this. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/**
 * Attempts after 0.5 s, 1 s, 2 s, … up to 8 s, each shortened by up to 25 % at random; `retry-after`
 * overrules the delay. OpenAI's own clients wait the same way.
 *
 * @throws the error of the last attempt, with `details.attempts`; whatever else an attempt throws
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { maxRetries, random = Math.random, sleep = abortableDelay, signal }: RetryOptions,
): Promise<{ value: T; attempts: number }> {
  for (let attempts = 1; ; attempts++) {
    try {
      return { value: await attempt(), attempts };
    } catch (failure) {
      if (!(failure instanceof AttemptFailed)) throw failure;
      if (!failure.retry || attempts > maxRetries) {
        failure.error.details.attempts = attempts;
        throw failure.error;
      }
      const backoffMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempts - 1));
      await sleep(failure.retryAfterMs ?? backoffMs * (1 - random() / 4), signal);
    }
  }
}

/** The wait that a server asks for, within [0, 60 s]; undefined if it asks nothing readable. */
export function retryAfterMs(headers: { get(name: string): string | null }): number | undefined {
  const asked = askedMs(headers.get('retry-after-ms'), headers.get('retry-after'));
  if (Number.isNaN(asked)) return undefined;
  return Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, asked));
}

function askedMs(milliseconds: string | null, secondsOrDate: string | null): number {
  if (milliseconds !== null && isNumeric(milliseconds)) return Number(milliseconds);
  if (secondsOrDate === null) return Number.NaN;
  if (isNumeric(secondsOrDate)) return Number(secondsOrDate) * 1000;
  return Date.parse(secondsOrDate) - Date.now();
}

const isNumeric = (text: string) => /^\s*\d+(\.\d+)?\s*$/.test(text);

async function abortableDelay(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
}
