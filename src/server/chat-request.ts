/** What a chat completion request asks: which document, which question, how to answer. */

import { GlyphpressError } from '../errors.js';
import type { ExpansionMethod } from '../pipeline/expanding/expander.js';
import type { GenerateOptions } from '../vlm/index.js';
import { documentIdOf } from './document-view.js';
import type { InlineFile, InlineFiles } from './inline-files.js';

export interface FilePart {
  file_id?: string | null;
  file_data?: string | null;
  filename?: string | null;
}

export type ContentPart =
  | { type: 'text'; text: string }
  | { type: 'file'; file: FilePart }
  | { type: string };

export interface ChatMessage {
  role: string;
  content?: string | ContentPart[] | null;
}

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  seed?: number | null;
  stop?: string | string[] | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  glyphpress?: {
    document_ids?: string[];
    wait_seconds?: number;
    citations?: boolean;
    expand?: 'off' | ExpansionMethod;
    expand_budget?: number;
    parts?: number | 'all';
  };
}

/** A question, whichever route it came in by. */
export interface QuestionRequest extends Sampling, Pick<ChatRequest, 'messages' | 'glyphpress'> {
  model: string;
}

export type AskedDocument =
  | { kind: 'stored'; id: string }
  | { kind: 'inline'; file: InlineFile; filename: string | null };

/**
 * The documents of a request, each once, in the order that it names them.
 *
 * @param files what came as file_data, by the names that stand in its place
 * @param max documents that one question may be about
 * @throws {GlyphpressError} GP_REQUEST for none, and for too many
 */
export function documentsOf(
  { messages, glyphpress }: Pick<ChatRequest, 'messages' | 'glyphpress'>,
  files: InlineFiles,
  max: number,
): AskedDocument[] {
  const asked = new Map<string, AskedDocument>();
  const stored = (name: string) => {
    const id = documentIdOf(name);
    asked.set(id, { kind: 'stored', id });
  };
  for (const id of glyphpress?.document_ids ?? []) stored(id);
  for (const { content } of messages) {
    if (!Array.isArray(content)) continue;
    for (const part of content) {
      if (!isFile(part)) continue;
      const { file_id: id, file_data: data } = part.file;
      if (id) stored(id);
      else if (data) {
        const inline = inlineDocument(part.file, files);
        asked.set(inline.file.upload.hash, inline);
      } else throw bad('A file part needs file_id or file_data', 'messages');
    }
  }
  if (asked.size === 0) {
    throw new GlyphpressError('GP_REQUEST', {
      message: 'The request names no document',
      hint: 'Add a content part {"type":"file","file":{"file_id":"file-…"}} or glyphpress.document_ids.',
      details: { param: 'messages' },
    });
  }
  if (asked.size > max) {
    throw new GlyphpressError('GP_REQUEST', {
      message: `The request names ${asked.size} documents; at most ${max} are asked at once`,
      hint: 'Ask about fewer, or hand them in as one.',
      details: { param: 'messages', documents: asked.size, limit: max },
    });
  }
  return [...asked.values()];
}

function inlineDocument({ file_data: name, filename }: FilePart, files: InlineFiles) {
  const file = files.get(name!);
  // Its key was written with escapes, so that it was taken for something else.
  if (!file) throw bad('file_data could not be read', 'messages');
  return { kind: 'inline' as const, file, filename: filename ?? null };
}

/**
 * The question as the model gets it: the last thing said, with what went before it in front where
 * there was more than one turn.
 */
export function questionOf(
  { messages }: Pick<ChatRequest, 'messages'>,
  maxCharacters: number,
): string {
  const said = messages
    .map(({ role, content }) => ({ role, text: textOf(content) }))
    .filter(({ text }) => text.trim() !== '');
  const last = said.at(-1);
  if (last?.role !== 'user') {
    throw bad('The last message must be a question of the user', 'messages');
  }
  const before = said.slice(0, -1);
  const instructions = before.filter(({ role }) => role === 'system' || role === 'developer');
  const turns = before.filter(({ role }) => role === 'user' || role === 'assistant');
  const question = [
    ...instructions.map(({ text }) => text),
    ...turns.map(({ role, text }) => `${role === 'user' ? 'Question' : 'Answer'}: ${text}`),
    turns.length > 0 ? `Question: ${last.text}` : last.text,
  ].join('\n\n');
  if (question.length <= maxCharacters) return question;
  throw new GlyphpressError('GP_REQUEST_TOO_LARGE', {
    message: `The messages have ${question.length} characters; at most ${maxCharacters} are taken`,
    hint: 'Long text belongs into a document.',
    details: { param: 'messages', limit: maxCharacters },
  });
}

function textOf(content: ChatMessage['content']): string {
  if (typeof content === 'string') return content;
  const texts = (content ?? []).flatMap((part) => {
    if (part.type === 'text') return [(part as { text: string }).text];
    if (part.type === 'file') return [];
    throw bad(`Content of type "${part.type.slice(0, 40)}" is not taken`, 'messages');
  });
  return texts.join('\n');
}

export type Sampling = Pick<
  ChatRequest,
  'max_tokens' | 'max_completion_tokens' | 'temperature' | 'top_p' | 'seed'
>;

export function generateOptionsOf(
  request: Sampling,
  maxAnswerTokens: number,
): Omit<GenerateOptions, 'signal'> {
  const wanted = request.max_completion_tokens ?? request.max_tokens ?? DEFAULT_ANSWER_TOKENS;
  const { temperature, top_p: topP, seed } = request;
  return {
    maxNewTokens: Math.min(wanted, maxAnswerTokens),
    ...(typeof temperature === 'number' && { temperature }),
    ...(typeof topP === 'number' && { topP }),
    ...(typeof seed === 'number' && { seed: Math.abs(seed) % 2 ** 32 }),
  };
}

const DEFAULT_ANSWER_TOKENS = 256;

/** Passes an answer on as it grows, up to the first of the stop sequences. */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  constructor(stop: ChatRequest['stop']) {
    this.#stops = (typeof stop === 'string' ? [stop] : (stop ?? [])).filter((text) => text !== '');
  }

  /** The same stop sequences for another answer. */
  anew(): StopFilter {
    return new StopFilter([...this.#stops]);
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** @returns what can be passed on: what may be the start of a stop sequence is held back */
  push(text: string): string {
    if (this.#stopped) return '';
    const all = this.#held + text;
    const ends = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (ends.length > 0) {
      this.#stopped = true;
      this.#held = '';
      return all.slice(0, Math.min(...ends));
    }
    const hold = Math.max(0, ...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - hold);
    return all.slice(0, all.length - hold);
  }

  /** What was held back when nothing more comes. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** Length of the longest end of `text` that `stop` starts with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--)
    if (text.endsWith(stop.slice(0, length))) return length;
  return 0;
}

function isFile(part: ContentPart): part is { type: 'file'; file: FilePart } {
  return part.type === 'file';
}

function bad(message: string, param: string): GlyphpressError {
  return new GlyphpressError('GP_REQUEST', {
    message,
    hint: 'GET /openapi.json describes every request.',
    details: { param },
  });
}
