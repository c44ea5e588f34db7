/** The answer of a chat completion, as it comes and as it is in the end. */

import type { TokenUsage } from './chat-completion.js';
import type { ChatRequest } from './chat-request.js';
import type { ToolCall } from './chat-tools.js';
import { ThinkingFilter } from './thinking-filter.js';

export interface ChatAnswer {
  text: string;
  /** What the model wants to be told before it answers; empty without tools. */
  toolCalls: ToolCall[];
  /** The server's `finish_reason` (`stop`, `length`, …); null if absent. */
  finishReason: string | null;
  usage: TokenUsage;
  /**
   * From the first byte sent to the first text (reasoning included), failed attempts and waits
   * included. Without streaming, the first text is the whole answer.
   */
  firstTokenMs: number;
  totalMs: number;
  attempts: number;
}

/** What has reached the caller, over all attempts. */
export class AnswerReading {
  /** Of the last attempt. */
  firstTokenMs: number | undefined;
  /** True once the caller got text, which no other attempt can take back. */
  delivered = false;
  /** Characters that came from the server in the last attempt. */
  received = 0;
  #text = '';
  #filter: ThinkingFilter | null = null;

  constructor(
    private readonly started: number,
    private readonly request: Pick<ChatRequest, 'onText' | 'keepThinking'>,
  ) {}

  restart(): void {
    this.firstTokenMs = undefined;
    this.received = 0;
    this.#text = '';
    this.#filter = this.request.keepThinking ? null : new ThinkingFilter();
  }

  noteFirstToken(): void {
    this.firstTokenMs ??= performance.now() - this.started;
  }

  take(text: string): void {
    if (text === '') return;
    this.received += text.length;
    this.noteFirstToken();
    this.#deliver(this.#filter ? this.#filter.push(text) : text);
  }

  /** @returns the whole answer */
  end(): string {
    this.#deliver(this.#filter?.end() ?? '');
    return this.#text;
  }

  #deliver(text: string): void {
    if (text === '') return;
    this.#text += text;
    if (!this.request.onText) return;
    this.delivered = true;
    this.request.onText(text);
  }
}
