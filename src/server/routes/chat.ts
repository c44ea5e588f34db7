/** /v1/chat/completions over a document. */

import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { isTerminal } from '../../queue/document-record.js';
import type { EngineAnswer } from '../../service/question-engine.js';
import type { Work } from '../../service/work.js';
import { answerOver } from '../answering.js';
import { costOf, evidenceFor, type Question, readQuestion, untilReady } from '../asking.js';
import { type ChatRequest, StopFilter } from '../chat-request.js';
import type { ServerParts } from '../context.js';
import { httpFailure, openAiError } from '../errors.js';
import { clientSignal, EventStream } from '../event-stream.js';
import { openAiFinishReason } from '../finish-reason.js';
import { inlineBodyBytes, inlineFilesOf, takeInlineFiles } from '../inline-files.js';
import {
  evidenceObject,
  glyphpressOptions,
  nullable,
  oneOf,
  openAiErrors,
  optional,
  withoutEffect,
} from '../schemas.js';
import type { App } from '../typed-app.js';

const contentPart = Type.Union([
  Type.Object({ type: Type.Literal('text'), text: Type.String() }),
  Type.Object({
    type: Type.Literal('file'),
    file: Type.Object({
      file_id: Type.Optional(nullable(Type.String({ maxLength: 100 }))),
      file_data: Type.Optional(nullable(Type.String())),
      filename: Type.Optional(nullable(Type.String({ maxLength: 255 }))),
    }),
  }),
  Type.Object({ type: Type.String() }),
]);

const stopText = Type.String({ minLength: 1, maxLength: 200 });

/** Taken and without effect: they change nothing that an answer says. */
const WITHOUT_EFFECT = [
  'user',
  'metadata',
  'store',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'reasoning_effort',
  'verbosity',
  'parallel_tool_calls',
] as const;

const chatBody = Type.Object(
  {
    model: Type.String({ maxLength: 200 }),
    messages: Type.Array(
      Type.Object({
        role: oneOf('system', 'developer', 'user', 'assistant'),
        content: optional(
          Type.Union([Type.String(), Type.Array(contentPart, { maxItems: 1_000 })]),
        ),
        name: Type.Optional(Type.String()),
      }),
      { minItems: 1, maxItems: 1_000 },
    ),
    max_tokens: optional(Type.Integer({ minimum: 1 })),
    max_completion_tokens: optional(Type.Integer({ minimum: 1 })),
    temperature: optional(Type.Number({ minimum: 0, maximum: 2 })),
    top_p: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    seed: optional(Type.Integer()),
    stop: optional(Type.Union([stopText, Type.Array(stopText, { maxItems: 4 })])),
    n: optional(Type.Literal(1)),
    stream: optional(Type.Boolean()),
    stream_options: optional(
      Type.Object({
        include_usage: Type.Optional(Type.Boolean()),
        include_obfuscation: Type.Optional(Type.Boolean()),
      }),
    ),
    response_format: optional(Type.Object({ type: Type.Literal('text') })),
    presence_penalty: optional(Type.Literal(0)),
    frequency_penalty: optional(Type.Literal(0)),
    logprobs: optional(Type.Literal(false)),
    glyphpress: Type.Optional(glyphpressOptions),
    ...withoutEffect(WITHOUT_EFFECT),
  },
  { additionalProperties: false, title: 'ChatCompletionRequest' },
);

const usage = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
  glyphpress: Type.Record(Type.String(), Type.Unknown(), {
    description: 'What the document cost as text, and what it costs now.',
  }),
});

const completion = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('chat.completion'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(
      Type.Object({
        index: Type.Integer(),
        message: Type.Object({
          role: Type.Literal('assistant'),
          content: Type.String(),
          refusal: Type.Null(),
        }),
        logprobs: Type.Null(),
        finish_reason: Type.String(),
      }),
    ),
    usage,
    glyphpress: evidenceObject,
  },
  { title: 'ChatCompletion' },
);

export function chatRoutes(app: App, parts: ServerParts): void {
  app.post(
    '/v1/chat/completions',
    {
      config: { access: ['query'] },
      bodyLimit: inlineBodyBytes(parts.limits),
      preParsing: takeInlineFiles(parts.store, parts.limits),
      schema: {
        tags: ['openai'],
        summary: 'Ask one or several documents',
        description:
          'The documents are file parts of messages or glyphpress.document_ids. One that is still ' +
          'compressed is waited for. Several are asked together, over one context of them all.',
        body: chatBody,
        response: { 200: completion, ...openAiErrors },
      },
    },
    async (request, reply) => {
      const body = request.body as ChatRequest;
      const signal = clientSignal(reply, parts.stopping);
      return body.stream
        ? streamed(parts, request, reply, body, signal)
        : whole(parts, request, body, signal);
    },
  );
}

async function whole(
  parts: ServerParts,
  request: FastifyRequest,
  body: ChatRequest,
  signal: AbortSignal,
) {
  const question = await readQuestion(parts, request.caller.tenant, body, inlineFilesOf(request));
  const ready = await untilReady(parts, question, signal);
  const stops = new StopFilter(body.stop);
  let text = '';
  const onText = (piece: string) => {
    text += piece;
  };
  const telling = { signal, stops, onText };
  const { answer, documents } = await answerOver(parts, question, ready, telling);
  text += stops.end();
  const message = {
    role: 'assistant' as const,
    // Without a stop sequence the engine's own: trimmed, and without endless repetition.
    content: stops.stopped ? text.trim() : answer.answer,
    refusal: null,
  };
  return {
    ...headOf(question),
    object: 'chat.completion' as const,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(answer, stops) }],
    usage: usageOf(documents, answer),
    glyphpress: evidenceFor(question, documents, answer),
  };
}

/** The stream begins with the first token, so that what goes wrong before it has a status. */
async function streamed(
  parts: ServerParts,
  request: FastifyRequest,
  reply: FastifyReply,
  body: ChatRequest,
  signal: AbortSignal,
): Promise<FastifyReply> {
  const question = await readQuestion(parts, request.caller.tenant, body, inlineFilesOf(request));
  const head = headOf(question);
  let stream: EventStream | null = null;
  const chunk = (delta: object, finish: string | null) => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(body.stream_options?.include_usage && { usage: null }),
  });
  const open = () => {
    if (stream) return stream;
    stream = new EventStream(request, reply);
    void stream.send({ data: chunk({ role: 'assistant', content: '' }, null) });
    return stream;
  };
  try {
    // A document that takes its time is waited for with an open stream, which shows that we live.
    if (!question.documents.every(({ record }) => isTerminal(record.state))) open();
    const ready = await untilReady(parts, question, signal);
    const stops = new StopFilter(body.stop);
    const say = (text: string) => {
      if (text !== '') void open().send({ data: chunk({ content: text }, null) });
    };
    const telling = { signal, stops, onText: say, onBuild: () => void open() };
    const { answer, documents } = await answerOver(parts, question, ready, telling);
    say(stops.end());
    const last = chunk({}, finishReason(answer, stops));
    const glyphpress = evidenceFor(question, documents, answer);
    await open().send({ data: { ...last, glyphpress } });
    if (body.stream_options?.include_usage) {
      await open().send({
        data: { ...chunk({}, null), choices: [], usage: usageOf(documents, answer) },
      });
    }
    await open().send({ data: '[DONE]' });
  } catch (error) {
    if (!stream) throw error;
    const failure = httpFailure(error);
    if (failure.unforeseen && !signal.aborted) request.log.error({ err: error }, 'answer stream');
    await (stream as EventStream).send({ data: openAiError(failure) });
  } finally {
    (stream as EventStream | null)?.end();
  }
  return reply;
}

function headOf({ model }: Question) {
  return {
    id: `chatcmpl-${randomUUID().replaceAll('-', '')}`,
    created: Math.floor(Date.now() / 1000),
    model,
  };
}

function finishReason({ finishReason }: EngineAnswer, stops: StopFilter): string {
  return stops.stopped ? 'stop' : openAiFinishReason(finishReason);
}

function usageOf(documents: readonly Work[], answer: EngineAnswer) {
  const { promptTokens, completionTokens } = answer.usage;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: answer.contextTokens },
    glyphpress: costOf(documents, answer),
  };
}
