import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { OpenAiBackend, type OpenAiBackendOptions } from '../../src/pipeline/backends/openai.js';
import { SseParser } from '../../src/pipeline/backends/openai-sse.js';
import {
  normaliseBaseUrl,
  patientDispatcher,
} from '../../src/pipeline/backends/openai-transport.js';

const KEY = 'sk-secret/0123456789+abc=';
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
  'base64',
);
const PAGES = [PIXEL, Buffer.concat([PIXEL, Buffer.from([0, 1, 255, 254])])];

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: the body is what the tests look into.
  body: any;
}

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server that answers the i-th request with the i-th handler, the last one from then on. */
async function serve(...handlers: ((response: ServerResponse, seen: Seen) => unknown)[]) {
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
  servers.push(server);
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

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

const usage = { prompt_tokens: 1260, completion_tokens: 3, total_tokens: 1263 };
const whole = (content: unknown) =>
  json(200, {
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage,
  });

const delta = (content: string, finish_reason: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`;
const USAGE_EVENT = `data: ${JSON.stringify({ choices: [], usage })}\n\n`;
const DONE = 'data: [DONE]\n\n';

/** A stream of the given pieces, each written by itself. */
const sse =
  (...pieces: (string | Uint8Array)[]) =>
  async (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    for (const piece of pieces) {
      response.write(piece);
      await wait(1);
    }
    response.end();
  };

const hang = () => new Promise<never>(() => {});

/** The GlyphpressError that a promise rejects with. */
async function failure(promise: Promise<unknown>): Promise<GlyphpressError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GlyphpressError);
  expect(everythingIn(error)).not.toContain(KEY);
  return error as GlyphpressError;
}

function everythingIn(error: unknown): string {
  return (
    inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error) + (error as Error).stack
  );
}

describe('the request', () => {
  it('puts the pages before the question, in order, and their bytes arrive unchanged', async () => {
    const { backend, seen } = await serve(whole('yes'));
    async function* pages() {
      for (const page of PAGES) yield page;
    }
    await backend().ask(pages(), 'What is “it”?', {
      stream: false,
      maxNewTokens: 20,
      instructions: 'Be brief.',
    });
    const [{ method, url, headers, body }] = seen as [Seen];
    expect([method, url]).toEqual(['POST', '/v1/chat/completions']);
    expect(headers.authorization).toBe(`Bearer ${KEY}`);
    expect(headers['content-type']).toBe('application/json');
    expect(body).toMatchObject({ model: 'glyph', temperature: 0, max_tokens: 20, stream: false });
    expect(body.stream_options).toBeUndefined();
    expect(body.messages).toHaveLength(2);
    expect(body.messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
    expect(body.messages[1].role).toBe('user');
    const parts = body.messages[1].content;
    expect(parts.map((part: { type: string }) => part.type)).toEqual([
      'image_url',
      'image_url',
      'text',
    ]);
    expect(parts[2].text).toBe('What is “it”?');
    PAGES.forEach((page, i) => {
      const [head, data] = parts[i].image_url.url.split(',');
      expect(head).toBe('data:image/png;base64');
      expect(Buffer.from(data, 'base64').equals(page)).toBe(true);
    });
  });

  it('says no more than was asked for', async () => {
    const { backend, seen } = await serve(sse(delta('a', 'stop'), DONE));
    await backend({ apiKey: undefined }).ask([], 'Hello?', { temperature: 0.5 });
    const [{ headers, body }] = seen as [Seen];
    expect(headers.authorization).toBeUndefined();
    expect(body).toEqual({
      model: 'glyph',
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello?' }] }],
      temperature: 0.5,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it.each(['', '/', '/v1', '/v1/', '/v1//', '/v1/chat/completions'])(
    'reaches /v1 from base URL …%s',
    async (path) => {
      const { baseUrl, seen } = await serve(whole('ok'));
      const backend = new OpenAiBackend({ baseUrl: baseUrl + path, model: 'm' });
      await backend.ask([], '?', { stream: false });
      expect(seen[0]!.url).toBe('/v1/chat/completions');
      expect(backend.baseUrl).toBe(`${baseUrl}/v1`);
    },
  );

  it.each([
    ['https://api.z.ai/api/paas/v4/', 'https://api.z.ai/api/paas/v4'],
    ['https://openrouter.ai/api', 'https://openrouter.ai/api/v1'],
    ['https://host/v1beta/openai', 'https://host/v1beta/openai'],
    ['http://host/x?api-version=3#top', 'http://host/x/v1?api-version=3'],
  ])('normalises %s to %s', (given, expected) => {
    expect(normaliseBaseUrl(given).href).toBe(expected);
  });

  it.each([
    'ftp://host',
    'host:8000',
    'file:///etc/passwd',
    '',
    'http://',
    'https://me:pass@host/v1',
  ])('refuses base URL "%s"', (baseUrl) => {
    const make = () => new OpenAiBackend({ baseUrl, model: 'm' });
    expect(make).toThrow(expect.objectContaining({ code: 'GP_CONFIG_VALUE' }));
    expect(make).not.toThrow(/pass@/);
  });

  it('refuses a key that no header can hold, without showing it, and trims white space', async () => {
    const make = () =>
      new OpenAiBackend({ baseUrl: 'http://host', model: 'm', apiKey: 'sk-ab\ncd' });
    expect(make).toThrow(expect.objectContaining({ code: 'GP_CONFIG_VALUE' }));
    expect(make).not.toThrow(/ab\ncd/);
    const { backend, seen } = await serve(whole('ok'));
    await backend({ apiKey: `${KEY}\n` }).ask([], '?', { stream: false });
    expect(seen[0]!.headers.authorization).toBe(`Bearer ${KEY}`);
  });

  it.each([{ timeoutMs: 0 }, { timeoutMs: 2 ** 31 }, { maxRetries: -1 }, { maxRetries: 0.5 }])(
    'refuses %j',
    (options) => {
      expect(() => new OpenAiBackend({ baseUrl: 'http://host', model: 'm', ...options })).toThrow(
        expect.objectContaining({ code: 'GP_CONFIG_VALUE' }),
      );
    },
  );

  it('names the page that is no PNG, and asks nothing', async () => {
    const { backend, seen } = await serve(whole('ok'));
    const error = await failure(backend().ask([PIXEL, Buffer.from('JPEG')], '?'));
    expect(error.code).toBe('GP_BACKEND_REQUEST');
    expect(error.message).toContain('page 2');
    expect(seen).toHaveLength(0);
  });
});

describe('a whole answer', () => {
  it('gives text, finish reason, usage and times', async () => {
    const { backend } = await serve(whole('the north gate'));
    const texts: string[] = [];
    const answer = await backend().ask(PAGES, '?', {
      stream: false,
      onText: (text) => texts.push(text),
    });
    expect(answer).toMatchObject({
      answer: 'the north gate',
      finishReason: 'stop',
      usage: { promptTokens: 1260, completionTokens: 3 },
      attempts: 1,
    });
    expect(texts).toEqual(['the north gate']);
    expect(answer.firstTokenMs).toBeGreaterThan(0);
    expect(answer.totalMs).toBeGreaterThanOrEqual(answer.firstTokenMs);
  });

  it.each([
    [null, ''],
    [
      [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
      'ab',
    ],
  ])('reads content %j', async (content, expected) => {
    const { backend } = await serve(whole(content));
    expect((await backend().ask([], '?', { stream: false })).answer).toBe(expected);
  });

  it('does without usage and finish reason', async () => {
    const { backend } = await serve(json(200, { choices: [{ message: { content: 'x' } }] }));
    expect(await backend().ask([], '?', { stream: false })).toMatchObject({
      finishReason: null,
      usage: { promptTokens: null, completionTokens: null },
    });
  });

  it('is read as it is when a server ignores stream', async () => {
    const { backend } = await serve(whole('all at once'));
    const texts: string[] = [];
    const { answer } = await backend().ask([], '?', {
      stream: true,
      onText: (text) => texts.push(text),
    });
    expect([answer, texts]).toEqual(['all at once', ['all at once']]);
  });

  it.each([
    ['no choices', '{"choices":[]}'],
    ['no choices member', '{}'],
    ['a choice without message', '{"choices":[{"index":0}]}'],
    ['null', 'null'],
    ['a bare word', '"hello"'],
    ['cut JSON', '{"choices":[{"mess'],
    ['nothing', ''],
    ['a web page', '<html>welcome</html>'],
    ['content of another type', '{"choices":[{"message":{"content":7}}]}'],
  ])('with %s is GP_BACKEND_RESPONSE, without a retry', async (_, body) => {
    const { backend, seen } = await serve(json(200, body));
    const error = await failure(backend().ask([], '?', { stream: false }));
    expect(error.code).toBe('GP_BACKEND_RESPONSE');
    expect(error.retryable).toBe(false);
    expect(seen).toHaveLength(1);
  });

  it('that is broken and quotes the key does not leak it', async () => {
    const { backend } = await serve(json(200, `{"oops ${KEY}`));
    await failure(backend().ask([], '?', { stream: false }));
  });
});

describe('a streamed answer', () => {
  it('comes piece by piece, with usage and a first token before the end', async () => {
    const { backend } = await serve(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': warming up\n\n');
      response.write(delta('nor'));
      await wait(60);
      await sse(
        delta('th', 'length'),
        USAGE_EVENT,
        DONE,
      )(Object.assign(response, { writeHead: () => response }));
    });
    const texts: string[] = [];
    const answer = await backend().ask(PAGES, '?', { onText: (text) => texts.push(text) });
    expect(texts).toEqual(['nor', 'th']);
    expect(answer).toMatchObject({
      answer: 'north',
      finishReason: 'length',
      usage: { promptTokens: 1260, completionTokens: 3 },
    });
    expect(answer.totalMs - answer.firstTokenMs).toBeGreaterThan(40);
  });

  const text = 'né 漢字 👍\r\nend';
  for (const [name, lineEnd] of [
    ['LF', '\n'],
    ['CR LF', '\r\n'],
    ['CR', '\r'],
  ]) {
    it(`reads the same split at any byte, with ${name}`, () => {
      const stream = Buffer.from(
        `\uFEFF: comment\nevent: message\nid: 1\nretry: 5\n${delta(text)}data:{"a":\ndata: 1}\n\n\n\n${DONE}`.replaceAll(
          '\n',
          lineEnd!,
        ),
      );
      const read = (chunks: Uint8Array[]) => {
        const parser = new SseParser();
        return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
      };
      const expected = [
        { event: 'message', data: delta(text).slice(6).trim() },
        { event: 'message', data: '{"a":\n1}' },
        { event: 'message', data: '[DONE]' },
      ];
      for (let at = 0; at <= stream.length; at++) {
        expect(read([stream.subarray(0, at), stream.subarray(at)])).toEqual(expected);
      }
      expect(read([...stream].map((byte) => Uint8Array.of(byte)))).toEqual(expected);
      fc.assert(
        fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
          const at = [0, ...cuts.sort((a, b) => a - b), stream.length];
          expect(read(at.slice(1).map((end, i) => stream.subarray(at[i], end)))).toEqual(expected);
        }),
      );
    });
  }

  it('arrives whole over the wire when cut into single bytes', async () => {
    const bytes = Buffer.from((delta(text) + delta('', 'stop') + DONE).replaceAll('\n', '\r\n'));
    const { backend } = await serve(sse(...[...bytes].map((byte) => Uint8Array.of(byte))));
    expect(await backend().ask([], '?')).toMatchObject({ answer: text, finishReason: 'stop' });
  });

  it('may end without [DONE] and without a last blank line', async () => {
    const { backend } = await serve(sse(delta('a'), delta('b', 'stop').trimEnd()));
    expect((await backend().ask([], '?')).answer).toBe('ab');
  });

  it('may end with [DONE] and no finish reason, and what follows is not read', async () => {
    const { backend } = await serve(sse(delta('a') + DONE + delta('b')));
    expect(await backend().ask([], '?')).toMatchObject({ answer: 'a', finishReason: null });
  });

  it('counts the first reasoning as the first token, and leaves it out of the answer', async () => {
    const thought = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { reasoning_content: 'hm' } }] })}\n\n`;
    const { backend } = await serve(async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(thought);
      await wait(60);
      response.end(delta('yes', 'stop') + DONE);
    });
    const answer = await backend().ask([], '?');
    expect(answer.answer).toBe('yes');
    expect(answer.totalMs - answer.firstTokenMs).toBeGreaterThan(40);
  });

  it('reads only the first choice', async () => {
    const other = `data: ${JSON.stringify({ choices: [{ index: 1, delta: { content: 'no' } }] })}\n\n`;
    const { backend } = await serve(sse(other, delta('yes', 'stop'), other, DONE));
    expect((await backend().ask([], '?')).answer).toBe('yes');
  });

  it.each([
    ['no events', ''],
    ['only [DONE]', DONE],
    ['events that are no JSON', 'data: {"choices\n\n'],
    ['a page of text', 'welcome to nginx'],
  ])('of %s is GP_BACKEND_RESPONSE', async (_, stream) => {
    const { backend, seen } = await serve(sse(stream));
    expect((await failure(backend().ask([], '?'))).code).toBe('GP_BACKEND_RESPONSE');
    expect(seen).toHaveLength(1);
  });

  it('that breaks before any text is asked again', async () => {
    const { backend, delays } = await serve(
      (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(': hello\n\n');
        setTimeout(() => response.destroy(), 20);
      },
      sse(delta('a')), // Ends without a finish reason; no text was handed out.
      sse(delta('b', 'stop'), DONE),
    );
    expect(await backend().ask([], '?')).toMatchObject({ answer: 'b', attempts: 3 });
    expect(delays).toEqual([500, 1000]);
  });

  it('that breaks after text was handed out is not asked again', async () => {
    const { backend, seen } = await serve((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(delta('half'));
      setTimeout(() => response.destroy(), 20);
    });
    const texts: string[] = [];
    const error = await failure(backend().ask([], '?', { onText: (t) => texts.push(t) }));
    expect([error.code, error.retryable]).toEqual(['GP_BACKEND_UNAVAILABLE', true]);
    expect(texts).toEqual(['half']);
    expect(seen).toHaveLength(1);
  });

  it('that ends early after text was handed out is an error, not half an answer', async () => {
    const { backend, seen } = await serve(sse(delta('half')));
    const error = await failure(backend().ask([], '?', { onText: () => {} }));
    expect(error.details).toMatchObject({ reason: 'cut off', received: 4 });
    expect(seen).toHaveLength(1);
  });

  const fault = { message: `engine died, key ${KEY}`, type: 'InternalServerError', code: 500 };
  it.each([
    ['an error member', `data: ${JSON.stringify({ error: fault })}\n\n`],
    ['event: error', `event: error\ndata: ${JSON.stringify(fault)}\n\n`],
    ['both', `event: error\ndata: ${JSON.stringify({ error: fault })}\n\n`],
  ])('with %s in the middle passes the words on', async (_, event) => {
    const { backend, seen } = await serve(sse(delta('half'), event, DONE));
    const error = await failure(backend().ask([], '?', { onText: () => {} }));
    expect(error.code).toBe('GP_BACKEND_UNAVAILABLE');
    expect(error.message).toContain('in the middle of it: engine died, key [key]');
    expect(error.details).toMatchObject({ errorCode: 500, midStream: true });
    expect(seen).toHaveLength(1);
  });

  it('with an error in place of any text is judged by its code', async () => {
    const refusal = { message: "This model's maximum context length is 8192 tokens", code: 400 };
    const tooLong = await serve(sse(`data: ${JSON.stringify({ error: refusal })}\n\n`, DONE));
    expect((await failure(tooLong.backend().ask([], '?'))).code).toBe('GP_CONTEXT_LENGTH');
    expect(tooLong.seen).toHaveLength(1);
    const busy = await serve(
      sse(`data: ${JSON.stringify({ error: 'overloaded' })}\n\n`),
      sse(delta('ok', 'stop'), DONE),
    );
    expect(await busy.backend().ask([], '?')).toMatchObject({ answer: 'ok', attempts: 2 });
  });

  it('stops when onText throws, with that error', async () => {
    const { backend, seen } = await serve(sse(delta('a'), delta('b', 'stop'), DONE));
    const own = new Error('my own');
    const asked = backend().ask([], '?', {
      onText: () => {
        throw own;
      },
    });
    await expect(asked).rejects.toBe(own);
    expect(seen).toHaveLength(1);
  });
});

describe('retries', () => {
  const ok = sse(delta('ok', 'stop'), DONE);

  it.each([408, 409, 429, 500, 502, 503, 529])('asks again after %d', async (status) => {
    const { backend, seen, delays } = await serve(json(status, { error: { message: 'busy' } }), ok);
    expect(await backend().ask(PAGES, '?')).toMatchObject({ answer: 'ok', attempts: 2 });
    expect(seen[1]!.body).toEqual(seen[0]!.body);
    expect(delays).toEqual([500]);
  });

  it.each([400, 401, 403, 404, 413, 422])('does not ask again after %d', async (status) => {
    const { backend, seen } = await serve(json(status, { error: { message: 'no' } }), ok);
    expect((await failure(backend().ask([], '?'))).code).toBe('GP_BACKEND_REQUEST');
    expect(seen).toHaveLength(1);
  });

  it('gives up after maxRetries, with the words of the server', async () => {
    const { backend, seen, delays } = await serve(
      json(500, { error: { message: 'out of memory' } }),
    );
    const error = await failure(backend({ maxRetries: 6 }).ask([], '?'));
    expect([error.code, error.retryable]).toEqual(['GP_BACKEND_UNAVAILABLE', true]);
    expect(error.message).toContain('HTTP 500: out of memory');
    expect(error.details).toMatchObject({ status: 500, attempts: 7 });
    expect(seen).toHaveLength(7);
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
  });

  it('asks once with maxRetries 0', async () => {
    const { backend, seen } = await serve(json(503, ''));
    await failure(backend({ maxRetries: 0 }).ask([], '?'));
    expect(seen).toHaveLength(1);
  });

  it('takes up to a quarter off the delay', async () => {
    const { baseUrl } = await serve(json(500, ''));
    const delays: number[] = [];
    const hooks = { random: () => 0.999, sleep: async (ms: number) => void delays.push(ms) };
    await failure(new OpenAiBackend({ baseUrl, model: 'm', maxRetries: 1 }, hooks).ask([], '?'));
    expect(delays[0]).toBeCloseTo(500 * (1 - 0.999 / 4), 6);
  });

  it.each<[Record<string, string>, number]>([
    [{ 'retry-after-ms': '37.5', 'retry-after': '9' }, 37.5],
    [{ 'retry-after': '2' }, 2000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '86400' }, 60_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, 500],
    [{ 'retry-after-ms': 'NaN' }, 500],
  ])('with %j waits %d ms', async (headers, expected) => {
    const { backend, delays } = await serve(json(429, '', headers), ok);
    await backend().ask([], '?');
    expect(delays).toEqual([expected]);
  });

  it('reads a date in retry-after', async () => {
    const { backend, delays } = await serve(
      (response) =>
        json(503, '', { 'retry-after': new Date(Date.now() + 20_000).toUTCString() })(response),
      ok,
    );
    await backend().ask([], '?');
    expect(delays[0]).toBeGreaterThan(15_000);
    expect(delays[0]).toBeLessThanOrEqual(20_000);
  });

  it('lets x-should-retry overrule the status', async () => {
    const no = await serve(json(500, '', { 'x-should-retry': 'false' }), ok);
    await failure(no.backend().ask([], '?'));
    expect(no.seen).toHaveLength(1);
    const yes = await serve(json(400, '', { 'x-should-retry': 'true' }), ok);
    expect((await yes.backend().ask([], '?')).attempts).toBe(2);
  });

  it('asks again when the connection breaks before an answer', async () => {
    const { backend } = await serve((response) => response.destroy(), ok);
    expect((await backend().ask([], '?')).attempts).toBe(2);
  });

  it('really waits between attempts', async () => {
    const { baseUrl } = await serve(json(429, '', { 'retry-after-ms': '80' }), ok);
    const answer = await new OpenAiBackend({ baseUrl, model: 'm' }).ask([], '?');
    expect(answer.attempts).toBe(2);
    expect(answer.totalMs).toBeGreaterThan(75);
  });
});

describe('a server that cannot be had', () => {
  it('is GP_BACKEND_UNAVAILABLE when nothing listens', async () => {
    const { backend, server, delays } = await serve(hang);
    await new Promise((resolve) => server.close(resolve));
    servers.pop();
    const error = await failure(backend().ask([], '?'));
    expect(error.code).toBe('GP_BACKEND_UNAVAILABLE');
    expect(error.details).toMatchObject({ reason: 'ECONNREFUSED', attempts: 3 });
    expect(error.hint).toContain('start the model server');
    expect(delays).toHaveLength(2);
  });

  it('runs into the time limit when it hangs before the headers, and is not asked twice', async () => {
    const { backend, seen } = await serve(hang);
    const error = await failure(backend({ timeoutMs: 150 }).ask([], '?'));
    expect(error.code).toBe('GP_BACKEND_UNAVAILABLE');
    expect(error.details).toMatchObject({ reason: 'timeout', timeoutMs: 150 });
    expect(seen).toHaveLength(1);
  });

  it.each([
    ['stream', true],
    ['whole answer', false],
  ])('runs into the time limit in the middle of a %s', async (_, stream) => {
    const { backend } = await serve((response) => {
      response.writeHead(200, {
        'content-type': stream ? 'text/event-stream' : 'application/json',
      });
      response.write(stream ? delta('half') : '{"choices":');
    });
    const texts: string[] = [];
    const error = await failure(
      backend({ timeoutMs: 150 }).ask([], '?', { stream, onText: (t) => texts.push(t) }),
    );
    expect(error.details.reason).toBe('timeout');
    expect(texts).toEqual(stream ? ['half'] : []);
  });

  it('runs into the time limit in the middle of an error', async () => {
    const { backend } = await serve((response) => {
      response.writeHead(500);
      response.write('{"error":');
    });
    expect((await failure(backend({ timeoutMs: 150 }).ask([], '?'))).details.reason).toBe(
      'timeout',
    );
  });

  it('is waited for beyond the silence limit of fetch itself', () => {
    expect(patientDispatcher()).toHaveProperty('dispatcher');
  });
});

describe('an abort signal', () => {
  it.each([
    ['before the headers', (_: ServerResponse): unknown => hang()],
    [
      'in the middle of a stream',
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(delta('half'));
      },
    ],
  ])('ends the request %s, with its reason', async (_, handler) => {
    let closed = false;
    const { backend, seen } = await serve((response) => {
      response.on('close', () => {
        closed = true;
      });
      return handler(response);
    });
    const controller = new AbortController();
    const reason = new Error('the user left');
    setTimeout(() => controller.abort(reason), 80);
    await expect(backend().ask([], '?', { signal: controller.signal })).rejects.toBe(reason);
    expect(seen).toHaveLength(1);
    // So the server learns of it and stops generating.
    await expect.poll(() => closed).toBe(true);
  });

  it('ends the wait between attempts', async () => {
    const { baseUrl, seen } = await serve(json(429, '', { 'retry-after': '30' }));
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 80);
    const asked = new OpenAiBackend({ baseUrl, model: 'm' }).ask([], '?', {
      signal: controller.signal,
    });
    await expect(asked).rejects.toThrow('enough');
    expect(seen).toHaveLength(1);
  });

  it('that is aborted already asks nothing and draws no page', async () => {
    const { backend, seen } = await serve(whole('x'));
    const signal = AbortSignal.abort(new Error('too late'));
    let drawn = 0;
    function* pages() {
      drawn++;
      yield PIXEL;
    }
    await expect(backend().ask(pages(), '?', { signal })).rejects.toThrow('too late');
    expect([drawn, seen.length]).toEqual([0, 0]);
  });
});

describe('a refusal', () => {
  it.each([401, 403])('with %d hints at the key and does not show it', async (status) => {
    const { backend } = await serve(
      json(status, { error: { message: `Incorrect API key provided: ${KEY}.`, code: KEY } }),
    );
    const error = await failure(backend().ask([], '?'));
    expect(error.hint).toContain('GLYPHPRESS_API_KEY');
    expect(error.message).toContain('Incorrect API key provided: [key].');
  });

  it.each([
    ['plain text', `bad key ${KEY}`],
    ['escaped slashes', JSON.stringify({ oops: KEY }).replaceAll('/', '\\/')],
    ['a nested object', { error: { message: { why: `${KEY}` } } }],
    ['a header', { error: { message: 'see id' } }],
  ])('does not leak the key through %s', async (_, body) => {
    const { backend } = await serve(json(400, body, { 'x-request-id': `req ${KEY}` }));
    const error = await failure(backend().ask([], '?'));
    expect(everythingIn(error)).not.toContain(KEY.replaceAll('/', '\\/'));
  });

  it('does not leak the key through the backend itself', async () => {
    const { backend } = await serve(whole('x'));
    expect(
      inspect(backend(), { depth: 9, showHidden: true }) + JSON.stringify(backend()),
    ).not.toContain(KEY);
  });

  it.each([
    [
      400,
      "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens",
    ],
    [413, 'Prompt is longer than max_model_len'],
    [400, 'the request exceeds the available context size'],
  ])(
    'of a long prompt with %d is GP_CONTEXT_LENGTH with the words of the server',
    async (status, message) => {
      const { backend } = await serve(json(status, { error: { message } }));
      const error = await failure(backend().ask([], '?'));
      expect(error.code).toBe('GP_CONTEXT_LENGTH');
      expect(error.message).toContain(message);
    },
  );

  it('by a proxy with 413 hints at its body limit, without markup', async () => {
    const { backend } = await serve(
      json(413, '<html><h1>413 Request Entity Too Large</h1>\r\n<hr>nginx</html>'),
    );
    const error = await failure(backend().ask([], '?'));
    expect(error.code).toBe('GP_BACKEND_REQUEST');
    expect(error.message).toContain('HTTP 413: 413 Request Entity Too Large nginx');
    expect(error.hint).toContain('body limit');
  });

  it('is cut to what people read', async () => {
    const { backend } = await serve(json(400, { error: { message: 'x'.repeat(300_000) } }));
    const error = await failure(backend().ask([], '?'));
    expect(JSON.stringify(error).length).toBeLessThan(4_000);
  });

  it.each([
    [{ message: 'older vLLM', object: 'error' }, 'older vLLM'],
    [{ error: 'a bare string' }, 'a bare string'],
    [{ detail: [{ loc: ['body'], msg: 'bad' }] }, '[{"loc":["body"],"msg":"bad"}]'],
    [{ other: 1 }, '{"other":1}'],
  ])('in the form %j is understood', async (body, words) => {
    const { backend } = await serve(json(400, body));
    expect((await failure(backend().ask([], '?'))).details.said).toBe(words);
  });

  it('by redirect is not followed', async () => {
    const other = await serve(whole('stolen'));
    const { backend } = await serve(
      json(307, '', { location: `${other.baseUrl}/v1/chat/completions` }),
    );
    const error = await failure(backend().ask([], '?'));
    expect(error.code).toBe('GP_BACKEND_REQUEST');
    expect(error.hint).toContain('Redirects');
    expect(other.seen).toHaveLength(0);
  });
});

describe('servers that refuse a request member', () => {
  const ok = sse(delta('ok', 'stop'), DONE);
  const refuse = (message: string) => json(400, { error: { message } });

  it('get max_completion_tokens, no stream_options and no default temperature, and are remembered', async () => {
    const { backend, seen } = await serve(
      refuse("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
      refuse('Extra inputs are not permitted: stream_options'),
      refuse(
        "Unsupported value: 'temperature' does not support 0. Only the default (1) is supported.",
      ),
      ok,
    );
    const one = backend();
    expect(await one.ask([], '?', { maxNewTokens: 9 })).toMatchObject({
      answer: 'ok',
      attempts: 4,
    });
    const last = { model: 'glyph', max_completion_tokens: 9, stream: true };
    expect(seen[3]!.body).toEqual({ ...last, messages: expect.anything() });
    expect((await one.ask([], '?', { maxNewTokens: 9 })).attempts).toBe(1);
  });

  it('are told of a temperature that the caller chose, and the refusal is passed on', async () => {
    const { backend, seen } = await serve(refuse('temperature is not supported'), ok);
    await failure(backend().ask([], '?', { temperature: 0 }));
    expect(seen).toHaveLength(1);
  });
});

describe('listModels', () => {
  it('names the models', async () => {
    const { backend, seen } = await serve(
      json(200, { object: 'list', data: [{ id: 'zai-org/Glyph' }, { id: 'b' }] }),
    );
    expect(await backend().listModels()).toEqual(['zai-org/Glyph', 'b']);
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/v1/models' });
    expect(seen[0]!.headers.authorization).toBe(`Bearer ${KEY}`);
  });

  it.each(['{}', '[]', '{"data":[{}]}', '{"data":[null]}', 'welcome'])(
    'refuses %s',
    async (body) => {
      const { backend } = await serve(json(200, body));
      expect((await failure(backend().listModels())).code).toBe('GP_BACKEND_RESPONSE');
    },
  );

  it('retries and refuses as ask does', async () => {
    const busy = await serve(json(503, ''), json(200, { data: [] }));
    expect(await busy.backend().listModels()).toEqual([]);
    const locked = await serve(json(401, ''));
    expect((await failure(locked.backend().listModels())).hint).toContain('GLYPHPRESS_API_KEY');
  });
});
