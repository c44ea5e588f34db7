import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DocumentRecord } from '../../src/queue/document-record.js';
import { documentView } from '../../src/server/document-view.js';
import { type TestServer, testServer } from '../support/http.js';
import { cleanUpAtEnd, TINY_NAME, testRedis } from '../support/service.js';

const cleanUp = cleanUpAtEnd();
let server: TestServer;
let client: OpenAI;
/** Oldest first. */
const files: string[] = [];

beforeAll(async () => {
  // Without workers: what is listed need not be compressed.
  server = await testServer(await testRedis(cleanUp), cleanUp, {}, null);
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 });
  for (let n = 0; n < 7; n++) {
    const { id } = await client.files.create({
      file: new File([`text ${n}`], `${n}.txt`, { type: 'text/plain' }),
      purpose: n === 3 ? 'assistants' : 'user_data',
    });
    files.push(id);
    // Documents that are no files stand between them.
    for (let i = 0; i < 4; i++) await server.submit(`between ${n} ${i}`);
  }
});

const idsOf = async (query: object) => {
  const ids: string[] = [];
  for await (const file of client.files.list(query)) ids.push(file.id);
  return ids;
};

describe('the list of files', () => {
  it.each([1, 2, 3, 100])('holds every file once, %i at a time, newest first', async (limit) => {
    expect(await idsOf({ limit })).toEqual(files.toReversed());
  });

  it('is the other way round when that is asked', async () => {
    expect(await idsOf({ limit: 2, order: 'asc' })).toEqual(files);
    expect((await server.fetch('/v1/files?order=sideways')).status).toBe(400);
  });

  it('holds those of one purpose', async () => {
    expect(await idsOf({ limit: 1, purpose: 'assistants' })).toEqual([files[3]]);
    expect(await idsOf({ limit: 2, purpose: 'user_data' })).toHaveLength(6);
  });

  it('has as many as are asked for, and says whether there are more', async () => {
    const page = await (await server.fetch('/v1/files?limit=5')).json();
    expect(page.data).toHaveLength(5);
    expect(page).toMatchObject({ has_more: true, first_id: files[6], last_id: files[2] });
    const rest = await (await server.fetch(`/v1/files?limit=5&after=${page.last_id}`)).json();
    expect(rest).toMatchObject({ has_more: false, first_id: files[1], last_id: files[0] });
  });

  it('says so when the place to go on from is gone', async () => {
    const { id } = await client.files.create({
      file: new File(['gone'], 'gone.txt', { type: 'text/plain' }),
      purpose: 'user_data',
    });
    await client.files.delete(id);
    const answer = await server.fetch(`/v1/files?after=${id}`);
    expect(answer.status).toBe(404);
    expect((await answer.json()).error.param).toBe('after');
  });
});

describe('how far a document is', () => {
  const record = (fields: Partial<DocumentRecord>) =>
    ({
      settings: JSON.stringify({ model: TINY_NAME }),
      parts: null,
      failure: null,
      ...fields,
    }) as DocumentRecord;

  it.each([
    [
      'while its pages are drawn',
      { state: 'in_progress', stage: 'render', pagesDone: 40, pages: null, share: 0.2 },
      40,
    ],
    [
      'when encoding begins',
      { state: 'in_progress', stage: 'encode', pagesDone: 0, pages: 601, share: 0 },
      0,
    ],
    [
      'while they are encoded',
      { state: 'in_progress', stage: 'encode', pagesDone: 18, pages: 601, share: 0.03 },
      18,
    ],
    [
      'while the model reads them',
      { state: 'in_progress', stage: 'prefill', pagesDone: 0, pages: 601, share: 0.5 },
      601,
    ],
    [
      'when it is done',
      { state: 'completed', stage: null, pagesDone: 601, pages: 601, share: 1 },
      601,
    ],
    [
      'when it failed while encoding',
      { state: 'failed', stage: null, pagesDone: 18, pages: 601, share: 1 },
      18,
    ],
  ] as const)('%s', (_, fields, done) => {
    expect(documentView(record(fields)).progress.pages_done).toBe(done);
  });
});
