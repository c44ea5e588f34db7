import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import { words } from '../support/rendering.js';
import { cleanUpAtEnd, type TestRedis, TINY_NAME, testRedis, until } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const LEASE_MS = 600;
let redis: TestRedis;
let server: TestServer;
let client: OpenAI;
let done: DocumentJson;

const clientOf = ({ url }: TestServer) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  server = await testServer(redis, cleanUp, {
    runner: { leaseMs: LEASE_MS },
    limits: { backgroundPerTenant: 3 },
  });
  client = clientOf(server);
  done = await server.finished((await server.submit(words(120), { filename: 'gates.txt' })).id);
});

type Create = OpenAI.Responses.ResponseCreateParamsNonStreaming;
const fileId = () => done.id.replace('doc_', 'file-');
const request = (more: object = {}): Create => ({
  model: TINY_NAME,
  max_output_tokens: 8,
  input: [
    {
      role: 'user',
      content: [
        { type: 'input_file', file_id: fileId() },
        { type: 'input_text', text: 'Which gate is shut?' },
      ],
    },
  ],
  ...more,
});
const create = (more: object = {}) => client.responses.create(request(more));
const LONG = { max_output_tokens: 1_500, glyphpress: { seed: 1 }, temperature: 2 };
const settled = async (id: string, from = client) => {
  let response = await from.responses.retrieve(id);
  await until(async () => {
    response = await from.responses.retrieve(id);
    return response.status !== 'queued' && response.status !== 'in_progress';
  });
  return response;
};
const codeOf = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => null,
    (error) => error,
  );
  return [error?.status, error?.code];
};

describe('a response', () => {
  it('says what a chat completion says', async () => {
    const response = await create({ metadata: { case: '7' } });
    const chat = await client.chat.completions.create({
      model: TINY_NAME,
      max_tokens: 8,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'file', file: { file_id: fileId() } },
            { type: 'text', text: 'Which gate is shut?' },
          ],
        },
      ],
    });
    expect(response.output_text).toBe(chat.choices[0]!.message.content);
    expect(response.status).toBe(
      chat.choices[0]!.finish_reason === 'length' ? 'incomplete' : 'completed',
    );
    expect(response).toMatchObject({ metadata: { case: '7' }, error: null, store: true });
    expect(response.usage).toMatchObject({
      input_tokens: chat.usage!.prompt_tokens,
      output_tokens: chat.usage!.completion_tokens,
      total_tokens: chat.usage!.total_tokens,
      glyphpress: { document_ids: [done.id] },
    });
  });

  it('is kept, shows what was asked, and is deleted', async () => {
    const { id, output_text: text } = await create({ instructions: 'Be brief.' });
    const kept = await client.responses.retrieve(id);
    expect([kept.output_text, kept.instructions]).toEqual([text, 'Be brief.']);
    const { data } = await client.responses.inputItems.list(id);
    expect(data).toMatchObject([{ role: 'user', content: [{ text: 'Which gate is shut?' }] }]);
    await client.responses.delete(id);
    expect(await codeOf(client.responses.retrieve(id))).toEqual([404, 'GP_RESPONSE_UNKNOWN']);
    const { id: unkept } = await create({ store: false });
    expect(await codeOf(client.responses.retrieve(unkept))).toEqual([404, 'GP_RESPONSE_UNKNOWN']);
  });

  it('goes on from another one, and about its document', async () => {
    const first = await create();
    const next = await client.responses.create({
      model: TINY_NAME,
      max_output_tokens: 4,
      input: 'Who says so?',
      previous_response_id: first.id,
    });
    expect(next.usage!.input_tokens).toBeGreaterThan(first.usage!.input_tokens);
    const { data } = await client.responses.inputItems.list(next.id);
    expect(data.map((item) => (item as { role: string }).role)).toEqual([
      'user',
      'assistant',
      'user',
    ]);
  });

  it('streams events that the client puts together', async () => {
    const stream = client.responses.stream({ ...request(), stream: true });
    const types: string[] = [];
    const numbers: number[] = [];
    for await (const event of stream) {
      types.push(event.type);
      numbers.push(event.sequence_number);
    }
    expect(numbers).toEqual(numbers.map((_, index) => index));
    const once = types.filter((type) => type !== 'response.output_text.delta');
    expect(once.slice(0, 4)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
    ]);
    expect(once.slice(4, 7)).toEqual([
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
    ]);
    const whole = await create();
    expect((await stream.finalResponse()).output_text).toBe(whole.output_text);
  });

  it.each<[string, () => object, number, string]>([
    ['no document', () => ({ input: 'Which gate?' }), 400, 'GP_REQUEST'],
    [
      'an address',
      () => part({ type: 'input_file', file_url: 'http://127.0.0.1/' }),
      400,
      'GP_REQUEST',
    ],
    ['an image', () => part({ type: 'input_image', image_url: 'x' }), 400, 'GP_REQUEST'],
    ['a tool', () => ({ tools: [{ type: 'web_search' }] }), 400, 'GP_REQUEST'],
    ['a format', () => ({ text: { format: { type: 'json_object' } } }), 400, 'GP_REQUEST'],
    ['an unknown field', () => ({ colour: 'red' }), 400, 'GP_REQUEST'],
    ['an unknown model', () => ({ model: 'gpt-9' }), 404, 'GP_MODEL_UNKNOWN'],
    ['an unkept background', () => ({ background: true, store: false }), 400, 'GP_REQUEST'],
    [
      'nothing to go on from',
      () => ({ previous_response_id: 'resp_x' }),
      404,
      'GP_RESPONSE_UNKNOWN',
    ],
  ])('is refused in its own words for %s', async (_, more, status, code) => {
    for (const stream of [false, true])
      expect(await codeOf(create({ ...more(), stream }) as Promise<unknown>)).toEqual([
        status,
        code,
      ]);
  });
});

const part = (file: object) => ({
  input: [{ role: 'user', content: [file, { type: 'input_text', text: 'Which gate?' }] }],
});

describe('a background response', () => {
  it('is queued at once, also before its document is compressed', async () => {
    const slow = await server.submit(words(60, 5));
    const queued = await client.responses.create({
      model: TINY_NAME,
      max_output_tokens: 4,
      input: 'Which gate?',
      background: true,
      glyphpress: { document_ids: [slow.id], citations: true },
    } as Create);
    expect(queued).toMatchObject({ status: 'queued', background: true, output: [], usage: null });
    const response = await settled(queued.id);
    expect(response.status).toMatch(/^(completed|incomplete)$/);
    expect(response.usage!.output_tokens).toBeGreaterThan(0);
    expect(response).toMatchObject({ glyphpress: { citations: expect.any(Array) } });
  });

  it('is made once for an idempotency key', async () => {
    const send = () =>
      server.fetch('/v1/responses', {
        json: request({ background: true }),
        headers: { 'idempotency-key': 'once' },
      });
    const [first, second] = [await (await send()).json(), await send()];
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect((await second.json()).id).toBe(first.id);
    await settled(first.id);
  });

  it('streams, and goes on after the event that was seen last', async () => {
    const stream = await client.responses.create({
      ...request({ background: true }),
      stream: true,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    expect(events.slice(0, 3).map(({ type }) => type)).toEqual([
      'response.created',
      'response.queued',
      'response.in_progress',
    ]);
    const { id } = (events[0] as OpenAI.Responses.ResponseCreatedEvent).response;
    const again = [];
    for await (const event of await client.responses.retrieve(id, {
      stream: true,
      starting_after: events[2]!.sequence_number,
    })) {
      again.push(event);
    }
    expect(again).toEqual(events.slice(3));
    const last = events.at(-1) as OpenAI.Responses.ResponseCompletedEvent;
    expect(last.response.output).toEqual((await client.responses.retrieve(id)).output);
  });

  it('is cancelled, from any process, and stays so', async () => {
    const other = await testServer(redis, cleanUp, { runner: { leaseMs: LEASE_MS } }, null);
    const { id } = await create({ background: true, ...LONG });
    await until(async () => (await client.responses.retrieve(id)).status === 'in_progress');
    const cancelled = await clientOf(other).responses.cancel(id);
    expect(cancelled.status).toBe('cancelled');
    expect((await client.responses.cancel(id)).status).toBe('cancelled');
    const events = [];
    for await (const event of await client.responses.retrieve(id, { stream: true }))
      events.push(event.type as string);
    expect(events.at(-1)).toBe('response.cancelled');
    // The model is free again.
    const start = Date.now();
    const whole = await create();
    expect(Date.now() - start).toBeLessThan(3_000);
    expect(await codeOf(client.responses.cancel(whole.id))).toEqual([400, 'GP_REQUEST']);
  });

  it('fails with what was wrong with its document', async () => {
    const bad = await server.submit('x', { filename: 'a.pdf' });
    await server.finished(bad.id);
    const { id } = await create({
      background: true,
      input: 'Which gate?',
      glyphpress: { document_ids: [bad.id] },
    });
    const failed = await settled(id);
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'GP_DOCUMENT_STATE' } });
  });

  it('is bounded for a tenant', async () => {
    const ids: string[] = [];
    const refused = await codeOf(
      (async () => {
        for (let n = 0; n < 5; n++) ids.push((await create({ background: true, ...LONG })).id);
      })(),
    );
    expect(refused).toEqual([429, 'GP_QUEUE_FULL']);
    for (const id of ids) await client.responses.delete(id);
  });

  it('is made by another process when its own one is gone', async () => {
    const going = await testServer(redis, [], { runner: { leaseMs: LEASE_MS } }, null);
    const { id } = await clientOf(going).responses.create({
      ...request({ background: true, ...LONG }),
      max_output_tokens: 400,
    });
    await until(async () => (await client.responses.retrieve(id)).status === 'in_progress');
    await going.service.close(0);
    const response = await settled(id);
    expect(response.status).toMatch(/^(completed|incomplete)$/);
    expect(response.output_text.length).toBeGreaterThan(0);
  });

  it('leaves nothing behind in Redis but what is kept', async () => {
    expect(await redis.redis.zcard('gp:responses:leases')).toBe(0);
    expect(await redis.redis.scard('gp:responses:unfinished:local')).toBe(0);
    for (const key of await redis.redis.keys('gp:response*:local:*'))
      expect([key, (await redis.redis.pttl(key)) > 0]).toEqual([key, true]);
  });
});
