import { describe, expect, it } from 'vitest';
import { failure, json, KEY, PAGES, serve, whole } from './model-server.js';

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
