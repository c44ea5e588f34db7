/**
 * A question to a model behind a server that may look twice: by tools, several rounds of them, or by
 * naming the lines it would read first and being asked again with their text.
 */

import { GlyphpressError } from '../../errors.js';
import type { Answer } from '../backend.js';
import { withPassages } from '../expanding/passages-prompt.js';
import {
  PLACES_PROMPT,
  READING_TOOLS,
  readNamedPlaces,
  runToolCall,
  TOOL_HINT,
} from '../expanding/reading-tools.js';
import type { SourceReader } from '../expanding/source-reader.js';
import type { TokenUsage } from './chat-completion.js';
import type { ChatRequest } from './chat-request.js';
import { type ToolCall, toolCallMessage } from './chat-tools.js';
import type { OpenAiAnswer, OpenAiAskOptions, OpenAiBackend } from './openai.js';

/** Requests that may end in calls; the one behind them must answer. */
const MAX_ROUNDS = 4;
/** Room for the list of lines of the two-step prompt. */
const PLACES_TOKENS = 1024;

/** How the source was read for an answer; part of its usage. */
export type ReadingUsage = NonNullable<Answer['usage']['reading']>;

export type ReadAnswer = Omit<OpenAiAnswer, 'attempts'> & { reading: ReadingUsage };

/** Models that were found not to take tools, by their server. */
const withoutTools = new WeakSet<OpenAiBackend>();

/**
 * @param reader hands out the lines, and ends the rounds when its budget is spent
 * @throws {GlyphpressError} as {@link OpenAiBackend.ask}
 */
export async function askWithReader(
  client: OpenAiBackend,
  pages: readonly Buffer[],
  question: string,
  reader: SourceReader,
  options: OpenAiAskOptions,
): Promise<ReadAnswer> {
  if (!withoutTools.has(client)) {
    try {
      return await askWithTools(client, pages, question, reader, options);
    } catch (error) {
      if (!refusesTools(error) || reader.tokens > 0) throw error;
      withoutTools.add(client);
    }
  }
  return askInTwoSteps(client, pages, question, reader, options);
}

async function askWithTools(
  client: OpenAiBackend,
  pages: readonly Buffer[],
  question: string,
  reader: SourceReader,
  { maxNewTokens, temperature, stream: _, onText, signal, ...prompt }: OpenAiAskOptions,
): Promise<ReadAnswer> {
  const asked = await client.messages(pages, `${question}\n\n${TOOL_HINT}`, prompt, signal);
  const messages: ChatRequest['messages'][number][] = [...asked];
  const account = new RoundAccount('tools');
  for (let round = 1; ; round++) {
    const mayCall = round <= MAX_ROUNDS && !reader.isSpent;
    const said = await client.complete({
      messages,
      tools: READING_TOOLS,
      toolChoice: mayCall ? 'auto' : 'none',
      maxTokens: maxNewTokens,
      temperature,
      signal,
    });
    account.add(said);
    if (!mayCall || said.toolCalls.length === 0) {
      onText?.(said.text);
      return account.answer(said);
    }
    messages.push(toolCallMessage(said.text, said.toolCalls));
    for (const call of said.toolCalls) {
      account.note(call);
      const content = runToolCall(reader, call);
      messages.push({ role: 'tool', tool_call_id: call.id, content });
    }
  }
}

async function askInTwoSteps(
  client: OpenAiBackend,
  pages: readonly Buffer[],
  question: string,
  reader: SourceReader,
  options: OpenAiAskOptions,
): Promise<ReadAnswer> {
  const account = new RoundAccount('prompt');
  const { temperature, signal, stream: _, onText: __, maxNewTokens: ___, ...prompt } = options;
  const messages = await client.messages(pages, `${question}\n\n${PLACES_PROMPT}`, prompt, signal);
  const named = await client.complete({ messages, maxTokens: PLACES_TOKENS, temperature, signal });
  account.add(named);
  const passages = readNamedPlaces(reader, named.text);
  const { answer: text, ...said } = await client.ask(
    pages,
    withPassages(question, passages),
    options,
  );
  account.add(said);
  return account.answer({ ...said, text });
}

/** What all requests of one answer cost together. */
class RoundAccount {
  readonly #calls: ReadingUsage['calls'] = [];
  #rounds = 0;
  #ms = 0;
  #usage: TokenUsage = { promptTokens: 0, completionTokens: 0 };
  #lastStart = 0;

  constructor(private readonly by: ReadingUsage['by']) {}

  add({ usage, totalMs }: Pick<OpenAiAnswer, 'usage' | 'totalMs'>): void {
    const plus = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);
    this.#usage = {
      promptTokens: plus(this.#usage.promptTokens, usage.promptTokens),
      completionTokens: plus(this.#usage.completionTokens, usage.completionTokens),
    };
    this.#rounds++;
    this.#lastStart = this.#ms;
    this.#ms += totalMs;
  }

  note({ name, arguments: given }: ToolCall): void {
    this.#calls.push({ name, arguments: given });
  }

  answer({
    text,
    finishReason,
    firstTokenMs,
  }: Pick<OpenAiAnswer, 'finishReason' | 'firstTokenMs'> & { text: string }): ReadAnswer {
    return {
      answer: text,
      finishReason,
      usage: this.#usage,
      firstTokenMs: this.#lastStart + firstTokenMs,
      totalMs: this.#ms,
      reading: { by: this.by, rounds: this.#rounds, calls: this.#calls },
    };
  }
}

/** Servers say so in many words: "does not support tools", "--enable-auto-tool-choice", "tool_choice". */
function refusesTools(error: unknown): boolean {
  if (!(error instanceof GlyphpressError)) return false;
  const { status, said } = error.details;
  return (
    typeof status === 'number' &&
    [400, 404, 405, 422, 500, 501].includes(status) &&
    typeof said === 'string' &&
    /tool|function/i.test(said)
  );
}
