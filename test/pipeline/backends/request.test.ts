import { describe, expect, it } from 'vitest';
import { normaliseBaseUrl } from '../../../src/pipeline/backends/endpoint.js';
import { OpenAiBackend } from '../../../src/pipeline/backends/openai.js';
import { saysNotFound } from '../../../src/pipeline/citing/says-not-found.js';
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
    expect(body).toMatchObject({ model: 'glyph', max_tokens: 20, stream: false });
    expect(body).not.toHaveProperty('temperature');
    expect(body).not.toHaveProperty('stream_options');
    expect(body.messages).toHaveLength(2);
    expect(body.messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
    expect(body.messages[1].role).toBe('user');
    const parts = body.messages[1].content;
    expect(parts.map((part: { type: string; text?: string }) => part.text ?? part.type)).toEqual([
      'Page 1:',
      'image_url',
      'Page 2:',
      'image_url',
      'What is “it”?',
    ]);
    PAGES.forEach((page, i) => {
      const { url, ...other } = parts[2 * i + 1].image_url;
      expect(other).toEqual({});
      const [head, data] = url.split(',');
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

  it('tells a model how to say that the pages do not hold the answer', async () => {
    const { backend, seen } = await serve(whole('Not found.'));
    const { answer } = await backend().ask(PAGES, 'Who?', { stream: false });
    const [{ role, content }] = seen[0]!.body.messages;
    expect(role).toBe('system');
    const [, wanted] = /reply only: (.+)$/.exec(content)!;
    expect(saysNotFound(wanted!)).toBe(true);
    expect(saysNotFound(answer)).toBe(true);
  });

  it('leaves out instructions and page numbers, and names the detail, as the user wants it', async () => {
    const { backend, seen } = await serve(whole('yes'));
    const bare = backend({ instructions: null, pageNumbers: false, detail: 'high' });
    await bare.ask(PAGES, 'What?', { stream: false, textAfterPages: 'n = 1' });
    expect(seen[0]!.body.messages).toEqual([
      {
        role: 'user',
        content: [
          ...PAGES.map((page) => ({
            type: 'image_url',
            image_url: { url: `data:image/png;base64,${page.toString('base64')}`, detail: 'high' },
          })),
          { type: 'text', text: 'n = 1' },
          { type: 'text', text: 'What?' },
        ],
      },
    ]);
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
