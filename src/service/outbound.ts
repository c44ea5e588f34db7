/** Requests to addresses that clients name; see public-address.ts for what they may reach. */

import http from 'node:http';
import https from 'node:https';
import { GlyphpressError } from '../errors.js';
import { isPrivateHost, publicLookup } from '../public-address.js';

export interface OutboundPolicy {
  /** `host` or `host:port` as the operator names them: may be private, and may be http. */
  allow: readonly string[];
}

export interface OutboundReply {
  status: number;
}

const TIMEOUT_MS = 10_000;
/** Nothing of an answer is used but its status. */
const MAX_REPLY_BYTES = 64 * 1024;

/**
 * @returns the address as it will be used
 * @throws {GlyphpressError} GP_WEBHOOK_ADDRESS for what is refused whatever its name resolves to
 */
export function checkAddress(text: string, policy: OutboundPolicy): URL {
  if (!URL.canParse(text)) throw refused('This is no address');
  const url = new URL(text);
  const allowed = isAllowed(url, policy);
  if (url.username !== '' || url.password !== '') throw refused('The address carries a password');
  if (url.protocol !== 'https:' && !(allowed && url.protocol === 'http:'))
    throw refused(`Expected an address that begins with https:, got ${url.protocol}`);
  if (!allowed && isPrivateHost(url)) throw refused('The address is not public');
  return url;
}

/**
 * Sends a body. Redirects are not followed.
 *
 * @throws {GlyphpressError} GP_WEBHOOK_ADDRESS, GP_WEBHOOK_DELIVERY without a response in time
 */
export async function post(
  address: string,
  body: string,
  headers: Record<string, string>,
  policy: OutboundPolicy,
  signal: AbortSignal,
): Promise<OutboundReply> {
  const url = checkAddress(address, policy);
  const client = url.protocol === 'https:' ? https : http;
  const within = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(
        cause instanceof GlyphpressError
          ? cause
          : new GlyphpressError('GP_WEBHOOK_DELIVERY', {
              message: within.aborted
                ? `No response within ${TIMEOUT_MS} ms`
                : `The connection failed: ${(cause as NodeJS.ErrnoException).code ?? cause.name}`,
              hint: 'It is tried again by itself.',
              cause,
            }),
      );
    const request = client.request(
      url,
      {
        method: 'POST',
        agent: false,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        signal: within,
        ...(!isAllowed(url, policy) && { lookup }),
      },
      (reply) => {
        let bytes = 0;
        const finish = () => resolve({ status: reply.statusCode! });
        reply.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= MAX_REPLY_BYTES) return;
          reply.destroy();
          finish();
        });
        reply.on('end', finish);
        reply.on('error', fail);
      },
    );
    request.on('error', fail);
    request.end(body);
  });
}

const lookup = publicLookup(() => refused('The name leads to an address that is not public'));

function isAllowed(url: URL, { allow }: OutboundPolicy): boolean {
  return allow.includes(url.hostname) || allow.includes(url.host);
}

function refused(message: string): GlyphpressError {
  return new GlyphpressError('GP_WEBHOOK_ADDRESS', {
    message,
    hint: 'Give a public https address.',
    details: { param: 'url' },
  });
}
