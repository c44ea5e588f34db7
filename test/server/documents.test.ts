import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { CELLS_FILE } from '../../src/pipeline/artifacts/page-cells.js';
import { CONTEXT_FORM } from '../../src/pipeline/artifacts/stored-context.js';
import { MANIFEST_FILE, readManifest } from '../../src/store/artifact-folder.js';
import { manifestText } from '../../src/store/manifest.js';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import { words } from '../support/rendering.js';
import {
  cleanUpAtEnd,
  SMALL_PAGES,
  type TestRedis,
  TINY_NAME,
  testRedis,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const KB = 1024;
let redis: TestRedis;
let server: TestServer;
const text = words(200);
/** Compressed once, looked at by many. */
let done: DocumentJson;

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  server = await testServer(redis, cleanUp, {
    limits: { documentBytes: 200 * KB, jsonBytes: 100 * KB, perTenant: 20 },
  });
  done = await server.finished((await server.submit(text)).id);
});

const problemOf = async (response: Response) => {
  const body = await response.json();
  return { status: response.status, type: response.headers.get('content-type'), ...body };
};
const query = `model=${TINY_NAME}&render=${encodeURIComponent(JSON.stringify(SMALL_PAGES))}`;

describe('a document handed in', () => {
  it('as JSON is compressed in the background', async () => {
    expect(done).toMatchObject({
      object: 'document',
      status: 'completed',
      stage: null,
      error: null,
      bytes: text.length,
      characters: text.length,
      model: TINY_NAME,
      media_type: 'text/plain',
      priority: 'normal',
    });
    expect(done.progress.pages).toBeGreaterThan(2);
  });

  it('as bytes, and as a form, is the same document', async () => {
    const raw = await server.fetch(`/v1/documents?${query}&filename=raw.md`, {
      method: 'POST',
      body: text,
      headers: { 'content-type': 'text/plain' },
    });
    expect(raw.status).toBe(202);
    const form = new FormData();
    form.set('model', TINY_NAME);
    form.set('file', new File([text], '../../etc/pass\nwd.txt', { type: 'text/plain' }));
    form.set('render', JSON.stringify(SMALL_PAGES));
    form.set('keep', '0.5');
    const sent = await server.fetch('/v1/documents', { method: 'POST', body: form });
    expect(sent.status).toBe(202);
    const [a, b] = [(await raw.json()) as DocumentJson, (await sent.json()) as DocumentJson];
    expect(sent.headers.get('location')).toBe(`/v1/documents/${b.id}`);
    expect(a).toMatchObject({ filename: 'raw.md', media_type: 'text/markdown' });
    expect(b).toMatchObject({ settings: { keep: 0.5 } });
    expect(b.filename).not.toMatch(/[/\n]/);
    for (const { id } of [a, b])
      expect(await server.finished(id)).toMatchObject({ status: 'completed', bytes: text.length });
    const report = await (await server.fetch(`/v1/documents/${b.id}/report`)).json();
    expect(report.contextTokens / report.visualTokens).toBeCloseTo(0.5, 1);
  });

  it('in another format is read as what it says, and refused as what it is not', async () => {
    const send = async (type: string, body: string) => {
      const init = { method: 'POST', body, headers: { 'content-type': type } };
      const response = await server.fetch(`/v1/documents?${query}`, init);
      return server.finished(((await response.json()) as DocumentJson).id);
    };
    const page = await send('text/html; charset=utf-8', '<p>The <b>gate</b></p><script>x</script>');
    expect(page).toMatchObject({ status: 'completed', media_type: 'text/html' });
    expect(await (await server.fetch(`/v1/documents/${page.id}/text`)).text()).toBe('The gate');
    expect(await send('application/pdf', 'no PDF')).toMatchObject({
      status: 'failed',
      error: { code: 'GP_INPUT_FORMAT', stage: 'extract' },
    });
  });

  it.each<[string, RequestInit & { json?: unknown }, number, string]>([
    ['no text', { json: { filename: 'x' } }, 400, 'GP_REQUEST'],
    ['an unknown field', { json: { text: 'a', colour: 'red' } }, 400, 'GP_REQUEST'],
    ['a wrong type', { json: { text: 'a', keep: '0.5' } }, 400, 'GP_REQUEST'],
    ['an unknown model', { json: { text: 'a', model: 'gpt' } }, 404, 'GP_MODEL_UNKNOWN'],
    ['a path as preset', { json: { text: 'a', render: '/etc/passwd' } }, 400, 'GP_CONFIG_VALUE'],
    [
      'a font file',
      { json: { text: 'a', render: { 'font-path': '/etc/passwd' } } },
      400,
      'GP_CONFIG_VALUE',
    ],
    ['a bad config', { json: { text: 'a', render: { dpi: -1 } } }, 400, 'GP_CONFIG_VALUE'],
    [
      'a bad plan',
      { json: { text: 'a', plan: { decoder: [{ layer: 99 }] } } },
      400,
      'GP_PRUNE_PLAN',
    ],
    ['two plans', { json: { text: 'a', keep: 0.5, plan: {} } }, 400, 'GP_REQUEST'],
    ['next to nothing', { json: { text: 'a', keep: 1e-300 } }, 400, 'GP_REQUEST'],
    [
      'a plan of next to nothing',
      {
        json: {
          text: 'a',
          plan: { encoder: { method: 'random', keepRatio: 1e-300 }, decoder: [] },
        },
      },
      400,
      'GP_PRUNE_PLAN',
    ],
    [
      'a font that is an address',
      { json: { text: 'a', render: { 'font-family': 'url(http://10.0.0.1/x)' } } },
      400,
      'GP_CONFIG_VALUE',
    ],
    ['an unknown encoding', { json: { text: 'a', encoding: 'klingon' } }, 400, 'GP_REQUEST'],
    [
      'no JSON',
      { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } },
      400,
      'GP_REQUEST',
    ],
    [
      'nothing',
      { method: 'POST', body: '', headers: { 'content-type': 'text/plain' } },
      400,
      'GP_INPUT_EMPTY',
    ],
    ['a form without a file', { method: 'POST', body: new FormData() }, 400, 'GP_REQUEST'],
    [
      'prototype pollution',
      {
        method: 'POST',
        body: '{"text":"a","__proto__":{"x":1}}',
        headers: { 'content-type': 'application/json' },
      },
      400,
      'GP_REQUEST',
    ],
  ])('with %s is refused with the reason', async (_, init, status, code) => {
    const problem = await problemOf(await server.fetch('/v1/documents', init));
    expect(problem).toMatchObject({ status, code, type: `urn:glyphpress:error:${code}` });
    expect(problem.request_id).toMatch(/^req_/);
  });

  it('that is too large is refused by what comes, not by what is announced', async () => {
    const big = 'x'.repeat(201 * KB);
    const answers = [
      await server.fetch(`/v1/documents?${query}`, {
        method: 'POST',
        body: new Blob([big]).stream(),
        headers: { 'content-type': 'text/plain' },
        duplex: 'half',
      } as RequestInit),
      await server.fetch('/v1/documents', { json: { text: big } }),
    ];
    const form = new FormData();
    form.set('file', new File([big], 'big.txt'));
    answers.push(await server.fetch('/v1/documents', { method: 'POST', body: form }));
    for (const answer of answers)
      expect(await problemOf(answer)).toMatchObject({ status: 413, code: 'GP_REQUEST_TOO_LARGE' });
    const uploads = path.join(redis.dataFolder, 'store/uploads');
    expect(existsSync(uploads) ? readdirSync(uploads) : []).toEqual([]);
  });
});

describe('an idempotency key', () => {
  const send = (key: string, content: string) =>
    server.fetch('/v1/documents', {
      json: { text: content, model: TINY_NAME, render: SMALL_PAGES },
      headers: { 'idempotency-key': key },
    });

  it('makes one document of two equal requests, and none of another one', async () => {
    const first = (await (await send('key-1', 'once')).json()) as DocumentJson;
    const again = await send('key-1', 'once');
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(((await again.json()) as DocumentJson).id).toBe(first.id);
    const other = await problemOf(await send('key-1', 'twice'));
    expect(other).toMatchObject({ status: 422, code: 'GP_IDEMPOTENCY_KEY' });
    const plain = (await (await send('key-2', 'once')).json()) as DocumentJson;
    expect(plain.id).not.toBe(first.id);
  });

  it('makes one document of requests at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => send('key-3', 'together')));
    const made = answers.filter(({ status }) => status < 300);
    const ids = await Promise.all(made.map(async (one) => ((await one.json()) as DocumentJson).id));
    expect(new Set(ids).size).toBe(1);
    for (const { status, headers } of answers.filter(({ status }) => status >= 300))
      expect([status, headers.get('retry-after')]).toEqual([409, '1']);
  });
});

describe('looking into a document', () => {
  it('shows its pages as they are', async () => {
    const page = await server.fetch(`/v1/documents/${done.id}/pages/1.png`);
    expect(page.headers.get('content-type')).toBe('image/png');
    const bytes = Buffer.from(await page.arrayBuffer());
    expect(bytes.subarray(1, 4).toString()).toBe('PNG');
    for (const [name, status] of [
      ['0.png', 404],
      ['999.png', 404],
      ['1.jpg', 404],
      ['..%2f1.png', 404],
    ])
      expect((await server.fetch(`/v1/documents/${done.id}/pages/${name}`)).status).toBe(status);
  });

  it('leads from a line to its text', async () => {
    const spans = await (await server.fetch(`/v1/documents/${done.id}/spans`)).json();
    expect(spans.characters).toBe(text.length);
    expect(spans.pages).toHaveLength(done.progress.pages!);
    const line = spans.pages[1].lines[0];
    const piece = await server.fetch(
      `/v1/documents/${done.id}/text?range=${line.start}-${line.end}`,
    );
    expect(await piece.text()).toBe(text.slice(line.start, line.end));
    expect(piece.headers.get('x-text-range')).toBe(`${line.start}-${line.end}/${text.length}`);
    const one = await (await server.fetch(`/v1/documents/${done.id}/spans?page=2`)).json();
    expect(one.pages).toEqual([spans.pages[1]]);
    for (const [path, status, code] of [
      ['spans?page=0', 404, 'GP_ROUTE'],
      ['spans?page=999', 404, 'GP_ROUTE'],
      ['text?range=9-3', 400, 'GP_REQUEST'],
    ] as const) {
      const response = await server.fetch(`/v1/documents/${done.id}/${path}`);
      expect([response.status, (await response.json()).code]).toEqual([status, code]);
    }
    expect(await (await server.fetch(`/v1/documents/${done.id}/text`)).text()).toBe(text);
  });

  it('shows the figures of its report', async () => {
    const report = await (await server.fetch(`/v1/documents/${done.id}/report`)).json();
    expect(done.compression).toMatchObject({
      text_tokens: report.textTokens,
      tokenizer: report.tokenizer,
      visual_tokens: report.visualTokens,
      context_tokens: report.contextTokens,
      kv_bytes: report.kvBytes,
    });
    const { compression } = done as unknown as { compression: Record<string, number> };
    expect(compression.stacked_ratio).toBeCloseTo(report.textTokens / report.contextTokens, 6);
  });

  it('shows which cells each stage of pruning left', async () => {
    const plan = {
      encoder: { method: 'norm', keepRatio: 0.6 },
      decoder: [
        { layer: 1, keepRatio: 0.5, method: 'v2drop' },
        { layer: 3, keepRatio: 0.4, method: 'v2drop', scope: 'page', minPerPage: 1 },
      ],
    };
    const { id } = await server.submit(text, { plan });
    const pruned = await server.finished(id);
    const report = await (await server.fetch(`/v1/documents/${id}/report`)).json();
    const cells = await (await server.fetch(`/v1/documents/${id}/cells`)).json();
    expect(cells.stages).toEqual([
      { at: 'encoder', layer: null },
      { at: 'decoder', layer: 1 },
      { at: 'decoder', layer: 3 },
    ]);
    expect(cells.pages).toHaveLength(pruned.progress.pages!);
    const left = (stages: number) =>
      cells.pages
        .flatMap(({ survived }: { survived: number[] }) => survived)
        .filter((survived: number) => survived >= stages).length;
    expect([left(0), left(1)]).toEqual([report.visualTokens, report.encodedTokens]);
    expect([left(1), left(2), left(2), left(3)]).toEqual(report.layerTokens);
    const second = await (await server.fetch(`/v1/documents/${id}/cells?page=2`)).json();
    expect(second.pages).toEqual([cells.pages[1]]);
    expect(second.pages[0].survived).toHaveLength(second.pages[0].rows * second.pages[0].cols);
    expect((await server.fetch(`/v1/documents/${id}/cells?page=99`)).status).toBe(404);

    const whole = await (await server.fetch(`/v1/documents/${done.id}/cells?page=1`)).json();
    expect(whole.stages).toEqual([]);
    expect(new Set(whole.pages[0].survived)).toEqual(new Set([0]));
  });

  it('says so where a context was stored without its cells', async () => {
    const { id } = await server.submit(`${text} An older one.`);
    await server.finished(id);
    const [folder] = readdirSync(redis.dataFolder, { recursive: true, encoding: 'utf8' })
      .filter((name) => path.basename(name) === CELLS_FILE)
      .map((name) => path.join(redis.dataFolder, path.dirname(name)))
      .filter((name) => readFileSync(path.join(name, 'source.txt'), 'utf8').endsWith('older one.'));
    const manifest = (await readManifest<unknown>(folder!, CONTEXT_FORM))!;
    const { [CELLS_FILE]: _, ...files } = manifest.files;
    writeFileSync(path.join(folder!, MANIFEST_FILE), manifestText({ ...manifest, files }));
    const answer = await server.fetch(`/v1/documents/${id}/cells`);
    expect(await problemOf(answer)).toMatchObject({ status: 422, code: 'GP_DOCUMENT_STATE' });
  });

  it('tells its events again from any of them, and then that there are no more', async () => {
    const all = await (await server.fetch(`/v1/documents/${done.id}/events`)).text();
    const ids = [...all.matchAll(/^id: (.+)$/gm)].map(([, id]) => id!);
    const types = [...all.matchAll(/^event: (.+)$/gm)].map(([, type]) => type!);
    expect([types[0], types.at(-1)]).toEqual(['queued', 'completed']);
    const from = (id: string) =>
      server.fetch(`/v1/documents/${done.id}/events`, { headers: { 'last-event-id': id } });
    const rest = await (await from(ids.at(-3)!)).text();
    expect([...rest.matchAll(/^id: (.+)$/gm)].map(([, id]) => id)).toEqual(ids.slice(-2));
    expect((await from(ids.at(-1)!)).status).toBe(204);
    expect((await from('nonsense')).status).toBe(400);
  });

  it('lists documents, newest first, page by page', async () => {
    const first = await (await server.fetch('/v1/documents?limit=2')).json();
    expect(first).toMatchObject({ object: 'list', has_more: true });
    const seen: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await (
        await server.fetch(`/v1/documents?limit=2${after ? `&after=${after}` : ''}`)
      ).json();
      seen.push(...page.data.map(({ id }: DocumentJson) => id));
      if (!page.has_more) break;
      after = page.data.at(-1).id;
    }
    expect(seen.slice(0, 2)).toEqual(first.data.map(({ id }: DocumentJson) => id));
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toContain(done.id);
  });

  it('finds documents by a part of their name or id', async () => {
    const named: string[] = [];
    for (const filename of ['Harbour 1.md', 'other.md', 'the HARBOUR 2.md'])
      named.push((await server.submit('text', { filename })).id);
    const found = async (name: string, more = '') => {
      const response = await server.fetch(`/v1/documents?name=${encodeURIComponent(name)}${more}`);
      const { data, has_more } = await response.json();
      return { ids: data.map(({ id }: DocumentJson) => id), more: has_more };
    };
    expect(await found('harbour')).toEqual({ ids: [named[2], named[0]], more: false });
    expect(await found('harbour', '&limit=1')).toEqual({ ids: [named[2]], more: true });
    expect(await found('harbour', `&limit=1&after=${named[2]}`)).toEqual({
      ids: [named[0]],
      more: false,
    });
    expect((await found(named[1]!.slice(4))).ids).toEqual([named[1]]);
    expect((await found('no such name')).ids).toEqual([]);
  });
});

describe('ending a document', () => {
  it('by cancel keeps the record, by DELETE nothing', async () => {
    const document = await server.submit(words(4_000, 3));
    const cancelled = await server.fetch(`/v1/documents/${document.id}/cancel`, { method: 'POST' });
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled' });
    expect(await server.finished(document.id)).toMatchObject({ status: 'cancelled', stage: null });
    const report = await problemOf(await server.fetch(`/v1/documents/${document.id}/report`));
    expect(report).toMatchObject({ status: 422, code: 'GP_DOCUMENT_STATE' });
    const gone = await server.fetch(`/v1/documents/${document.id}`, { method: 'DELETE' });
    expect(gone.status).toBe(204);
    for (const rest of ['', '/report', '/events', '/text', '/spans', '/cells', '/pages/1.png'])
      expect((await server.fetch(`/v1/documents/${document.id}${rest}`)).status).toBe(404);
  });

  it('that is finished already by cancel is refused', async () => {
    const late = await server.fetch(`/v1/documents/${done.id}/cancel`, { method: 'POST' });
    expect(await problemOf(late)).toMatchObject({ status: 422, code: 'GP_DOCUMENT_STATE' });
  });
});

describe('a service without keys', () => {
  const raw = (headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      const { hostname, port } = new URL(server.url);
      http
        .get({ hostname, port, path: '/v1/models', headers }, (response) => {
          response.resume();
          resolve(response.statusCode!);
        })
        .on('error', reject);
    });

  it('keeps out pages of other sites, by name and by origin', async () => {
    expect(await raw({})).toBe(200);
    expect(await raw({ host: 'localhost:1' })).toBe(200);
    expect(await raw({ host: 'evil.example' })).toBe(403);
    expect(await raw({ origin: 'https://evil.example' })).toBe(403);
    expect(await raw({ origin: 'http://localhost:3000' })).toBe(200);
    expect(await raw({ origin: 'null' })).toBe(403);
  });
});

describe('too much work', () => {
  it('is refused with the time to come back', async () => {
    const full = await testServer(redis, cleanUp, { limits: { perTenant: 0 } }, null);
    const answer = await full.fetch('/v1/documents', { json: { text: 'one more' } });
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(await problemOf(answer)).toMatchObject({ status: 429, code: 'GP_QUEUE_FULL' });
    const all = await testServer(redis, cleanUp, { limits: { total: 0 } }, null);
    const busy = await all.fetch('/v1/documents', { json: { text: 'one more' } });
    expect(await problemOf(busy)).toMatchObject({ status: 503, code: 'GP_QUEUE_FULL' });
  });
});
