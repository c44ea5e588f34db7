/** Reads a document from an address. Only public hosts are reached, whatever names and redirects lead to. */

import { createWriteStream } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream/promises';
import { GlyphpressError } from '../../errors.js';
import { isPrivateHost, publicLookup } from '../../public-address.js';

export interface FetchUrlOptions {
  /** `host` or `host:port` that may be private. */
  privateHosts: readonly string[];
  signal: AbortSignal;
  /** For the whole, redirects included. @defaultValue 60,000 */
  timeoutMs?: number;
  /** @defaultValue 64 MiB */
  maxBytes?: number;
  onProgress?: (bytes: number) => void;
}

export interface FetchedFile {
  /** Media type from the Content-Type header; null without one. */
  mediaType: string | null;
  /** Last part of the address after redirects, for its extension. */
  filename: string;
}

const TIMEOUT_MS = 60_000;
const MAX_BYTES = 64 * 1024 ** 2;
const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * @param target file that the bytes are written to
 * @throws {GlyphpressError} GP_INPUT_URL for a URL that is not allowed; GP_INPUT_FETCH if the server does not respond
 *   in time or the answer is too large; GP_INPUT_NOT_FOUND
 */
export async function fetchUrl(
  address: string,
  target: string,
  options: FetchUrlOptions,
): Promise<FetchedFile> {
  const { timeoutMs = TIMEOUT_MS } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([options.signal, deadline]);
  try {
    let url = checkUrl(address, options.privateHosts);
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const reply = await get(url, options.privateHosts, signal);
      if (REDIRECTS.has(reply.statusCode ?? 0) && reply.headers.location !== undefined) {
        reply.destroy();
        url = checkUrl(new URL(reply.headers.location, url).href, options.privateHosts);
        continue;
      }
      assertUsable(reply, address);
      await save(reply, target, address, signal, options);
      const filename = decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
      return { mediaType: mediaTypeOfReply(reply), filename };
    }
    throw failed(address, `it redirects more than ${MAX_REDIRECTS} times`);
  } catch (cause) {
    if (cause instanceof GlyphpressError) throw cause;
    options.signal.throwIfAborted();
    const why = deadline.aborted
      ? `it takes longer than ${timeoutMs / 1000} s`
      : ((cause as NodeJS.ErrnoException).code ?? (cause as Error).message);
    throw failed(address, why, cause);
  }
}

function checkUrl(text: string, privateHosts: readonly string[]): URL {
  if (!URL.canParse(text)) throw refused(text, 'it is no address');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refused(text, `${url.protocol} is neither https: nor http:`);
  if (url.username !== '' || url.password !== '') throw refused(text, 'it carries a password');
  if (!mayBePrivate(url, privateHosts) && isPrivateHost(url))
    throw refused(text, 'the host is not public');
  return url;
}

const mayBePrivate = (url: URL, privateHosts: readonly string[]) =>
  privateHosts.includes(url.hostname) || privateHosts.includes(url.host);

function get(
  url: URL,
  privateHosts: readonly string[],
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const client = url.protocol === 'https:' ? https : http;
  const lookup = publicLookup(() => refused(url.href, 'the host is not public'));
  return new Promise((resolve, reject) => {
    client
      .get(
        url,
        {
          agent: false,
          signal,
          headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'glyphpress' },
          ...(!mayBePrivate(url, privateHosts) && { lookup }),
        },
        resolve,
      )
      .on('error', reject);
  });
}

function assertUsable(reply: http.IncomingMessage, address: string): void {
  const { statusCode = 0, headers } = reply;
  const encoding = headers['content-encoding'];
  if (statusCode === 200 && (encoding === undefined || encoding === 'identity')) return;
  reply.destroy();
  if (statusCode === 404 || statusCode === 410) {
    throw new GlyphpressError('GP_INPUT_NOT_FOUND', {
      message: `There is nothing at ${address} (${statusCode})`,
      hint: 'Check the address.',
      details: { url: address, status: statusCode },
    });
  }
  throw failed(
    address,
    statusCode === 200 ? `the answer is packed with ${encoding}` : `it answers ${statusCode}`,
  );
}

async function save(
  reply: http.IncomingMessage,
  target: string,
  address: string,
  signal: AbortSignal,
  { maxBytes = MAX_BYTES, onProgress }: FetchUrlOptions,
): Promise<void> {
  const tooLarge = () => failed(address, `it has more than ${maxBytes} bytes`);
  if (Number(reply.headers['content-length'] ?? 0) > maxBytes) {
    reply.destroy();
    throw tooLarge();
  }
  let bytes = 0;
  await pipeline(
    reply,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw tooLarge();
        onProgress?.(bytes);
        yield chunk;
      }
    },
    createWriteStream(target),
    { signal },
  );
}

function mediaTypeOfReply({ headers }: http.IncomingMessage): string | null {
  const type = (headers['content-type'] ?? '').replace(/;.*$/s, '').trim().toLowerCase();
  // Servers call what they do not know by these names.
  return type === '' || type === 'application/octet-stream' ? null : type;
}

function refused(address: string, why: string): GlyphpressError {
  return new GlyphpressError('GP_INPUT_URL', {
    message: `${address} is not allowed: ${why}`,
    hint: 'Give a public http or https address; --allow-private-host HOST allows one that is not public.',
    details: { url: address },
  });
}

function failed(address: string, why: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FETCH', {
    message: `${address} cannot be read: ${why}`,
    hint: 'Try again later, or save the document and give the file.',
    details: { url: address },
    ...(cause !== undefined && { cause }),
  });
}
