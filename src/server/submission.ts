/** A request's document and settings → what the document service takes. */

import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { mediaTypeOf } from '../extract/media-types.js';
import type { Priority } from '../queue/document-record.js';
import type { Upload } from '../service/content-store.js';
import type { ContextsWhen, DocumentSettings } from '../service/document-settings.js';
import type { Submission } from '../service/documents.js';
import type { ModelRegistry } from '../service/models.js';
import type { ServiceLimits } from './limits.js';

/** As JSON bodies, form fields and addresses give it, checked already. */
export interface SubmissionFields {
  model?: string;
  render?: string | Record<string, unknown>;
  keep?: number;
  plan?: string | Record<string, unknown>;
  sidecar?: number;
  encoding?: string;
  contexts?: ContextsWhen;
  filename?: string;
  priority?: string;
  expires_in?: number;
}

const JSON_FIELDS = new Set(['keep', 'sidecar', 'expires_in']);
/** Names, or objects. */
const NAMES_OR_JSON = new Set(['render', 'plan']);

/** Fields of a form or an address, where everything is text. */
export function textFields(fields: Iterable<[name: string, value: string]>): SubmissionFields {
  const read: Record<string, unknown> = {};
  for (const [name, value] of fields) {
    const isJson = JSON_FIELDS.has(name) || (NAMES_OR_JSON.has(name) && /^\s*[[{]/.test(value));
    read[name] = isJson ? parseField(name, value) : value;
  }
  return read as SubmissionFields;
}

export function submissionOf(
  { models, limits }: { models: ModelRegistry; limits: Pick<ServiceLimits, 'keepMs'> },
  tenant: string,
  upload: Upload,
  fields: SubmissionFields,
  contentType: string | undefined,
): Submission {
  const { model = models.defaultName, render, keep, plan, sidecar, encoding, contexts } = fields;
  const settings: DocumentSettings = {
    model,
    ...(render !== undefined && { render }),
    ...(keep !== undefined && { keep }),
    ...(plan !== undefined && { plan }),
    ...(sidecar !== undefined && { sidecar }),
    ...(encoding !== undefined && { encoding }),
    ...(contexts !== undefined && { contexts }),
  };
  const filename = fields.filename === undefined ? null : shownName(fields.filename);
  const { expires_in: expiresIn } = fields;
  return {
    tenant,
    upload,
    settings,
    filename,
    mediaType: mediaTypeOf(contentType, filename),
    origin: 'document',
    priority: (fields.priority ?? 'normal') as Priority,
    expiresInMs: expiresIn === undefined ? limits.keepMs : expiresIn * 1000,
  };
}

/** What makes two submissions the same request. */
export function fingerprintOf({ upload, settings, filename, mediaType, ...rest }: Submission) {
  const { origin, purpose, priority, expiresInMs } = rest;
  return [upload.hash, settings, filename, mediaType, origin, purpose, priority, expiresInMs];
}

/** For showing only; no file is ever called so. */
function shownName(name: string): string {
  const base = path.posix.basename(name.replaceAll('\\', '/')).replace(/[\p{C}]/gu, '');
  return base.slice(0, 255) || 'document';
}

function parseField(name: string, value: string): unknown {
  try {
    return JSON.parse(value);
  } catch (cause) {
    throw new GlyphpressError('GP_REQUEST', {
      message: `The field ${name} is not JSON`,
      hint: `For example ${name}=${name === 'plan' ? '{"decoder":[]}' : '0.5'}.`,
      details: { param: name },
      cause,
    });
  }
}
