/** Reads the bodies and stream chunks of `/chat/completions`, as different servers write them. */

import { readToolCalls, type ToolCall } from './chat-tools.js';

export interface TokenUsage {
  promptTokens: number | null;
  completionTokens: number | null;
}

/** Fields of a response body or of one stream chunk; null if absent. */
export interface CompletionPart {
  /** Null where there is no choice, as in the chunk that carries the usage. */
  choice: {
    text: string;
    isReasoning: boolean;
    /** Of a whole answer. */
    toolCalls: ToolCall[];
    finishReason: string | null;
  } | null;
  usage: TokenUsage | null;
  /** An error in place of an answer, with status 200. */
  error: unknown;
}

/**
 * @param member where the text is: `message` in a whole answer, `delta` in a chunk of a stream
 */
export function readCompletion(body: unknown, member: 'message' | 'delta'): CompletionPart {
  const { choices, usage, error } = (body ?? {}) as Record<string, unknown>;
  const choice = firstChoice(choices);
  const text = choice && textOf(choice[member]);
  return {
    choice:
      choice === undefined || text === undefined
        ? null
        : {
            text,
            isReasoning: isReasoning(choice[member]),
            toolCalls: member === 'message' ? readToolCalls(choice.message) : [],
            finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : null,
          },
    usage: usageOf(usage),
    error: error ?? null,
  };
}

/** @returns the names of a list of models; null if it is none */
export function readModelNames(body: unknown): string[] | null {
  const data = (body as { data?: unknown } | null)?.data;
  if (!Array.isArray(data)) return null;
  const names = data.map((model: { id?: unknown } | null) => model?.id);
  return names.every((name) => typeof name === 'string') ? names : null;
}

function firstChoice(choices: unknown): Record<string, unknown> | undefined {
  if (!Array.isArray(choices)) return undefined;
  const objects = choices.filter((choice) => typeof choice === 'object' && choice !== null);
  return objects.find((choice) => (choice.index ?? 0) === 0);
}

/**
 * A string, null (all of it was reasoning), or a list of text parts. In a delta other members may
 * stand alone; a message that is there but holds something else is not of the protocol.
 */
function textOf(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { content } = message as { content?: unknown };
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  return content
    .map((part: { text?: unknown } | null) => (typeof part?.text === 'string' ? part.text : ''))
    .join('');
}

/** Reasoning models stream their thoughts beside the answer, under either name. */
function isReasoning(delta: unknown): boolean {
  const { reasoning_content, reasoning } = (delta ?? {}) as Record<string, unknown>;
  return Boolean(reasoning_content || reasoning);
}

function usageOf(usage: unknown): TokenUsage | null {
  if (typeof usage !== 'object' || usage === null) return null;
  const { prompt_tokens, completion_tokens } = usage as Record<string, unknown>;
  return { promptTokens: countOf(prompt_tokens), completionTokens: countOf(completion_tokens) };
}

const countOf = (value: unknown) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
