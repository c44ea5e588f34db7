import type { ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { OpenAiBackend } from '../../../src/pipeline/backends/openai.js';
import { delta, hang, json, PIXEL, serve, whole } from './model-server.js';

/** A little later: what was answered has arrived by then. */
async function once(isThere: () => boolean): Promise<void> {
  await expect.poll(isThere).toBe(true);
  await wait(80);
}

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
    const asked = backend().ask([], '?', { signal: controller.signal });
    await once(() => seen.length === 1);
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    expect(seen).toHaveLength(1);
    // So the server learns of it and stops generating.
    await expect.poll(() => closed).toBe(true);
  });

  it('ends the wait between attempts', async () => {
    const { baseUrl, seen } = await serve(json(429, '', { 'retry-after': '30' }));
    const controller = new AbortController();
    const asked = new OpenAiBackend({ baseUrl, model: 'm' }).ask([], '?', {
      signal: controller.signal,
    });
    await once(() => seen.length === 1);
    controller.abort(new Error('enough'));
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
