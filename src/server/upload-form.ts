/** multipart/form-data with a document: its bytes go to the store while they come. */

import type { MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { GlyphpressError } from '../errors.js';
import type { Upload } from '../service/content-store.js';
import type { ServerParts } from './context.js';
import { submissionFields } from './schemas.js';
import { type SubmissionFields, textFields } from './submission.js';

export interface UploadForm {
  upload: Upload;
  name: string;
  type: string;
  fields: SubmissionFields;
  texts: Map<string, string>;
}

/** One file and any number of fields, in whatever order they come. */
export async function readUploadForm(
  request: FastifyRequest,
  { store, limits }: Pick<ServerParts, 'store' | 'limits'>,
): Promise<UploadForm> {
  let upload: Upload | null = null;
  let file: MultipartFile | null = null;
  const texts = new Map<string, string>();
  try {
    for await (const part of request.parts()) {
      if (part.type === 'file') {
        file = part;
        upload = await store.receive(part.file, limits.documentBytes);
      } else {
        texts.set(part.fieldname, String((part as MultipartValue).value));
      }
    }
    if (!upload || !file) {
      throw new GlyphpressError('GP_REQUEST', {
        message: 'The form has no file',
        hint: 'Give one in the field "file".',
        details: { param: 'file' },
      });
    }
    const fields = textFields([...texts].filter(([name]) => name in submissionFields));
    return { upload, name: file.filename || 'document', type: file.mimetype, fields, texts };
  } catch (error) {
    if (upload) await store.discard(upload);
    throw isMalformedForm(error) ? malformedForm(error) : error;
  }
}

/** What the parser says of a form has no code of its own, unlike all that comes from the system. */
function isMalformedForm(error: unknown): error is Error {
  return error instanceof Error && error.name === 'Error' && !('code' in error);
}

function malformedForm(cause: Error): GlyphpressError {
  return new GlyphpressError('GP_REQUEST', {
    message: `The form cannot be read: ${cause.message.slice(0, 200)}`,
    hint: 'Send multipart/form-data with a boundary, as any HTTP client makes it.',
    details: { in: 'body' },
    cause,
  });
}
