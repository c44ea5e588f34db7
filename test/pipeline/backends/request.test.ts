import { describe, expect, it } from 'vitest';
import { OpenAiBackend } from '../../../src/pipeline/backends/openai.js';
import { normaliseBaseUrl } from '../../../src/pipeline/backends/openai-transport.js';
import {
  DONE,
  delta,
  failure,
  KEY,
  PAGES,
  PIXEL,
  type Seen,
  serve,
  sse,
  whole,
} from './model-server.js';

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
    await backend().ask([], 'Hello?', { temperature: 0.5 });
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
