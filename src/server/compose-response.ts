/** An answer as a Response object of OpenAI's, and the events by which it grows. */

import type { Evidence } from '../service/evidence.js';
import type { EngineAnswer } from '../service/question-engine.js';
import type { ResponseEvent, StoredResponse } from '../service/response-records.js';
import type { Work } from '../service/work.js';
import { answerOver } from './answering.js';
import { type AskingParts, costOf, evidenceFor, type Question, untilReady } from './asking.js';
import { StopFilter } from './chat-request.js';
import { fileIdOf } from './document-view.js';
import { type HttpFailure, httpFailure } from './errors.js';
import { openAiFinishReason } from './finish-reason.js';
import type { KeptRequest } from './response-request.js';

export interface ResponseHead {
  id: string;
  /** Unix seconds. */
  createdAt: number;
  background: boolean;
  store: boolean;
  request: KeptRequest;
}

/** The object before there is an answer. */
export function emptyResponse(head: ResponseHead, status: StoredResponse['status']) {
  const { request } = head;
  return {
    id: head.id,
    object: 'response' as const,
    created_at: head.createdAt,
    status,
    background: head.background,
    error: null as { code: string; message: string } | null,
    incomplete_details: null as { reason: string } | null,
    instructions: request.instructions,
    max_output_tokens: request.maxOutputTokens,
    metadata: request.metadata,
    model: request.model,
    output: [] as object[],
    parallel_tool_calls: true,
    previous_response_id: request.previousResponseId,
    reasoning: { effort: null, summary: null },
    store: head.store,
    temperature: request.temperature,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: request.topP,
    truncation: 'disabled',
    usage: null as object | null,
    user: null,
  };
}

export type ResponseObject = ReturnType<typeof emptyResponse> & StoredResponse;

/**
 * Makes the answer.
 *
 * @param emit gets the events between `response.created` and the last one, in order
 * @returns the last event, with the whole answer in it
 */
export async function composeResponse(
  parts: AskingParts,
  head: ResponseHead,
  question: Question,
  signal: AbortSignal,
  emit: (event: ResponseEvent) => void,
): Promise<ResponseEvent & { response: ResponseObject }> {
  const ready = await untilReady(parts, question, signal);
  emit({ type: 'response.in_progress', response: emptyResponse(head, 'in_progress') });
  const itemId = `msg_${head.id.slice('resp_'.length)}`;
  const place = { item_id: itemId, output_index: 0, content_index: 0 };
  const part = (text: string, annotations: object[] = []) => ({
    type: 'output_text',
    text,
    annotations,
    logprobs: [],
  });
  const item = (status: string, content: object[]) => ({
    id: itemId,
    type: 'message',
    status,
    role: 'assistant',
    content,
  });
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    const added = item('in_progress', []);
    emit({ type: 'response.output_item.added', output_index: 0, item: added });
    emit({ type: 'response.content_part.added', ...place, part: part('') });
  };
  const stops = new StopFilter(null);
  const onText = (delta: string) => {
    begin();
    emit({ type: 'response.output_text.delta', ...place, delta, logprobs: [] });
  };
  const telling = { signal, stops, onText };
  const { answer, documents } = await answerOver(parts, question, ready, telling);
  begin();
  const evidence = evidenceFor(question, documents, answer);
  const cut = openAiFinishReason(answer.finishReason) === 'length';
  const status = cut ? 'incomplete' : 'completed';
  const content = part(answer.answer, annotationsOf(documents, evidence, answer.answer.length));
  emit({ type: 'response.output_text.done', ...place, text: answer.answer, logprobs: [] });
  emit({ type: 'response.content_part.done', ...place, part: content });
  const done = item(status, [content]);
  emit({ type: 'response.output_item.done', output_index: 0, item: done });
  const response = {
    ...emptyResponse(head, status),
    ...(cut && { incomplete_details: { reason: 'max_output_tokens' } }),
    output: [done],
    usage: usageOf(documents, answer),
    glyphpress: { ...evidence },
  };
  return { type: `response.${status}`, response };
}

export function failedResponse(head: ResponseHead, error: unknown) {
  const failure: HttpFailure = httpFailure(error);
  const { code, message, hint } = failure;
  const response: ResponseObject = {
    ...emptyResponse(head, 'failed'),
    error: { code, message: `${message.replace(/\.$/, '')}. ${hint}` },
  };
  return { type: 'response.failed', response };
}

export function cancelledResponse(response: StoredResponse) {
  return { type: 'response.cancelled', response: { ...response, status: 'cancelled' as const } };
}

/** Each cited document once, in the likeliest order. */
function annotationsOf(
  documents: readonly Work[],
  { citations = [] }: Evidence,
  index: number,
): object[] {
  const cited = new Set(citations.map(({ document_id: id }) => id));
  return [...cited].map((id) => ({
    type: 'file_citation',
    file_id: fileIdOf(id),
    filename: documents.find(({ record }) => record.id === id)?.record.filename ?? 'document.txt',
    index,
  }));
}

function usageOf(documents: readonly Work[], answer: EngineAnswer) {
  const { promptTokens, completionTokens } = answer.usage;
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: answer.contextTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: promptTokens + completionTokens,
    glyphpress: costOf(documents, answer),
  };
}
