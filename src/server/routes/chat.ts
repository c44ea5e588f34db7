/** /v1/chat/completions over a document. */

import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { GlyphpressError } from '../../errors.js';
import { openAiFinishReason } from '../../pipeline/answer.js';
import type { CompressionReport } from '../../pipeline/report.js';
import { type DocumentRecord, isTerminal } from '../../queue/document-record.js';
import { evidenceOf } from '../../service/evidence.js';
import type { EngineAnswer } from '../../service/question-engine.js';
import { openWork } from '../../service/steps.js';
import {
  type ChatRequest,
  documentOf,
  generateOptionsOf,
  questionOf,
  StopFilter,
} from '../chat-request.js';
import type { App, ServerParts } from '../context.js';
import { httpFailure, openAiError } from '../errors.js';
import { clientSignal, EventStream } from '../event-stream.js';
import { nullable, oneOf, openAiErrors } from '../schemas.js';
import { submissionOf } from '../submission.js';

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

const optional = <T extends Type.TSchema>(schema: T) => Type.Optional(nullable(schema));

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
    glyphpress: Type.Optional(
      Type.Object(
        {
          document_ids: Type.Optional(
            Type.Array(Type.String({ maxLength: 100 }), { maxItems: 100 }),
          ),
          citations: Type.Optional(
            Type.Boolean({ description: 'Look up where in the text the answer stands.' }),
          ),
          wait_seconds: Type.Optional(
            Type.Number({ minimum: 0, description: 'For a document that is still compressed.' }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    ...Object.fromEntries(WITHOUT_EFFECT.map((name) => [name, Type.Optional(Type.Any())])),
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

const citation = Type.Object({
  start: Type.Integer({ description: 'UTF-16 offset into the text.' }),
  end: Type.Integer(),
  text: Type.String(),
  page: Type.Integer({ description: 'Counted from 1.' }),
  rect: Type.Object({
    x: Type.Number(),
    y: Type.Number(),
    width: Type.Number(),
    height: Type.Number(),
  }),
  score: Type.Number(),
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
    glyphpress: Type.Object({
      found: Type.Boolean({
        description: 'False: the answer says that the text does not hold it.',
      }),
      confidence: nullable(Type.Number()),
      calibrated: Type.Boolean({ description: 'Whether confidence is a chance.' }),
      citations: Type.Optional(Type.Array(citation)),
    }),
  },
  { title: 'ChatCompletion' },
);

export function chatRoutes(app: App, parts: ServerParts): void {
  app.post(
    '/v1/chat/completions',
    {
      config: { access: ['query'] },
      schema: {
        tags: ['openai'],
        summary: 'Ask a document',
        description:
          'The document is a file part of a message or glyphpress.document_ids. One that is still ' +
          'compressed is waited for.',
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
  const asked = await prepare(parts, request, body);
  const document = await ready(parts, asked, body, signal);
  const stops = new StopFilter(body.stop);
  let text = '';
  const answer = await ask(parts, asked, document, signal, stops, (piece) => {
    text += piece;
  });
  text += stops.end();
  const message = {
    role: 'assistant' as const,
    // Without a stop sequence the engine's own: trimmed, and without endless repetition.
    content: stops.stopped ? text.trim() : answer.answer,
    refusal: null,
  };
  return {
    ...asked.head,
    object: 'chat.completion' as const,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason(answer, stops) }],
    usage: usageOf(document, answer),
    glyphpress: await evidence(parts, asked, body, document, answer),
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
  const asked = await prepare(parts, request, body);
  let stream: EventStream | null = null;
  const chunk = (delta: object, finish: string | null) => ({
    ...asked.head,
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
    if (!isTerminal(asked.document.state)) open();
    const document = await ready(parts, asked, body, signal);
    const stops = new StopFilter(body.stop);
    const say = (text: string) => {
      if (text !== '') void open().send({ data: chunk({ content: text }, null) });
    };
    const answer = await ask(parts, asked, document, signal, stops, say);
    say(stops.end());
    const last = chunk({}, finishReason(answer, stops));
    const glyphpress = await evidence(parts, asked, body, document, answer);
    await open().send({ data: { ...last, glyphpress } });
    if (body.stream_options?.include_usage) {
      await open().send({
        data: { ...chunk({}, null), choices: [], usage: usageOf(document, answer) },
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

interface Asked {
  document: DocumentRecord;
  question: string;
  generate: ReturnType<typeof generateOptionsOf>;
  head: { id: string; created: number; model: string };
}

async function prepare(
  parts: ServerParts,
  request: FastifyRequest,
  body: ChatRequest,
): Promise<Asked> {
  const { models, limits } = parts;
  models.info(body.model);
  const question = questionOf(body, limits.questionCharacters);
  const document = await documentFor(parts, request.caller.tenant, body);
  const { model } = JSON.parse(document.settings) as { model: string };
  if (model !== body.model) {
    throw new GlyphpressError('GP_REQUEST', {
      message: `The document was compressed for the model ${model}, not for ${body.model}`,
      hint: 'Ask that model, or hand the document in again for this one.',
      details: { param: 'model', model },
    });
  }
  return {
    document,
    question,
    generate: generateOptionsOf(body, limits.answerTokens),
    head: {
      id: `chatcmpl-${randomUUID().replaceAll('-', '')}`,
      created: Math.floor(Date.now() / 1000),
      model: body.model,
    },
  };
}

/** What comes inside a question is kept for a while: the next question finds it compressed. */
async function documentFor(
  parts: ServerParts,
  tenant: string,
  body: ChatRequest,
): Promise<DocumentRecord> {
  const { documents, store, limits } = parts;
  const asked = documentOf(body);
  if (asked.kind === 'stored') return documents.get({ tenant, id: asked.id });
  const upload = await store.receive(Readable.from([asked.data]), limits.documentBytes);
  try {
    const fields = {
      model: body.model,
      ...(asked.filename !== null && { filename: asked.filename }),
    };
    const submission = submissionOf(parts, tenant, upload, fields, asked.mediaType);
    const { settings, mediaType } = submission;
    const equal = await documents.findEqual(tenant, upload.hash, settings, mediaType);
    if (equal) return equal;
    const { inlineKeepMs: expiresInMs } = limits;
    return await documents.submit({ ...submission, origin: 'inline', expiresInMs });
  } finally {
    await store.discard(upload);
  }
}

/** The document once it is compressed. */
async function ready(
  { documents, limits }: ServerParts,
  { document }: Asked,
  body: ChatRequest,
  signal: AbortSignal,
): Promise<DocumentRecord> {
  const wanted = body.glyphpress?.wait_seconds;
  const waitMs = Math.min(wanted === undefined ? limits.waitMs : wanted * 1000, limits.waitMs);
  const record = await documents.untilFinished(document, waitMs, signal);
  signal.throwIfAborted();
  if (record.state === 'completed') return record;
  const { failure, state, stage } = record;
  if (!isTerminal(state)) {
    throw new GlyphpressError('GP_DOCUMENT_PENDING', {
      message: `The document is still being compressed (${stage})`,
      hint: 'Ask again in a few seconds.',
      details: { state, stage },
    });
  }
  throw new GlyphpressError('GP_DOCUMENT_STATE', {
    message: failure
      ? `The document could not be compressed: ${failure.code}: ${failure.message}`
      : `The document is ${state}`,
    hint: failure?.hint ?? 'Submit it again.',
    details: { state, param: 'messages' },
  });
}

async function ask(
  parts: ServerParts,
  { question, generate, document: { tenant } }: Asked,
  document: DocumentRecord,
  signal: AbortSignal,
  stops: StopFilter,
  onText: (text: string) => void,
): Promise<EngineAnswer> {
  const { resolved, place, settings } = openWork(document, parts);
  const enough = new AbortController();
  const asking = parts.engine.ask({
    model: settings.model,
    folder: place.context(resolved.contextKey),
    question,
    asker: tenant,
    generate,
    signal: AbortSignal.any([signal, enough.signal]),
    stop: enough.signal,
    onText: (text) => {
      onText(stops.push(text));
      if (stops.stopped) enough.abort();
    },
  });
  return asking;
}

function evidence(
  parts: ServerParts,
  { question, head }: Asked,
  body: ChatRequest,
  document: DocumentRecord,
  answer: EngineAnswer,
) {
  const wanted = body.glyphpress?.citations === true;
  const info = parts.models.info(head.model);
  return evidenceOf(openWork(document, parts), question, answer, info, wanted);
}

function finishReason({ finishReason }: EngineAnswer, stops: StopFilter): string {
  return stops.stopped ? 'stop' : openAiFinishReason(finishReason);
}

function usageOf(document: DocumentRecord, answer: EngineAnswer) {
  const { promptTokens, completionTokens } = answer.usage;
  const report = JSON.parse(document.report!) as CompressionReport;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: answer.contextTokens },
    glyphpress: {
      document_id: document.id,
      pages: report.pages,
      text_tokens: report.textTokens,
      tokenizer: report.tokenizer,
      visual_tokens: report.visualTokens,
      encoded_tokens: report.encodedTokens,
      context_tokens: report.contextTokens,
      final_tokens: report.finalTokens,
      render_ratio: report.renderRatio,
      prune_ratio: report.pruneRatio,
      stacked_ratio: report.stackedRatio,
      wait_ms: Math.round(answer.waitMs),
      load_ms: Math.round(answer.loadMs),
      first_token_ms: Math.round(answer.firstTokenMs),
      total_ms: Math.round(answer.totalMs),
    },
  };
}
