/** A language model behind any OpenAI-compatible server, asked for one JSON object. */

import { GlyphpressError } from '../errors.js';
import { OpenAiTransport, type TransportHooks } from '../pipeline/backends/openai-transport.js';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface ChatReply {
  text: string;
  /** As the server counts; null if it does not. */
  promptTokens: number | null;
  replyTokens: number | null;
}

export interface ChatRequest {
  messages: readonly ChatMessage[];
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
  reply(request: ChatRequest): Promise<ChatReply>;
}

export interface LlmChatOptions {
  baseUrl: string;
  model: string;
  apiKey?: string;
  /** For one attempt. @defaultValue 300000 */
  timeoutMs?: number;
  /** Attempts after the first. @defaultValue 2 */
  maxRetries?: number;
}

/** A proposal is a few kilobytes; what is longer is no proposal. */
const MAX_REPLY_BYTES = 4 * 1024 * 1024;

export class LlmChat implements Chat {
  readonly #transport: OpenAiTransport;
  readonly #model: string;
  #takesSchema = true;

  /** @param hooks chance and waiting, for tests */
  constructor(options: LlmChatOptions, hooks: TransportHooks = {}) {
    const { timeoutMs = 300_000, maxRetries = 2 } = options;
    this.#transport = new OpenAiTransport({ ...options, timeoutMs, maxRetries }, hooks);
    this.#model = options.model;
  }

  get name(): string {
    return `${this.#model} at ${this.#transport.baseUrl}`;
  }

  async reply(request: ChatRequest): Promise<ChatReply> {
    try {
      return await this.#ask(request, this.#takesSchema);
    } catch (error) {
      const isRefused = error instanceof GlyphpressError && error.code === 'GP_BACKEND_REQUEST';
      if (!isRefused || !this.#takesSchema) throw error;
      // Many servers refuse what they do not know; the prompt says the form in words as well.
      const reply = await this.#ask(request, false);
      this.#takesSchema = false;
      return reply;
    }
  }

  async #ask(
    { messages, schema, maxTokens, signal }: ChatRequest,
    withSchema: boolean,
  ): Promise<ChatReply> {
    const body = {
      model: this.#model,
      messages,
      max_tokens: maxTokens,
      stream: false,
      ...(withSchema && {
        response_format: { type: 'json_schema', json_schema: { name: 'proposals', schema } },
      }),
    };
    const { value } = await this.#transport.call(
      {
        path: '/chat/completions',
        body: Uint8Array.from(Buffer.from(JSON.stringify(body))),
        accept: 'application/json',
        ...(signal && { signal }),
      },
      async (response) => this.#read(await this.#bytes(response)),
    );
    return value;
  }

  async #bytes(response: Response): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of this.#transport.chunks(response)) {
      bytes += chunk.byteLength;
      if (bytes > MAX_REPLY_BYTES) throw this.#notTheProtocol('more than 4 MiB');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  #read(bytes: Buffer): ChatReply {
    let body: ChatBody | null = null;
    try {
      body = JSON.parse(bytes.toString('utf8')) as ChatBody;
    } catch {}
    const text = body?.choices?.[0]?.message?.content;
    if (typeof text !== 'string') throw this.#notTheProtocol(bytes.toString('utf8', 0, 200));
    const count = (value: unknown) => (typeof value === 'number' && value >= 0 ? value : null);
    return {
      text,
      promptTokens: count(body?.usage?.prompt_tokens),
      replyTokens: count(body?.usage?.completion_tokens),
    };
  }

  #notTheProtocol(got: string): GlyphpressError {
    return this.#transport.serverError('GP_BACKEND_RESPONSE', {
      message: `Expected a chat completion with a message, got ${got}`,
      hint: 'Check that GLYPHPRESS_LLM_BASE_URL is that of an OpenAI-compatible server.',
    });
  }
}

interface ChatBody {
  choices?: { message?: { content?: unknown } }[];
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown };
}
