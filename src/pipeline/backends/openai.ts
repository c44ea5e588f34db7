import type { ChatAnswer } from './chat-answer.js';
import { ChatClient, type ChatClientHooks, type ChatClientOptions } from './chat-client.js';
import type { ChatMessage, ChatRequest } from './chat-request.js';
import { type PagePromptOptions, pageMessages } from './page-messages.js';

export interface OpenAiBackendOptions
  extends ChatClientOptions,
    Pick<PagePromptOptions, 'instructions' | 'pageNumbers' | 'detail'> {
  /** Leaves a `<think>…</think>` block at the beginning of an answer where it is. @defaultValue false */
  keepThinking?: boolean | undefined;
}

export interface OpenAiAskOptions extends PagePromptOptions {
  /** The server's own limit if left out. */
  maxNewTokens?: number | undefined;
  /** Sampling is left to the server if left out. */
  temperature?: number | undefined;
  /** Needed for onText and for a true firstTokenMs. @defaultValue true */
  stream?: boolean | undefined;
  /** Gets the answer piece by piece. */
  onText?: ((delta: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface OpenAiAnswer extends Omit<ChatAnswer, 'text' | 'toolCalls'> {
  answer: string;
}

/**
 * Asks a vision-language model behind any OpenAI-compatible server, with pages as images.
 *
 * The rendering saves tokens here as anywhere; pruning does not happen, for the server owns the
 * visual tokens.
 */
export class OpenAiBackend {
  readonly #client: ChatClient;
  readonly #prompt: PagePromptOptions;
  readonly #keepThinking: boolean;

  /**
   * @param hooks chance and waiting, for tests
   * @throws {GlyphpressError} GP_CONFIG_VALUE for a bad address, key, time limit or retry count
   */
  constructor(options: OpenAiBackendOptions, hooks: ChatClientHooks = {}) {
    const { instructions, pageNumbers, detail, keepThinking = false } = options;
    this.#client = new ChatClient(options, hooks);
    this.#prompt = { instructions, pageNumbers, detail };
    this.#keepThinking = keepThinking;
  }

  get model(): string {
    return this.#client.model;
  }

  /** The normalised address that calls are made under. */
  get baseUrl(): string {
    return this.#client.baseUrl;
  }

  /**
   * Ask one question about pages.
   *
   * @param pages PNG files in page order
   * @throws {GlyphpressError} as {@link ChatClient.complete}; GP_BACKEND_REQUEST for a page that is no PNG
   * @throws the signal's reason when it aborts, and whatever onText throws
   */
  async ask(
    pages: AsyncIterable<Buffer> | Iterable<Buffer>,
    question: string,
    options: OpenAiAskOptions = {},
  ): Promise<OpenAiAnswer> {
    const { stream = true, maxNewTokens, temperature, onText, signal, ...prompt } = options;
    const messages = await this.messages(pages, question, prompt, signal);
    const {
      text: answer,
      toolCalls: _,
      ...rest
    } = await this.#client.complete({
      messages,
      maxTokens: maxNewTokens,
      temperature,
      stream,
      onText,
      keepThinking: this.#keepThinking,
      signal,
    });
    return { answer, ...rest };
  }

  /** The messages that {@link ask} sends. @throws as {@link ask} */
  messages(
    pages: AsyncIterable<Buffer> | Iterable<Buffer>,
    question: string,
    options: PagePromptOptions = {},
    signal?: AbortSignal,
  ): Promise<ChatMessage[]> {
    return pageMessages(pages, question, { ...this.#prompt, ...options }, signal);
  }

  /** One turn of a conversation that begins with {@link messages}. @throws as {@link ask} */
  complete(request: ChatRequest): Promise<ChatAnswer> {
    return this.#client.complete({ ...request, keepThinking: this.#keepThinking });
  }

  /** Names of the models that the server offers. @throws {GlyphpressError} as {@link ChatClient.complete} */
  listModels(options: { signal?: AbortSignal | undefined } = {}): Promise<string[]> {
    return this.#client.listModels(options);
  }
}
