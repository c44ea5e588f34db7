/** A model server on this machine that answers as it is told, and the backend that asks it. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect, onTestFinished } from 'vitest';
import { GlyphpressError } from '../../../src/errors.js';
import { OpenAiBackend, type OpenAiBackendOptions } from '../../../src/pipeline/backends/openai.js';

export const KEY = 'sk-secret/0123456789+abc=';
export const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
  'base64',
);
export const PAGES = [PIXEL, Buffer.concat([PIXEL, Buffer.from([0, 1, 255, 254])])];

export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: the body is what the tests look into.
  body: any;
}

/** A server that answers the i-th request with the i-th handler, the last one from then on. */
export async function serve(...handlers: ((response: ServerResponse, seen: Seen) => unknown)[]) {
  const seen: Seen[] = [];
  const delays: number[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { method = '', url = '', headers } = request;
    const entry = { method, url, headers, body: text === '' ? undefined : JSON.parse(text) };
    seen.push(entry);
    await handlers[Math.min(seen.length, handlers.length) - 1]!(response, entry);
  });
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const backend = (options: Partial<OpenAiBackendOptions> = {}) =>
    new OpenAiBackend(
      { baseUrl, model: 'glyph', apiKey: KEY, ...options },
      {
        random: () => 0,
        sleep: async (ms) => {
          delays.push(ms);
        },
      },
    );
  return { baseUrl, seen, delays, server, backend };
}

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

const usage = { prompt_tokens: 1260, completion_tokens: 3, total_tokens: 1263 };
export const whole = (content: unknown) =>
  json(200, {
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage,
  });

export const delta = (content: string, finish_reason: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`;
export const USAGE_EVENT = `data: ${JSON.stringify({ choices: [], usage })}\n\n`;
export const DONE = 'data: [DONE]\n\n';

/** A stream of the given pieces, each written by itself. */
export const sse =
  (...pieces: (string | Uint8Array)[]) =>
  async (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    for (const piece of pieces) {
      response.write(piece);
      await wait(1);
    }
    response.end();
  };

export const hang = () => new Promise<never>(() => {});

/** The GlyphpressError that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<GlyphpressError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GlyphpressError);
  expect(everythingIn(error)).not.toContain(KEY);
  return error as GlyphpressError;
}

export function everythingIn(error: unknown): string {
  return (
    inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error) + (error as Error).stack
  );
}
