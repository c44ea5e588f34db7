/** A language model behind any OpenAI-compatible server, asked for one JSON object. */

import { GlyphpressError } from '../errors.js';
import type { ChatAnswer } from '../pipeline/backends/chat-answer.js';
import {
  ChatClient,
  type ChatClientHooks,
  type ChatClientOptions,
} from '../pipeline/backends/chat-client.js';
import type { TextMessage } from '../pipeline/backends/chat-request.js';

export interface ChatReply {
  text: string;
  /** As the server counts; null if it does not. */
  promptTokens: number | null;
  replyTokens: number | null;
}

export interface ProposalRequest {
  messages: readonly TextMessage[];
  /** JSON schema of the reply; servers that know no schemas are asked without it. */
  schema: Record<string, unknown>;
  maxTokens: number;
  signal?: AbortSignal | undefined;
}

/** What the proposer needs of a server. */
export interface Chat {
  /** Name of the model, and where it is asked. */
  readonly name: string;
  /** @throws {GlyphpressError} GP_BACKEND_UNAVAILABLE, GP_BACKEND_REQUEST, GP_BACKEND_RESPONSE */
  reply(request: ProposalRequest): Promise<ChatReply>;
}

/** For one attempt, where no other limit is given. */
const TIMEOUT_MS = 300_000;
/** A proposal is a few kilobytes; what is longer is no proposal. */
const MAX_REPLY_BYTES = 4 * 1024 * 1024;

export class LlmChat implements Chat {
  readonly #client: ChatClient;
  #takesSchema = true;

  /** @param hooks chance and waiting, for tests */
  constructor(options: ChatClientOptions, hooks: ChatClientHooks = {}) {
    const limits = { timeoutMs: options.timeoutMs ?? TIMEOUT_MS, maxAnswerBytes: MAX_REPLY_BYTES };
    this.#client = new ChatClient({ ...options, ...limits }, hooks);
  }

  get name(): string {
    return `${this.#client.model} at ${this.#client.baseUrl}`;
  }

  async reply(request: ProposalRequest): Promise<ChatReply> {
    const { text, usage } = await this.#ask(request);
    return { text, promptTokens: usage.promptTokens, replyTokens: usage.completionTokens };
  }

  async #ask({ schema, ...request }: ProposalRequest): Promise<ChatAnswer> {
    const json_schema = { name: 'proposals', schema };
    const withSchema = { ...request, responseFormat: { type: 'json_schema', json_schema } };
    if (!this.#takesSchema) return this.#client.complete(request);
    try {
      return await this.#client.complete(withSchema);
    } catch (error) {
      const isRefused = error instanceof GlyphpressError && error.code === 'GP_BACKEND_REQUEST';
      if (!isRefused) throw error;
      // Many servers refuse what they do not know; the prompt says the form in words as well.
      const answer = await this.#client.complete(request);
      this.#takesSchema = false;
      return answer;
    }
  }
}
