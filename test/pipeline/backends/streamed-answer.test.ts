import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { DONE, delta, failure, KEY, PAGES, serve, sse, USAGE_EVENT } from './model-server.js';

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
  it.each([
    ['LF', '\n'],
    ['CR LF', '\r\n'],
    ['CR', '\r'],
  ])('arrives whole when lines end with %s and every byte comes alone', async (_, lineEnd) => {
    const stream = `\uFEFF: comment\nevent: message\nid: 1\nretry: 5\n${delta(text)}\n\n${delta('', 'stop')}${DONE}`;
    const bytes = Buffer.from(stream.replaceAll('\n', lineEnd));
    const { backend } = await serve(sse(...[...bytes].map((byte) => Uint8Array.of(byte))));
    expect(await backend().ask([], '?')).toMatchObject({ answer: text, finishReason: 'stop' });
  });

  it('may break one event into several data lines', async () => {
    const event = '{"choices":[{"index":0,\n"delta":{"content":"ab"},"finish_reason":"stop"}]}';
    const { backend } = await serve(sse(`data: ${event.replace('\n', '\ndata: ')}\n\n`, DONE));
    expect((await backend().ask([], '?')).answer).toBe('ab');
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

  it('leaves out what the model thinks in the text itself, unless it is wanted', async () => {
    const pieces = ['<th', 'ink>\nSurely ', 'the gate', '</thi', 'nk>\n\n', 'nor', 'th'];
    const stream = sse(...pieces.map((piece) => delta(piece)), delta('', 'stop'), DONE);
    const { backend } = await serve(stream);
    const texts: string[] = [];
    const answer = await backend().ask([], '?', { onText: (text) => texts.push(text) });
    expect([answer.answer, texts]).toEqual(['north', ['nor', 'th']]);
    const kept = await backend({ keepThinking: true }).ask([], '?');
    expect(kept.answer).toBe(pieces.join(''));
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
