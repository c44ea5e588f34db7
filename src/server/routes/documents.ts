/** /v1/documents: hand in, watch, look into, cancel, delete. */

import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import Value from 'typebox/value';
import { GlyphpressError } from '../../errors.js';
import { isTerminal } from '../../queue/document-record.js';
import type { Upload } from '../../service/content-store.js';
import { notThere } from '../../service/document-pages.js';
import type { Submission } from '../../service/documents.js';
import { openWork } from '../../service/work.js';
import type { ServerParts } from '../context.js';
import { documentView } from '../document-view.js';
import { problemOf } from '../errors.js';
import { clientSignal, EventStream } from '../event-stream.js';
import { once } from '../idempotency.js';
import { removeDocument } from '../remove-document.js';
import {
  documentObject,
  documentParams,
  ownErrors,
  queryNumber,
  renderObject,
  submissionFields,
} from '../schemas.js';
import { fingerprintOf, type SubmissionFields, submissionOf, textFields } from '../submission.js';
import type { App } from '../typed-app.js';
import { readUploadForm } from '../upload-form.js';

const MAX_LIST = 100;

const fieldsSchema = Type.Object(submissionFields, { additionalProperties: false });

const jsonBody = Type.Object(
  { text: Type.String({ minLength: 1 }), ...submissionFields },
  { additionalProperties: false },
);

/** What a config's own errors say better than a schema stands in the document only. */
const shownBody = Type.Object(
  { ...jsonBody.properties, render: Type.Optional(renderObject) },
  { additionalProperties: false },
);

export function documentRoutes(app: App, parts: ServerParts): void {
  const { documents, redis, store } = parts;
  const tags = ['documents'];
  const refOf = (request: { caller: FastifyRequest['caller']; params: { id: string } }) => ({
    tenant: request.caller.tenant,
    id: request.params.id,
  });
  const workOf = async (request: Parameters<typeof refOf>[0]) =>
    openWork(await documents.get(refOf(request)), parts);

  app.post(
    '/v1/documents',
    {
      config: { access: ['submit'] },
      schema: {
        tags,
        summary: 'Hand in a document',
        description:
          'As JSON with its text; as multipart/form-data with a file and the other fields beside it; ' +
          'or as the bytes alone, with the other fields in the address. It is compressed in the ' +
          'background. Takes an Idempotency-Key.',
        body: Type.Any({ description: 'See the description; JSON is shown here.', ...shownBody }),
        response: { 200: documentObject, 202: documentObject, ...ownErrors },
      },
      // Three forms of body: each is checked by its own reader.
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const submission = await readSubmission(request, parts);
      try {
        const id = await once(redis, request, reply, fingerprintOf(submission), async () => {
          const { id } = await documents.submit(submission);
          return id;
        });
        const record = await documents.get({ tenant: request.caller.tenant, id });
        void reply.header('location', `/v1/documents/${id}`);
        return await reply.code(isTerminal(record.state) ? 200 : 202).send(documentView(record));
      } finally {
        await store.discard(submission.upload);
      }
    },
  );

  app.get(
    '/v1/documents',
    {
      config: { access: ['submit', 'query'] },
      schema: {
        tags,
        summary: 'The documents, newest first',
        querystring: Type.Object(
          {
            limit: Type.Optional(queryNumber),
            after: Type.Optional(Type.String({ maxLength: 100 })),
            name: Type.Optional(
              Type.String({
                maxLength: 255,
                description: 'Only those whose file name or id holds this, whatever its case.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            data: Type.Array(documentObject),
            has_more: Type.Boolean(),
          }),
          ...ownErrors,
        },
      },
    },
    async ({ caller, query }) => {
      const limit = Math.max(1, Math.min(Number(query.limit ?? 20), MAX_LIST));
      const { after, name } = query;
      const records = await documents.list(caller.tenant, { limit: limit + 1, after, name });
      return {
        object: 'list' as const,
        data: records.slice(0, limit).map(documentView),
        has_more: records.length > limit,
      };
    },
  );

  app.get(
    '/v1/documents/:id',
    {
      config: { access: ['submit', 'query'] },
      schema: {
        tags,
        summary: 'A document and how far it is',
        params: documentParams,
        response: { 200: documentObject, ...ownErrors },
      },
    },
    async (request) => documentView(await documents.get(refOf(request))),
  );

  app.delete(
    '/v1/documents/:id',
    {
      config: { access: ['submit'] },
      schema: {
        tags,
        summary: 'Delete a document with all that was made from it',
        params: documentParams,
        response: { 204: Type.Null(), ...ownErrors },
      },
    },
    async (request, reply) => {
      await removeDocument(parts, refOf(request));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/documents/:id/cancel',
    {
      config: { access: ['submit'] },
      schema: {
        tags,
        summary: 'Stop the work on a document',
        params: documentParams,
        response: { 200: documentObject, ...ownErrors },
      },
    },
    async (request) => documentView(await documents.cancel(refOf(request))),
  );

  app.get(
    '/v1/documents/:id/report',
    {
      config: { access: ['submit', 'query'] },
      schema: {
        tags,
        summary: 'What compressing it gave',
        params: documentParams,
        response: { 200: Type.Record(Type.String(), Type.Unknown()), ...ownErrors },
      },
    },
    async (request) => {
      const work = await workOf(request);
      if (work.record.report === null) throw notThere(work, 'report');
      return JSON.parse(work.record.report) as Record<string, unknown>;
    },
  );

  app.get(
    '/v1/documents/:id/events',
    {
      config: { access: ['submit', 'query'] },
      schema: {
        tags,
        summary: 'What happens to a document, as server-sent events',
        description:
          'Types: queued, stage, progress, retry, and one of completed, failed and cancelled, which is ' +
          'the last. Goes on after the event in Last-Event-ID.',
        params: documentParams,
        headers: Type.Object({
          'last-event-id': Type.Optional(Type.String({ pattern: '^[0-9]{1,20}-[0-9]{1,20}$' })),
        }),
        produces: ['text/event-stream'],
      },
    },
    async (request, reply) => {
      const ref = refOf(request);
      const record = await documents.get(ref);
      const after = request.headers['last-event-id'] ?? null;
      const signal = clientSignal(reply, parts.closing);
      const events = documents.follow(ref, after, signal)[Symbol.asyncIterator]();
      if (after !== null && isTerminal(record.state)) {
        const first = await events.next();
        // Nothing more will come: a browser takes this as an end and does not ask again.
        if (first.done) return reply.code(204).send();
        await events.return?.(undefined);
      }
      const stream = new EventStream(request, reply);
      try {
        await stream.retryAfter(2_000);
        for await (const event of documents.follow(ref, after, signal)) await stream.send(event);
      } catch (error) {
        request.log.error({ err: error }, 'event stream');
      } finally {
        stream.end();
      }
      return reply;
    },
  );
}

async function readSubmission(request: FastifyRequest, parts: ServerParts): Promise<Submission> {
  const { store, limits } = parts;
  const { tenant } = request.caller;
  const contentType = request.headers['content-type'];
  if (/^application\/json\b/i.test(contentType ?? '')) {
    const { text, ...fields } = checked(jsonBody, request.body);
    const upload = await store.receive(Readable.from([Buffer.from(text)]), limits.documentBytes);
    return submission(parts, tenant, upload, fields, undefined);
  }
  if (request.isMultipart()) {
    const form = await readUploadForm(request, parts);
    const fields =
      form.fields.filename === undefined ? { filename: form.name, ...form.fields } : form.fields;
    return submission(parts, tenant, form.upload, fields, form.type);
  }
  const fields = textFields(Object.entries(request.query as Record<string, string>));
  const upload = await store.receive(bodyStream(request), limits.documentBytes);
  return submission(parts, tenant, upload, fields, contentType);
}

/** What cannot be taken leaves no upload behind. */
async function submission(
  parts: ServerParts,
  tenant: string,
  upload: Upload,
  fields: SubmissionFields,
  contentType: string | undefined,
): Promise<Submission> {
  try {
    return submissionOf(parts, tenant, upload, checked(fieldsSchema, fields), contentType);
  } catch (error) {
    await parts.store.discard(upload);
    throw error;
  }
}

function bodyStream(request: FastifyRequest): Readable {
  if (request.body instanceof Readable) return request.body;
  throw new GlyphpressError('GP_REQUEST', {
    message: 'The request has no body',
    hint: 'Send the document, or JSON with its text.',
  });
}

/** By the same schema that the OpenAPI document shows. */
function checked<T extends Type.TSchema>(schema: T, value: unknown): Type.Static<T> {
  if (Value.Check(schema, value)) return value;
  const errors = [...Value.Errors(schema, value)];
  const [first] = errors;
  const where = first?.instancePath.split('/').slice(1).join('.') ?? '';
  const extra = (first?.params as { additionalProperties?: string[] })?.additionalProperties?.[0];
  throw new GlyphpressError('GP_REQUEST', {
    message: extra ? `${extra} is not known here` : `${where || 'The body'} ${problemOf(errors)}`,
    hint: 'GET /openapi.json describes every request.',
    details: { param: extra ?? where },
  });
}
