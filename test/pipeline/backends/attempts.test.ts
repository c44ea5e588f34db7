import { describe, expect, it } from 'vitest';
import { OpenAiBackend } from '../../../src/pipeline/backends/openai.js';
import { DONE, delta, failure, hang, json, PAGES, serve, sse } from './model-server.js';

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
});
