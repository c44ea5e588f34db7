/** Refuses a body by the length that its head tells, before any of it is read. */

import type { FastifyRequest } from 'fastify';
import { GlyphpressError } from '../errors.js';
import type { ServiceLimits } from './limits.js';

/** What a form may hold beside its file. */
const FORM_BYTES = 2 * 1024 ** 2;

type Limits = Pick<ServiceLimits, 'documentBytes' | 'jsonBytes'>;

/** @throws {GlyphpressError} GP_REQUEST_TOO_LARGE */
export function assertDeclaredSize(request: FastifyRequest, limits: Limits): void {
  const { headers, routeOptions } = request;
  const bytes = Number(headers['content-length'] ?? 0);
  const type = headers['content-type'] ?? '';
  // Some routes take more JSON than others.
  const { bodyLimit: jsonBytes = limits.jsonBytes } = routeOptions;
  const [limit, form] = limitOf(type, { ...limits, jsonBytes });
  if (bytes <= limit) return;
  throw new GlyphpressError('GP_REQUEST_TOO_LARGE', {
    message: `The body has ${bytes} bytes; at most ${limit} are taken ${form}`,
    hint: 'GET /v1/limits says what is taken: a document of up to document_bytes as a stream or as multipart/form-data.',
    details: { bytes, limit },
  });
}

function limitOf(type: string, { documentBytes, jsonBytes }: Limits): [number, string] {
  if (/^application\/json\b/i.test(type)) return [jsonBytes, 'as JSON'];
  if (/^multipart\//i.test(type)) return [documentBytes + FORM_BYTES, 'as a form'];
  return [documentBytes, 'as a document'];
}
