/** An answer token by token: how it is asked for, what comes, and what holds it until it is read. */

import { GlyphpressError } from '../errors.js';
import type { Generated } from './engine.js';
import type { SamplingOptions } from './sampler.js';

export interface GenerateOptions extends SamplingOptions {
  /**
   * Longest answer, in tokens.
   * @defaultValue the model's `answerTokens`, or what its context has room for, whichever is less
   */
  maxNewTokens?: number | undefined;
  /** End when the answer only repeats itself. @defaultValue true */
  stopLoops?: boolean;
  signal?: AbortSignal | undefined;
}

export interface GenerateEvent {
  tokenId: number;
  /** Whole characters only; empty while a character is incomplete. */
  text: string;
  /** Natural logarithm, under the model's own distribution whatever the sampling. */
  logProb: number;
}

export interface GenerateResult extends Generated {
  promptTokens: number;
}

type QueuedToken = Pick<GenerateEvent, 'tokenId' | 'logProb'>;

/** Tokens between the worker's pace and the reader's. */
export class TokenQueue implements AsyncIterable<QueuedToken> {
  readonly #tokens: QueuedToken[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  push(token: QueuedToken): void {
    this.#tokens.push(token);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<QueuedToken> {
    for (;;) {
      while (this.#tokens.length > 0) yield this.#tokens.shift()!;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

export function checkMaxNewTokens(count: number): void {
  if (Number.isSafeInteger(count) && count >= 1) return;
  throw new GlyphpressError('GP_CONFIG_VALUE', {
    message: `Expected maxNewTokens to be a positive whole number, got ${count}.`,
    hint: 'Correct the generation option.',
    details: { key: 'maxNewTokens', actual: count },
  });
}
