/**
 * What was said to the language model, and what it said: for people, and so that a search that goes
 * on does not ask twice, nor get another answer.
 */

import { appendFileSync } from 'node:fs';
import type { TextMessage } from '../pipeline/backends/chat-request.js';
import { sha256Hex } from '../sha256.js';
import { recoverEntries } from './journal.js';
import type { ChatReply } from './llm-chat.js';

interface Said {
  messages: readonly TextMessage[];
  reply?: ChatReply;
  error?: string;
}

export class Transcript {
  readonly #replies = new Map<string, ChatReply>();

  /** @param file one exchange a line; a last line without an end is cut off */
  constructor(private readonly file: string) {
    for (const { body } of recoverEntries(file)) {
      const { messages, reply } = body as Said;
      if (reply) this.#replies.set(nameOf(messages), reply);
    }
  }

  replyTo(messages: readonly TextMessage[]): ChatReply | undefined {
    return this.#replies.get(nameOf(messages));
  }

  note(step: string, said: Said): void {
    appendFileSync(this.file, `${JSON.stringify({ step, body: said })}\n`);
    if (said.reply) this.#replies.set(nameOf(said.messages), said.reply);
  }
}

const nameOf = (messages: readonly TextMessage[]) => sha256Hex(JSON.stringify(messages));
