/** What a chat completion is asked with, and the members that servers want it said in. */

import { GlyphpressError } from '../../errors.js';
import type { ToolCallMessage, ToolDefinition, ToolResultMessage } from './chat-tools.js';

export type ContentPart =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string; detail?: ImageDetail } };

export type ImageDetail = 'low' | 'high' | 'auto';

export interface ChatMessage<Content = string | readonly ContentPart[]> {
  role: 'system' | 'user' | 'assistant';
  content: Content;
}

export type TextMessage = ChatMessage<string>;

/** Whatever is left out is left to the server. */
export interface ChatRequest {
  messages: readonly (ChatMessage | ToolCallMessage | ToolResultMessage)[];
  /** Functions that the model may call; not with `stream`. @defaultValue none */
  tools?: readonly ToolDefinition[] | undefined;
  /** `none`: what it has called it may not call again. @defaultValue auto, where there are tools */
  toolChoice?: 'auto' | 'none' | undefined;
  maxTokens?: number | undefined;
  temperature?: number | undefined;
  responseFormat?: Record<string, unknown> | undefined;
  /** Needed for onText and for a true firstTokenMs. @defaultValue false */
  stream?: boolean | undefined;
  /** Gets the answer piece by piece. */
  onText?: ((delta: string) => void) | undefined;
  /** Leaves a `<think>…</think>` block at the beginning of an answer where it is. @defaultValue false */
  keepThinking?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Servers differ in which of these request members they take. */
export interface Dialect {
  readonly limit: 'max_tokens' | 'max_completion_tokens';
  readonly streamOptions: boolean;
}

export function bodyOf(
  model: string,
  {
    messages,
    tools,
    toolChoice,
    maxTokens,
    temperature,
    responseFormat,
    stream = false,
  }: ChatRequest,
  dialect: Dialect,
): Record<string, unknown> {
  // Members that are undefined are not sent.
  return {
    model,
    messages,
    tools,
    tool_choice: tools && toolChoice,
    temperature,
    [dialect.limit]: maxTokens,
    response_format: responseFormat,
    stream,
    stream_options: stream && dialect.streamOptions ? { include_usage: true } : undefined,
  };
}

/** Another way to ask a server that refuses a member, without changing what the caller asked for. */
export function otherDialect(error: unknown, sent: Dialect): Dialect | undefined {
  if (!(error instanceof GlyphpressError)) return undefined;
  const { status, said } = error.details;
  if ((status !== 400 && status !== 422) || typeof said !== 'string') return undefined;
  if (/max_completion_tokens/.test(said) && sent.limit === 'max_tokens') {
    return { ...sent, limit: 'max_completion_tokens' };
  }
  if (/stream_options/.test(said) && sent.streamOptions) return { ...sent, streamOptions: false };
  return undefined;
}
