import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import {
  DONE,
  delta,
  everythingIn,
  failure,
  json,
  KEY,
  serve,
  sse,
  whole,
} from './model-server.js';

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

  it('get max_completion_tokens and no stream_options, and are remembered', async () => {
    const { backend, seen } = await serve(
      refuse("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
      refuse('Extra inputs are not permitted: stream_options'),
      ok,
    );
    const one = backend();
    expect(await one.ask([], '?', { maxNewTokens: 9 })).toMatchObject({
      answer: 'ok',
      attempts: 3,
    });
    const last = { model: 'glyph', max_completion_tokens: 9, stream: true };
    expect(seen[2]!.body).toEqual({ ...last, messages: expect.anything() });
    expect((await one.ask([], '?', { maxNewTokens: 9 })).attempts).toBe(1);
  });

  it('are told of a temperature that the caller chose, and the refusal is passed on', async () => {
    const { backend, seen } = await serve(refuse('temperature is not supported'), ok);
    await failure(backend().ask([], '?', { temperature: 0 }));
    expect(seen).toHaveLength(1);
  });
});
