/** OpenAI-compatible /v1/responses (Responses API): questions, also in the background. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { GlyphpressError } from '../../errors.js';
import type { ResponseEvent, StoredResponse } from '../../service/response-records.js';
import { ResponseRecords } from '../../service/response-records.js';
import { type Question, readQuestion } from '../asking.js';
import type { ChatMessage } from '../chat-request.js';
import {
  cancelledResponse,
  composeResponse,
  emptyResponse,
  failedResponse,
  type ResponseHead,
  type ResponseObject,
} from '../compose-response.js';
import type { ServerParts } from '../context.js';
import { clientSignal, EventStream } from '../event-stream.js';
import { once } from '../idempotency.js';
import { inlineBodyBytes, inlineFilesOf, takeInlineFiles } from '../inline-files.js';
import {
  type KeptRequest,
  keptRequestOf,
  questionRequestOf,
  type ResponseRequest,
} from '../response-request.js';
import { queuedEvents, type ResponseRunner } from '../response-runner.js';
import {
  glyphpressOptions,
  nullable,
  oneOf,
  openAiErrors,
  optional,
  withoutEffect,
} from '../schemas.js';
import type { App } from '../typed-app.js';

const inputPart = Type.Object({
  type: Type.String({ maxLength: 40 }),
  text: Type.Optional(Type.String()),
  file_id: optional(Type.String({ maxLength: 100 })),
  file_data: optional(Type.String()),
  file_url: optional(Type.String({ description: 'Refused: nothing is fetched.' })),
  filename: optional(Type.String({ maxLength: 255 })),
});

const inputItem = Type.Object({
  type: Type.Optional(Type.String({ maxLength: 40 })),
  id: optional(Type.String({ maxLength: 100 })),
  status: optional(Type.String({ maxLength: 40 })),
  role: Type.Optional(oneOf('system', 'developer', 'user', 'assistant')),
  content: Type.Optional(Type.Union([Type.String(), Type.Array(inputPart, { maxItems: 1_000 })])),
});

/** Taken and without effect: they change nothing that an answer says. */
const WITHOUT_EFFECT = [
  'user',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'parallel_tool_calls',
  'reasoning',
  'max_tool_calls',
  'top_logprobs',
  'include',
  'stream_options',
] as const;

const body = Type.Object(
  {
    model: Type.String({ maxLength: 200 }),
    input: Type.Union([
      Type.String({ minLength: 1 }),
      Type.Array(inputItem, { minItems: 1, maxItems: 1_000 }),
    ]),
    instructions: optional(Type.String()),
    max_output_tokens: optional(Type.Integer({ minimum: 1 })),
    temperature: optional(Type.Number({ minimum: 0, maximum: 2 })),
    top_p: optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    stream: optional(Type.Boolean()),
    background: optional(Type.Boolean()),
    store: optional(Type.Boolean()),
    metadata: optional(
      Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 512 }), {
        maxProperties: 16,
      }),
    ),
    previous_response_id: optional(Type.String({ maxLength: 100 })),
    truncation: optional(oneOf('disabled', 'auto')),
    text: optional(
      Type.Object({
        format: Type.Optional(Type.Object({ type: Type.Literal('text') })),
        verbosity: optional(Type.String({ maxLength: 20 })),
      }),
    ),
    tools: optional(Type.Array(Type.Unknown(), { maxItems: 0 })),
    tool_choice: optional(oneOf('auto', 'none')),
    glyphpress: Type.Optional(
      Type.Object(
        { ...glyphpressOptions.properties, seed: Type.Optional(Type.Integer()) },
        { additionalProperties: false },
      ),
    ),
    ...withoutEffect(WITHOUT_EFFECT),
  },
  { additionalProperties: false, title: 'ResponseRequest' },
);

/** The fields that every answer has; the serialiser passes on the others as they are. */
const responseObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('response'),
    created_at: Type.Integer(),
    status: oneOf('queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled'),
    model: Type.String(),
    output: Type.Array(Type.Any()),
    error: nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  },
  { additionalProperties: true, title: 'Response' },
);

const params = Type.Object({ id: Type.String({ maxLength: 100 }) });

interface ResponseParts extends ServerParts {
  runner: ResponseRunner;
}

export function responseRoutes(app: App, parts: ResponseParts): void {
  const { responses, redis, runner, closing, stopping } = parts;
  const tags = ['openai'];
  const refOf = ({ caller, params }: { caller: { tenant: string }; params: { id: string } }) => ({
    tenant: caller.tenant,
    id: params.id,
  });

  app.post(
    '/v1/responses',
    {
      config: { access: ['query'] },
      bodyLimit: inlineBodyBytes(parts.limits),
      preParsing: takeInlineFiles(parts.store, parts.limits),
      schema: {
        tags,
        summary: 'Ask one or several documents; in the background too',
        description:
          'The documents are input_file parts or glyphpress.document_ids, or those of ' +
          'previous_response_id. With "background": true it takes an Idempotency-Key.',
        body,
        response: { 200: responseObject, ...openAiErrors },
      },
    },
    async (request, reply) => {
      const asked = request.body as ResponseRequest;
      const { tenant } = request.caller;
      const { head, question } = await prepare(parts, request, asked);
      if (!asked.background) {
        const signal = clientSignal(reply, stopping);
        return asked.stream
          ? streamed(parts, request, reply, head, question, signal)
          : whole(parts, tenant, head, question, signal);
      }
      const id = await once(redis, request, reply, asked, async () => {
        const ref = { tenant, id: head.id };
        const record = { ...ref, request: head.request, response: emptyResponse(head, 'queued') };
        await responses.queue(record, queuedEvents(head), runner.leaseUntil);
        runner.start(ref);
        return head.id;
      });
      if (asked.stream) return followed(parts, request, reply, { tenant, id }, null);
      return (await responses.get({ tenant, id })).response as ResponseObject;
    },
  );

  app.get(
    '/v1/responses/:id',
    {
      config: { access: ['query'] },
      schema: {
        tags,
        summary: 'An answer that was kept, or how far it is',
        description: 'With stream=true the events of a background answer, after starting_after.',
        params,
        querystring: Type.Object({
          stream: Type.Optional(oneOf('true', 'false')),
          starting_after: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })),
        }),
        response: { 200: responseObject, ...openAiErrors },
      },
    },
    async (request, reply) => {
      const ref = refOf(request);
      const { response, background } = await responses.get(ref);
      if (request.query.stream !== 'true') return response as ResponseObject;
      if (!background) throw onlyBackground('streamed again', 'stream');
      const { starting_after: after } = request.query;
      return followed(parts, request, reply, ref, after === undefined ? null : Number(after));
    },
  );

  app.get(
    '/v1/responses/:id/input_items',
    {
      config: { access: ['query'] },
      schema: {
        tags,
        summary: 'What was asked',
        params,
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            data: Type.Array(Type.Any()),
            first_id: nullable(Type.String()),
            last_id: nullable(Type.String()),
            has_more: Type.Boolean(),
          }),
          ...openAiErrors,
        },
      },
    },
    async (request) => {
      const { id, request: kept } = await responses.get<KeptRequest>(refOf(request));
      const data = kept.messages.map((message, index) => itemOf(id, message, index)).toReversed();
      return {
        object: 'list' as const,
        data,
        first_id: data[0]?.id ?? null,
        last_id: data.at(-1)?.id ?? null,
        has_more: false,
      };
    },
  );

  app.post(
    '/v1/responses/:id/cancel',
    {
      config: { access: ['query'] },
      schema: {
        tags,
        summary: 'Stop a background answer',
        params,
        response: { 200: responseObject, ...openAiErrors },
      },
    },
    async (request) => {
      const ref = refOf(request);
      const { response, background } = await responses.get(ref);
      if (!background) throw onlyBackground('cancelled', 'response_id');
      const last = cancelledResponse(response);
      await responses.finish(ref, last, last.response);
      return (await responses.get(ref)).response as ResponseObject;
    },
  );

  app.delete(
    '/v1/responses/:id',
    {
      config: { access: ['query'] },
      schema: {
        tags,
        summary: 'Delete an answer; stops it if it is still made',
        params,
        response: {
          200: Type.Object({
            id: Type.String(),
            object: Type.Literal('response'),
            deleted: Type.Boolean(),
          }),
          ...openAiErrors,
        },
      },
    },
    async (request) => {
      const ref = refOf(request);
      await responses.remove(ref);
      return { id: ref.id, object: 'response' as const, deleted: true };
    },
  );

  /** The events of a background answer, from Redis: whichever process makes it. */
  async function followed(
    { responses }: ServerParts,
    request: FastifyRequest,
    reply: FastifyReply,
    ref: { tenant: string; id: string },
    after: number | null,
  ): Promise<FastifyReply> {
    const signal = clientSignal(reply, closing);
    const stream = new EventStream(request, reply);
    try {
      for await (const event of responses.follow(ref, after, signal))
        await stream.send({ type: event.type, data: event });
    } catch (error) {
      request.log.error({ err: error }, 'response events');
    } finally {
      stream.end();
    }
    return reply;
  }
}

async function prepare(
  parts: ResponseParts,
  request: FastifyRequest,
  asked: ResponseRequest,
): Promise<{ head: ResponseHead; question: Question }> {
  const { tenant } = request.caller;
  const store = asked.store !== false;
  if (asked.background && !store) {
    throw new GlyphpressError('GP_REQUEST', {
      message: 'A background answer has to be stored',
      hint: 'Leave out "store": false, or ask without "background".',
      details: { param: 'store' },
    });
  }
  const { previous_response_id: previousId } = asked;
  const previous = previousId ? await previousOf(parts, { tenant, id: previousId }) : null;
  const questionRequest = questionRequestOf(asked, previous);
  const files = inlineFilesOf(request);
  const question = await readQuestion(parts, tenant, questionRequest, files);
  const documentIds = question.documents.map(({ record }) => record.id);
  const head = {
    id: ResponseRecords.newId(),
    createdAt: Math.floor(Date.now() / 1000),
    background: asked.background === true,
    store,
    request: keptRequestOf(asked, questionRequest, documentIds),
  };
  return { head, question };
}

async function previousOf({ responses }: ServerParts, ref: { tenant: string; id: string }) {
  const { request, response } = await responses.get<KeptRequest>(ref);
  if (response.status !== 'completed' && response.status !== 'incomplete') {
    throw new GlyphpressError('GP_REQUEST', {
      message: `The response ${ref.id} is ${response.status}; nothing can go on from it`,
      hint: 'Wait until it is completed.',
      details: { param: 'previous_response_id', status: response.status },
    });
  }
  const text = textOf(response as ResponseObject);
  const answer: ChatMessage[] = text === '' ? [] : [{ role: 'assistant', content: text }];
  return { messages: [...request.messages, ...answer], documentIds: request.documentIds };
}

async function whole(
  parts: ResponseParts,
  tenant: string,
  head: ResponseHead,
  question: Question,
  signal: AbortSignal,
): Promise<ResponseObject> {
  const { response } = await composeResponse(parts, head, question, signal, () => {});
  await keep(parts, tenant, head, response);
  return response;
}

async function streamed(
  parts: ResponseParts,
  request: FastifyRequest,
  reply: FastifyReply,
  head: ResponseHead,
  question: Question,
  signal: AbortSignal,
): Promise<FastifyReply> {
  const { tenant } = request.caller;
  let stream: EventStream | null = null;
  let number = 0;
  const send = (event: ResponseEvent) => {
    stream ??= new EventStream(request, reply);
    return stream.send({ type: event.type, data: { ...event, sequence_number: number++ } });
  };
  /** What goes wrong before the first event has a status of its own. */
  const emit = (event: ResponseEvent) => {
    if (number === 0)
      void send({ type: 'response.created', response: emptyResponse(head, 'in_progress') });
    void send(event);
  };
  try {
    const last = await composeResponse(parts, head, question, signal, emit);
    await keep(parts, tenant, head, last.response);
    await send(last);
  } catch (error) {
    if (!stream) throw error;
    const last = failedResponse(head, error);
    if (last.response.error?.code === 'GP_INTERNAL')
      request.log.error({ err: error }, 'response stream');
    await send(last);
  } finally {
    (stream as EventStream | null)?.end();
  }
  return reply;
}

async function keep(
  { responses }: ServerParts,
  tenant: string,
  { id, store, request }: ResponseHead,
  response: StoredResponse,
): Promise<void> {
  if (store) await responses.keep({ tenant, id, request, response });
}

function textOf({ output }: ResponseObject): string {
  const [item] = output as { content?: { text?: string }[] }[];
  return item?.content?.map(({ text = '' }) => text).join('') ?? '';
}

function itemOf(id: string, { role, content }: ChatMessage, index: number) {
  const type = role === 'assistant' ? 'output_text' : 'input_text';
  return {
    id: `msg_${id.slice('resp_'.length)}_${index}`,
    type: 'message',
    status: 'completed',
    role,
    content: [{ type, text: content as string }],
  };
}

function onlyBackground(what: string, param: string): GlyphpressError {
  return new GlyphpressError('GP_REQUEST', {
    message: `Only background answers can be ${what}`,
    hint: 'Ask with "background": true.',
    details: { param },
  });
}
