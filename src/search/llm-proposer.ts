/**
 * A language model reads the trials, analyses and criticises, and proposes mutations and crossovers.
 * Source: Glyph, arXiv:2510.17800, sec. 3.2 (its search; prompt and model were not published).
 *
 * A reply that is not usable is answered with what was wrong, twice at most; then, or where the
 * server is away, evolution proposes in its place, and the round says so.
 */

import { GlyphpressError } from '../errors.js';
import type { TextMessage } from '../pipeline/backends/chat-request.js';
import { countTextTokens } from '../pipeline/text-tokens.js';
import type { EvolutionProposer } from './evolution-proposer.js';
import type { Chat, ChatReply } from './llm-chat.js';
import { PROMPT_TOKENS, proposalPrompt, REPLY_SCHEMA, REPLY_TOKENS } from './llm-prompt.js';
import { type LlmReply, parseReply, ReplyError } from './llm-reply.js';
import {
  type Proposal,
  type ProposalRequest,
  type Proposer,
  type Round,
  type RoundNotes,
  SeenPoints,
} from './proposer.js';
import { repairPoint } from './repair.js';
import type { Transcript } from './transcript.js';
import type { TrialRecord } from './trial.js';

/** Times that a round asks, in all. */
const ASKED = 3;

export class LlmProposer implements Proposer {
  readonly name: string;
  #earlier: string | null = null;

  constructor(
    private readonly chat: Chat,
    private readonly evolution: EvolutionProposer,
    private readonly transcript: Transcript,
    private readonly questionsInAll: number,
  ) {
    this.name = `llm ${chat.name}, ${PROMPT_TOKENS}+${REPLY_TOKENS} tokens a round`;
  }

  async propose(request: ProposalRequest): Promise<Round> {
    const messages = proposalPrompt(request, this.questionsInAll, this.#earlier);
    const notes: RoundNotes = {
      analysis: '',
      critique: '',
      promptTokens: 0,
      replyTokens: 0,
      attempts: 0,
      unusable: 0,
    };
    const reply = await this.#ask(messages, request, notes);
    const seen = new SeenPoints(request.records, request.layers);
    const proposals = reply ? this.#read(reply, request, seen, notes) : [];
    if (reply) {
      this.#earlier = `${reply.analysis}\n${reply.critique}`.slice(0, 2_000);
      notes.analysis = reply.analysis;
      notes.critique = reply.critique;
      notes.unusable += request.ids.length - proposals.length;
    }
    const missing = request.ids.slice(proposals.length);
    proposals.push(...this.evolution.children(request, seen, missing));
    return { proposals, notes };
  }

  /** Takes up the notes of rounds that an earlier run had. */
  remember({ analysis, critique }: RoundNotes): void {
    if (analysis || critique) this.#earlier = `${analysis}\n${critique}`.slice(0, 2_000);
  }

  async #ask(
    first: readonly TextMessage[],
    request: ProposalRequest,
    notes: RoundNotes,
  ): Promise<LlmReply | null> {
    let messages = first;
    while (notes.attempts < ASKED) {
      notes.attempts++;
      let said: ChatReply;
      try {
        said = await this.#say(messages, request, notes.attempts);
      } catch (error) {
        request.signal?.throwIfAborted();
        if (!(error instanceof GlyphpressError)) throw error;
        notes.failure = `${error.code}: ${error.message}`;
        return null;
      }
      notes.promptTokens += said.promptTokens ?? tokensOf(messages);
      notes.replyTokens += said.replyTokens ?? countTextTokens(said.text);
      try {
        const reply = parseReply(said.text, request.space);
        delete notes.failure;
        return reply;
      } catch (error) {
        if (!(error instanceof ReplyError)) throw error;
        notes.failure = `unusable reply: ${error.message}`;
        messages = [
          ...first,
          { role: 'assistant', content: said.text.slice(0, 2_000) },
          {
            role: 'user',
            content: `${error.message} Answer again, in the form that was asked for.`,
          },
        ];
      }
    }
    return null;
  }

  async #say(
    messages: readonly TextMessage[],
    { generation, signal }: ProposalRequest,
    attempt: number,
  ): Promise<ChatReply> {
    const stored = this.transcript.replyTo(messages);
    if (stored) return stored;
    const step = `round ${generation} attempt ${attempt}`;
    try {
      const reply = await this.chat.reply({
        messages,
        schema: REPLY_SCHEMA,
        maxTokens: REPLY_TOKENS,
        signal,
      });
      this.transcript.note(step, { messages, reply });
      return reply;
    } catch (error) {
      this.transcript.note(step, { messages, error: String(error) });
      throw error;
    }
  }

  /** As many points as the reply holds and the round wants. */
  #read(
    { candidates }: LlmReply,
    { ids, records, space }: ProposalRequest,
    seen: SeenPoints,
    notes: RoundNotes,
  ): Proposal[] {
    const proposals: Proposal[] = [];
    const best = this.evolution.pool(records)[0];
    const byId = (id: number): TrialRecord | undefined => records[id - 1];
    for (const { from, changes, refused, why } of candidates) {
      if (proposals.length === ids.length) break;
      const parents = from.filter(byId).slice(0, 2);
      const base = (parents[0] !== undefined ? byId(parents[0]) : best)?.trial.point ?? {};
      const { point } = repairPoint({ ...base, ...changes }, space);
      if (Object.keys(changes).length === 0 || point === null || !seen.add(point)) continue;
      // Of what it wanted, a part is not there: worth trying, and worth telling.
      if (refused > 0) notes.unusable++;
      proposals.push({ point, by: 'llm', parents, ...(why && { why }) });
    }
    return proposals;
  }
}

const tokensOf = (messages: readonly TextMessage[]) =>
  messages.reduce((sum, { content }) => sum + countTextTokens(content), 0);
