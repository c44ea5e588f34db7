import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { StopFilter } from '../../src/server/chat-request.js';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import { words } from '../support/rendering.js';
import { cleanUpAtEnd, TINY_NAME, testRedis } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
let server: TestServer;
let client: OpenAI;
let done: DocumentJson;

beforeAll(async () => {
  const redis = await testRedis(cleanUp);
  server = await testServer(redis, cleanUp);
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 });
  done = await server.finished((await server.submit(words(120))).id);
});

const question = 'Which gate is shut?';
type Content = OpenAI.ChatCompletionContentPart[];
const about = (file: object, text = question): OpenAI.ChatCompletionMessageParam[] => [
  {
    role: 'user',
    content: [
      { type: 'file', file },
      { type: 'text', text },
    ] as Content,
  },
];
const ask = (more: object = {}) =>
  client.chat.completions.create({
    model: TINY_NAME,
    max_tokens: 8,
    messages: about({ file_id: done.id }),
    ...more,
  } as OpenAI.ChatCompletionCreateParamsNonStreaming);

describe("OpenAI's client", () => {
  it('lists the models', async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toEqual([TINY_NAME]);
    expect(await client.models.retrieve(TINY_NAME)).toMatchObject({ owned_by: 'glyphpress' });
    await expect(client.models.retrieve('gpt-9')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('uploads a file, asks it at once, reads it back and deletes it', async () => {
    const text = words(60, 7);
    const file = await client.files.create({
      file: new File([text], 'words.txt', { type: 'text/plain' }),
      purpose: 'user_data',
      expires_after: { anchor: 'created_at', seconds: 3_600 },
    });
    expect(file).toMatchObject({ object: 'file', bytes: text.length, filename: 'words.txt' });
    expect(file.expires_at! - file.created_at).toBe(3_600);
    const answer = await client.chat.completions.create({
      model: TINY_NAME,
      max_tokens: 4,
      messages: about({ file_id: file.id }),
    });
    expect(answer.choices[0]!.finish_reason).toMatch(/^(stop|length)$/);
    expect(await client.files.retrieve(file.id)).toMatchObject({ status: 'processed' });
    expect(await (await client.files.content(file.id)).text()).toBe(text);
    const listed = [];
    for await (const one of client.files.list()) listed.push(one.id);
    expect(listed).toEqual([file.id]); // documents that came in at another door are no files
    expect(await client.files.delete(file.id)).toMatchObject({ id: file.id, deleted: true });
    await expect(client.files.retrieve(file.id)).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('gets the same answer in one piece and as a stream, with what it cost', async () => {
    const whole = await ask();
    const { usage } = whole;
    expect(usage).toMatchObject({
      completion_tokens: expect.any(Number),
      prompt_tokens_details: { cached_tokens: expect.any(Number) },
      glyphpress: {
        document_id: done.id,
        pages: done.progress.pages,
        stacked_ratio: expect.any(Number),
      },
    });
    expect(usage!.total_tokens).toBe(usage!.prompt_tokens + usage!.completion_tokens);
    expect(usage!.prompt_tokens_details!.cached_tokens).toBeLessThan(usage!.prompt_tokens);
    const stream = await client.chat.completions.create({
      model: TINY_NAME,
      max_tokens: 8,
      messages: about({ file_id: done.id }),
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    expect(text.trim()).toBe(whole.choices[0]!.message.content);
    expect(chunks[0]!.choices[0]!.delta.role).toBe('assistant');
    expect(chunks.at(-2)!.choices[0]!.finish_reason).toBe(whole.choices[0]!.finish_reason);
    const timeless = ({ glyphpress: _, ...rest }: Record<string, unknown>) => rest;
    expect(timeless(chunks.at(-1)!.usage as never)).toEqual(timeless(usage as never));
  });

  it('is told how sure the answer is, and where it stands when it wants to know', async () => {
    type Evidence = { glyphpress: { found: boolean; confidence: number; citations?: unknown[] } };
    const plain = (await ask()) as unknown as Evidence;
    expect(plain.glyphpress).toMatchObject({ found: true, calibrated: false, doubtful: false });
    expect(plain.glyphpress.confidence).toBeGreaterThan(0);
    expect(plain.glyphpress).not.toHaveProperty('citations');
    const cited = (await ask({ glyphpress: { citations: true } })) as unknown as Evidence;
    expect(cited.glyphpress.citations).toBeInstanceOf(Array);
  });

  it('has passages read as text beside the pages, and is told which and what they cost', async () => {
    type Reply = {
      usage: { prompt_tokens: number; glyphpress: Record<string, number> };
      glyphpress: {
        expanded?: { document_id: string; page: number; start: number; end: number }[];
      };
    };
    const plain = (await ask()) as unknown as Reply;
    expect(plain.glyphpress).not.toHaveProperty('expanded');
    expect(plain.usage.glyphpress.expanded_tokens).toBe(0);
    const { usage, glyphpress } = (await ask({
      glyphpress: { expand: 'lexical', expand_budget: 600 },
    })) as unknown as Reply;
    const cost = usage.glyphpress;
    expect(glyphpress.expanded!.length).toBeGreaterThan(0);
    for (const place of glyphpress.expanded!) {
      expect(place.document_id).toBe(done.id);
      expect(place.page).toBeGreaterThanOrEqual(1);
    }
    expect(cost.expanded_tokens).toBeGreaterThan(0);
    expect(cost.expanded_tokens).toBeLessThanOrEqual(600);
    expect(cost.context_tokens).toBe(
      plain.usage.glyphpress.context_tokens! + cost.expanded_tokens!,
    );
    expect(cost.stacked_ratio).toBeCloseTo(cost.text_tokens! / cost.context_tokens!);
    expect(usage.prompt_tokens).toBeGreaterThan(plain.usage.prompt_tokens + cost.expanded_tokens!);
    for (const wrong of [{ expand: 'magic' }, { expand: 'lexical', expand_budget: 0 }]) {
      const error = await ask({ glyphpress: wrong }).catch((error) => error);
      expect(error.status).toBe(400);
    }
  });

  it('gets the same sample for the same seed', async () => {
    const sample = async (seed: number) =>
      (await ask({ temperature: 1.5, seed, max_tokens: 16 })).choices[0]!.message.content;
    expect(await sample(7)).toBe(await sample(7));
  });

  it('sends a document inside its question, and does not pay for it again', async () => {
    const data = `data:text/plain;base64,${Buffer.from(words(40, 21)).toString('base64')}`;
    const once = async () =>
      (await ask({ messages: about({ file_data: data, filename: 'in.txt' }) }))
        .usage as unknown as {
        glyphpress: { document_id: string };
      };
    const [first, second] = [await once(), await once()];
    expect(second.glyphpress.document_id).toBe(first.glyphpress.document_id);
    const kept = await (await server.fetch(`/v1/documents/${first.glyphpress.document_id}`)).json();
    expect(kept.expires_at - kept.created_at).toBe(3_600);
  });

  it('names documents beside the messages', async () => {
    const messages = [
      { role: 'system', content: 'Answer briefly.' },
      { role: 'user', content: 'Which gate?' },
      { role: 'assistant', content: 'The north gate.' },
      { role: 'user', content: 'Who says so?' },
    ];
    const plain = await ask({ messages, glyphpress: { document_ids: [done.id] } });
    const alone = await ask({
      messages: messages.slice(3),
      glyphpress: { document_ids: [done.id] },
    });
    // What was said before is part of the prompt.
    expect(plain.usage!.prompt_tokens).toBeGreaterThan(alone.usage!.prompt_tokens);
  });

  it.each<[string, () => object, number, string]>([
    ['no document', () => ({ messages: [{ role: 'user', content: question }] }), 400, 'GP_REQUEST'],
    [
      'more documents than are asked at once',
      () => ({
        glyphpress: {
          document_ids: Array.from({ length: 16 }, (_, n) => `doc_${`${n}`.padStart(24, '0')}`),
        },
      }),
      400,
      'GP_REQUEST',
    ],
    [
      'an unknown document',
      () => ({ messages: about({ file_id: 'file-nothing' }) }),
      404,
      'GP_DOCUMENT_UNKNOWN',
    ],
    [
      'data that is no base64',
      () => ({ messages: about({ file_data: '§§§' }) }),
      400,
      'GP_REQUEST',
    ],
    ['no question', () => ({ messages: about({ file_id: done.id }, ' ') }), 400, 'GP_REQUEST'],
    ['another model', () => ({ model: 'gpt-9' }), 404, 'GP_MODEL_UNKNOWN'],
    ['tools', () => ({ tools: [{ type: 'function' }] }), 400, 'GP_REQUEST'],
    ['several answers', () => ({ n: 2 }), 400, 'GP_REQUEST'],
    [
      'an image',
      () => ({
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
        glyphpress: { document_ids: [done.id] },
      }),
      400,
      'GP_REQUEST',
    ],
    [
      'the question before the pages too',
      () => ({ glyphpress: { document_ids: [done.id], question_first: true } }),
      400,
      'GP_REQUEST',
    ],
    [
      'too long a question',
      () => ({ messages: about({ file_id: done.id }, 'x'.repeat(100_001)) }),
      413,
      'GP_REQUEST_TOO_LARGE',
    ],
  ])('is told in its own words of %s', async (_, more, status, code) => {
    for (const stream of [false, true]) {
      const error = await ask({ ...more(), stream }).then(
        () => null,
        (error) => error,
      );
      expect(error).toBeInstanceOf(OpenAI.APIError);
      expect([error.status, error.code, error.requestID]).toEqual([
        status,
        code,
        expect.stringMatching(/^req_/),
      ]);
    }
  });

  it('waits for a document, but no longer than it wants to', async () => {
    const slow = await server.submit(words(3_000, 31));
    const error = await ask({
      messages: about({ file_id: slow.id }),
      glyphpress: { wait_seconds: 0 },
    }).catch((error) => error);
    expect([error.status, error.code]).toEqual([503, 'GP_DOCUMENT_PENDING']);
    expect(error.headers.get('retry-after')).toBe('5');
    // In a stream that is open already the same comes as a chunk, which the client throws.
    const stream = await client.chat.completions.create({
      model: TINY_NAME,
      messages: about({ file_id: slow.id }),
      stream: true,
      glyphpress: { wait_seconds: 0 },
    } as OpenAI.ChatCompletionCreateParamsStreaming);
    await expect(
      (async () => {
        for await (const _ of stream);
      })(),
    ).rejects.toThrow(/still being compressed/);
    await server.fetch(`/v1/documents/${slow.id}/cancel`, { method: 'POST' });
    const cancelled = await ask({ messages: about({ file_id: slow.id }) }).catch((error) => error);
    expect([cancelled.status, cancelled.code]).toEqual([422, 'GP_DOCUMENT_STATE']);
  });

  it('may leave in the middle of an answer: the model goes on with the next one', async () => {
    const stream = await client.chat.completions.create({
      model: TINY_NAME,
      max_tokens: 1_500,
      messages: about({ file_id: done.id }),
      stream: true,
    });
    for await (const _ of stream) break;
    stream.controller.abort();
    const start = Date.now();
    await ask({ max_tokens: 2 });
    expect(Date.now() - start).toBeLessThan(5_000);
  });
});

describe('a stop sequence', () => {
  const filter = (stop: string | string[], ...pieces: string[]) => {
    const stops = new StopFilter(stop);
    const out = pieces.map((piece) => stops.push(piece));
    return { out, rest: stops.end(), stopped: stops.stopped };
  };

  it('ends the answer before it, also when it comes in pieces', () => {
    expect(filter('STOP', 'abcST', 'OPdef')).toEqual({ out: ['abc', ''], rest: '', stopped: true });
    expect(filter(['x', 'b'], 'abx')).toEqual({ out: ['a'], rest: '', stopped: true });
  });

  it('holds back only what may still become one', () => {
    expect(filter('aab', 'xaa', 'ac')).toEqual({ out: ['x', 'aaac'], rest: '', stopped: false });
    expect(filter('\n\n', 'one\n')).toEqual({ out: ['one'], rest: '\n', stopped: false });
    expect(filter([], 'all')).toEqual({ out: ['all'], rest: '', stopped: false });
  });
});
