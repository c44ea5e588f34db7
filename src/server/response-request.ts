/** What a request to /v1/responses asks, in the words of a chat. */

import { GlyphpressError } from '../errors.js';
import type { ExpansionMethod } from '../pipeline/expanding/expander.js';
import type { ChatMessage, ChatRequest, ContentPart, QuestionRequest } from './chat-request.js';

interface InputPart {
  type: string;
  text?: string;
  file_id?: string | null;
  file_data?: string | null;
  file_url?: string | null;
  filename?: string | null;
}

interface InputItem {
  type?: string;
  role?: string;
  content?: string | InputPart[];
}

export interface ResponseRequest {
  model: string;
  input: string | InputItem[];
  instructions?: string | null;
  max_output_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  stream?: boolean | null;
  background?: boolean | null;
  store?: boolean | null;
  metadata?: Record<string, string> | null;
  previous_response_id?: string | null;
  glyphpress?: ChatRequest['glyphpress'] & { seed?: number };
}

/** All that is kept of a request: its text, and its documents by their ids. */
export interface KeptRequest {
  /** Of the user and the assistant, those before `previous_response_id` included. */
  messages: ChatMessage[];
  instructions: string | null;
  documentIds: string[];
  model: string;
  maxOutputTokens: number | null;
  temperature: number | null;
  topP: number | null;
  seed: number | null;
  citations: boolean;
  /** Absent in what an earlier version kept. */
  /** As asked; undefined for the model's default. */
  expand?: { method: 'off' | ExpansionMethod; budget?: number | undefined } | undefined;
  parts?: number | 'all' | undefined;
  metadata: Record<string, string>;
  previousResponseId: string | null;
}

/**
 * @param previous what the answer goes on from: its messages with its own answer, and its documents
 * @throws {GlyphpressError} GP_REQUEST for parts that are not taken
 */
export function questionRequestOf(
  request: ResponseRequest,
  previous: { messages: ChatMessage[]; documentIds: string[] } | null,
): QuestionRequest {
  const { model, input, instructions, glyphpress: { seed, ...glyphpress } = {} } = request;
  const said: ChatMessage[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : input.map(messageOf);
  const named =
    glyphpress.document_ids !== undefined ||
    said.some(
      ({ content }) => Array.isArray(content) && content.some(({ type }) => type === 'file'),
    );
  return {
    model,
    messages: [
      ...(instructions ? [{ role: 'system', content: instructions }] : []),
      ...(previous?.messages ?? []),
      ...said,
    ],
    max_tokens: request.max_output_tokens ?? null,
    temperature: request.temperature ?? null,
    top_p: request.top_p ?? null,
    seed: seed ?? null,
    // Who goes on with an answer asks the documents that it was about, unless others are named.
    glyphpress:
      named || !previous ? glyphpress : { ...glyphpress, document_ids: previous.documentIds },
  };
}

export function keptRequestOf(
  request: ResponseRequest,
  question: QuestionRequest,
  documentIds: string[],
): KeptRequest {
  const messages = question.messages
    .map(({ role, content }) => ({ role, content: textOnly(content) }))
    .filter(({ content }) => content !== '');
  return {
    messages: request.instructions ? messages.slice(1) : messages,
    instructions: request.instructions || null,
    documentIds,
    model: request.model,
    maxOutputTokens: request.max_output_tokens ?? null,
    temperature: request.temperature ?? null,
    topP: request.top_p ?? null,
    seed: question.seed ?? null,
    citations: question.glyphpress?.citations === true,
    expand: question.glyphpress?.expand && {
      method: question.glyphpress.expand,
      budget: question.glyphpress.expand_budget,
    },
    parts: question.glyphpress?.parts,
    metadata: request.metadata ?? {},
    previousResponseId: request.previous_response_id ?? null,
  };
}

/** The way back: what was kept as a question again. */
export function questionOfKept(kept: KeptRequest): QuestionRequest {
  const { messages, instructions, documentIds, citations, expand, parts } = kept;
  return {
    model: kept.model,
    messages: [
      ...(instructions === null ? [] : [{ role: 'system', content: instructions }]),
      ...messages,
    ],
    max_tokens: kept.maxOutputTokens,
    temperature: kept.temperature,
    top_p: kept.topP,
    seed: kept.seed,
    glyphpress: {
      document_ids: documentIds,
      citations,
      ...(expand && { expand: expand.method }),
      ...(expand?.budget !== undefined && { expand_budget: expand.budget }),
      ...(parts !== undefined && { parts }),
    },
  };
}

function messageOf({ type = 'message', role = 'user', content = '' }: InputItem): ChatMessage {
  if (type !== 'message') throw notTaken(`Input items of type "${type.slice(0, 40)}"`);
  if (typeof content === 'string') return { role, content };
  return { role, content: content.map(partOf) };
}

function partOf(part: InputPart): ContentPart {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
      return { type: 'text', text: part.text ?? '' };
    case 'input_file': {
      const { file_id, file_data, filename, file_url } = part;
      if (file_url) {
        throw new GlyphpressError('GP_REQUEST', {
          message: 'Documents are not fetched from addresses',
          hint: 'Upload the file, and give its file_id; or send it as file_data.',
          details: { param: 'input' },
        });
      }
      return { type: 'file', file: { file_id, file_data, filename } } as ContentPart;
    }
    default:
      throw notTaken(`Content of type "${part.type.slice(0, 40)}"`);
  }
}

function textOnly(content: ChatMessage['content']): string {
  if (!Array.isArray(content)) return content ?? '';
  return content.flatMap((part) => ('text' in part ? [part.text] : [])).join('\n');
}

function notTaken(what: string): GlyphpressError {
  return new GlyphpressError('GP_REQUEST', {
    message: `${what} is not supported`,
    hint: 'Messages with input_text and input_file are.',
    details: { param: 'input' },
  });
}
