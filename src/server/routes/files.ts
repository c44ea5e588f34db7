/** OpenAI-compatible /v1/files: a file is a document whose compression starts on upload. */

import Type from 'typebox';
import { GlyphpressError } from '../../errors.js';
import type { ServerParts } from '../context.js';
import { documentIdOf, fileIdOf, fileView } from '../document-view.js';
import { once } from '../idempotency.js';
import { removeDocument } from '../remove-document.js';
import { nullable, openAiErrors, queryNumber } from '../schemas.js';
import { fingerprintOf, submissionOf } from '../submission.js';
import type { App } from '../typed-app.js';
import { readUploadForm } from '../upload-form.js';

const fileObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('file'),
    bytes: Type.Integer(),
    created_at: Type.Integer(),
    expires_at: Type.Optional(Type.Integer()),
    filename: Type.String(),
    purpose: Type.String(),
    status: Type.String({ description: 'uploaded, processed or error.' }),
    status_details: Type.Optional(nullable(Type.String())),
  },
  { title: 'File' },
);

const fileParams = Type.Object({ id: Type.String({ maxLength: 100 }) });

/** Purposes that mean a document to ask about. */
const PURPOSES = ['user_data', 'assistants'];

const MAX_LIST = 100;

export function fileRoutes(app: App, parts: ServerParts): void {
  const { documents, models, redis, store, limits } = parts;
  const tags = ['openai'];
  const refOf = ({ caller, params }: { caller: { tenant: string }; params: { id: string } }) => ({
    tenant: caller.tenant,
    id: documentIdOf(params.id),
  });

  app.post(
    '/v1/files',
    {
      config: { access: ['submit'] },
      schema: {
        tags,
        summary: 'Upload a file',
        description:
          'multipart/form-data with file, purpose and expires_after. Takes an Idempotency-Key.',
        consumes: ['multipart/form-data'],
        response: { 200: fileObject, ...openAiErrors },
      },
    },
    async (request, reply) => {
      if (!request.isMultipart()) {
        throw new GlyphpressError('GP_REQUEST', {
          message: 'Expected multipart/form-data',
          hint: 'Send the file in the field "file" and its "purpose" beside it.',
          details: { param: 'file' },
        });
      }
      const form = await readUploadForm(request, parts);
      try {
        const purpose = purposeOf(form.texts);
        const fields = { ...form.fields, filename: form.name };
        const { tenant } = request.caller;
        const submission = {
          ...submissionOf({ models, limits }, tenant, form.upload, fields, form.type),
          origin: 'file' as const,
          purpose,
        };
        submission.expiresInMs = expiryOf(form.texts) ?? submission.expiresInMs;
        const id = await once(redis, request, reply, fingerprintOf(submission), async () => {
          const { id } = await documents.submit(submission);
          return id;
        });
        return fileView(await documents.get({ tenant, id }));
      } finally {
        await store.discard(form.upload);
      }
    },
  );

  app.get(
    '/v1/files',
    {
      config: { access: ['submit', 'query'] },
      schema: {
        tags,
        summary: 'The files',
        querystring: Type.Object({
          limit: Type.Optional(queryNumber),
          after: Type.Optional(Type.String({ maxLength: 100 })),
          order: Type.Optional(
            Type.Enum(['asc', 'desc'], { description: 'By when they came. Default: desc.' }),
          ),
          purpose: Type.Optional(Type.String({ maxLength: 40 })),
        }),
        response: {
          200: Type.Object({
            object: Type.Literal('list'),
            data: Type.Array(fileObject),
            has_more: Type.Boolean(),
            first_id: nullable(Type.String()),
            last_id: nullable(Type.String()),
          }),
          ...openAiErrors,
        },
      },
    },
    async ({ caller, query }) => {
      const limit = Math.max(1, Math.min(Number(query.limit ?? MAX_LIST), MAX_LIST));
      const records = await documents.list(caller.tenant, {
        limit: limit + 1,
        after: query.after === undefined ? undefined : documentIdOf(query.after),
        order: query.order === 'asc' ? 'oldest' : 'newest',
        origin: 'file',
        purpose: query.purpose,
      });
      const data = records.slice(0, limit).map(fileView);
      return {
        object: 'list' as const,
        data,
        has_more: records.length > limit,
        first_id: data[0]?.id ?? null,
        last_id: data.at(-1)?.id ?? null,
      };
    },
  );

  app.get(
    '/v1/files/:id',
    {
      config: { access: ['submit', 'query'] },
      schema: {
        tags,
        summary: 'A file',
        params: fileParams,
        response: { 200: fileObject, ...openAiErrors },
      },
    },
    async (request) => fileView(await documents.get(refOf(request))),
  );

  app.get(
    '/v1/files/:id/content',
    {
      config: { access: ['submit', 'query'] },
      schema: { tags, summary: 'The bytes of a file', params: fileParams },
    },
    async (request, reply) => {
      const { tenant, contentHash, bytes } = await documents.get(refOf(request));
      // Never as something that a browser would run.
      void reply.type('application/octet-stream').header('content-disposition', 'attachment');
      return reply
        .header('content-length', bytes)
        .send(await store.readUpload(tenant, contentHash));
    },
  );

  app.delete(
    '/v1/files/:id',
    {
      config: { access: ['submit'] },
      schema: {
        tags,
        summary: 'Delete a file with all that was made from it',
        params: fileParams,
        response: {
          200: Type.Object({
            id: Type.String(),
            object: Type.Literal('file'),
            deleted: Type.Boolean(),
          }),
          ...openAiErrors,
        },
      },
    },
    async (request) => {
      const ref = refOf(request);
      await removeDocument(parts, ref);
      return { id: fileIdOf(ref.id), object: 'file' as const, deleted: true };
    },
  );
}

function purposeOf(texts: ReadonlyMap<string, string>): string {
  const purpose = texts.get('purpose') ?? 'user_data';
  if (PURPOSES.includes(purpose)) return purpose;
  throw new GlyphpressError('GP_REQUEST', {
    message: `Files for "${purpose.slice(0, 40)}" are not taken`,
    hint: `Give purpose ${PURPOSES.join(' or ')}.`,
    details: { param: 'purpose', allowed: PURPOSES },
  });
}

function expiryOf(texts: ReadonlyMap<string, string>): number | null {
  const text = texts.get('expires_after[seconds]');
  if (text === undefined) return null;
  const anchor = texts.get('expires_after[anchor]') ?? 'created_at';
  const seconds = Number(text);
  if (anchor === 'created_at' && Number.isInteger(seconds) && seconds >= 60 && seconds <= 315360000)
    return seconds * 1000;
  throw new GlyphpressError('GP_REQUEST', {
    message: 'expires_after needs the anchor created_at and 60 or more seconds',
    hint: 'For example expires_after[anchor]=created_at and expires_after[seconds]=3600.',
    details: { param: 'expires_after' },
  });
}
