import { readdirSync, rmSync } from 'node:fs';
import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalBackend } from '../../src/pipeline/backends/local.js';
import { citeDocuments } from '../../src/pipeline/citing/cite-documents.js';
import { connectRedis } from '../../src/queue/connection.js';
import { DocumentRecords } from '../../src/queue/document-records.js';
import { evidenceOf } from '../../src/service/evidence.js';
import { FolderStore } from '../../src/service/folder-store.js';
import { citedDocument, openJoint } from '../../src/service/joint-context.js';
import type { EngineAnswer } from '../../src/service/question-engine.js';
import { openWork } from '../../src/service/work.js';
import type { VisionLanguageModel } from '../../src/vlm/index.js';
import { type DocumentJson, type TestServer, testServer } from '../support/http.js';
import { words } from '../support/rendering.js';
import {
  cleanUpAtEnd,
  type TestRedis,
  TINY_NAME,
  testRedis,
  tinyModels,
} from '../support/service.js';

const cleanUp = cleanUpAtEnd();
const SECRET = 'The access code of the north gate is 7f3a-99c1.';
let redis: TestRedis;
let server: TestServer;
let client: OpenAI;
let one: DocumentJson;
let two: DocumentJson;
let pruned: DocumentJson;
let exact: DocumentJson;

beforeAll(async () => {
  redis = await testRedis(cleanUp);
  server = await testServer(redis, cleanUp);
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 });
  const texts = [words(80, 1), `${words(40, 2)}\n\n${SECRET}\n\n${words(40, 3)}`];
  const given = await Promise.all([
    server.submit(texts[0]!),
    server.submit(texts[1]!, { filename: 'gates.txt' }),
    server.submit(texts[0]!, { plan: 'balanced' }),
    server.submit(texts[1]!, { sidecar: 200 }),
  ]);
  const done = [];
  for (const { id } of given) done.push(await server.finished(id));
  [one, two, pruned, exact] = done as [DocumentJson, DocumentJson, DocumentJson, DocumentJson];
});

interface Cost {
  document_ids: string[];
  [figure: string]: unknown;
}

const ask = async (documents: DocumentJson[], more: object = {}) => {
  const answer = await client.chat.completions.create({
    model: TINY_NAME,
    max_tokens: 6,
    messages: [{ role: 'user', content: 'What is the access code of the north gate?' }],
    glyphpress: { document_ids: documents.map(({ id }) => id) },
    ...more,
  } as OpenAI.ChatCompletionCreateParamsNonStreaming);
  const usage = answer.usage as OpenAI.CompletionUsage & { glyphpress: Cost };
  return { text: answer.choices[0]!.message.content, usage, cost: usage.glyphpress };
};

describe('a question over several documents', () => {
  it('reads the pages of all of them, and says what each count is', async () => {
    const alone = [await ask([one]), await ask([two])];
    const { usage, cost } = await ask([one, two]);
    expect(cost.document_ids).toEqual([one.id, two.id]);
    for (const figure of ['pages', 'text_tokens', 'visual_tokens', 'encoded_tokens']) {
      const sum = alone.reduce((total, { cost }) => total + (cost[figure] as number), 0);
      expect([figure, cost[figure]]).toEqual([figure, sum]);
    }
    expect(cost.context_tokens).toBe(cost.visual_tokens);
    expect(cost.load_ms).toBeGreaterThan(0);
    const asText = (cost.text_tokens as number) + usage.prompt_tokens;
    expect(cost.text_prompt_tokens).toBe(asText - usage.prompt_tokens_details!.cached_tokens!);
  });

  it('makes their context once, and streams the same answer', async () => {
    const [first, again] = [await ask([two, one]), await ask([two, one])];
    expect([again.text, again.cost.load_ms]).toEqual([first.text, 0]);
    const stream = await client.chat.completions.create({
      model: TINY_NAME,
      max_tokens: 6,
      messages: [
        {
          role: 'user',
          content: [
            ...[two, one].map(({ id }) => ({ type: 'file' as const, file: { file_id: id } })),
            { type: 'text', text: 'What is the access code of the north gate?' },
          ],
        },
      ],
      stream: true,
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text.trim()).toBe(first.text);
  });

  it('needs documents that were pruned alike', async () => {
    const error = await ask([one, pruned]).catch((error) => error);
    expect([error.status, error.code]).toEqual([422, 'GP_DOCUMENT_STATE']);
  });

  it('is over when one of them is deleted', async () => {
    const third = await server.finished((await server.submit(words(20, 9))).id);
    await ask([one, third]);
    await server.fetch(`/v1/documents/${third.id}`, { method: 'DELETE' });
    const error = await ask([one, third]).catch((error) => error);
    expect([error.status, error.code]).toEqual([404, 'GP_DOCUMENT_UNKNOWN']);
  });
});

describe('what stands behind it', () => {
  const open = async () => {
    const connection = await connectRedis(redis.url, 'request');
    const models = tinyModels();
    cleanUp.push(async () => {
      connection.disconnect();
      await models.close();
    });
    const records = new DocumentRecords(connection);
    const store = new FolderStore(redis.dataFolder);
    const work = async (document: DocumentJson) =>
      openWork((await records.get({ tenant: 'local', id: document.id }))!, { store, models });
    return { work, models, model: await models.open(TINY_NAME) };
  };
  const rowsOf = async (model: VisionLanguageModel, works: Parameters<typeof openJoint>[1]) => {
    const opened = await openJoint(new LocalBackend(model), works);
    const { layers, layerVisualTokens } = opened.context;
    expect(opened.report.layerTokens).toEqual(layerVisualTokens);
    await opened.close();
    return { keys: layers.map(({ keys }) => keys), layerVisualTokens };
  };

  it('is what is stored of each, and made again from the pages where that is gone', async () => {
    const { work, model } = await open();
    const works = [await work(one), await work(two)];
    const [{ place, reading }] = works as [(typeof works)[0]];
    const tokens = place.tokens(reading.tokensKey);
    expect(readdirSync(tokens)).toHaveLength(one.progress.pages!);
    const stored = await rowsOf(model, works);
    rmSync(tokens, { recursive: true });
    expect(await rowsOf(model, works)).toEqual(stored);
    expect(readdirSync(tokens)).toHaveLength(one.progress.pages!);
  });

  it('cites the document in which an answer stands', async () => {
    const { work } = await open();
    const works = [await work(one), await work(two)];
    const question = 'What is the access code of the north gate?';
    const places = await citeDocuments('7f3a-99c1', question, works.map(citedDocument));
    const answer = { found: true, citations: places } as EngineAnswer;
    const { citations } = evidenceOf(answer, [one.id, two.id], true);
    expect(citations![0]).toMatchObject({ document_id: two.id, text: '7f3a-99c1' });
    const text = await (await server.fetch(`/v1/documents/${two.id}/text`)).text();
    expect(text.slice(citations![0]!.start, citations![0]!.end)).toBe('7f3a-99c1');
  });
});

describe('the settings of a document', () => {
  it('take a plan by its name, and a sidecar', async () => {
    expect(pruned).toMatchObject({ status: 'completed', settings: { plan: 'balanced' } });
    expect(exact).toMatchObject({ status: 'completed', settings: { sidecar: 200 } });
    const report = await (await server.fetch(`/v1/documents/${exact.id}/report`)).json();
    expect(report.sidecarTokens).toBeGreaterThan(0);
    expect(report.sidecarTokens).toBeLessThanOrEqual(200);
    const { cost } = await ask([exact]);
    expect(cost.sidecar_tokens).toBe(report.sidecarTokens);
    expect(cost.context_tokens).toBeCloseTo(report.contextTokens);
    const { cost: less } = await ask([pruned]);
    expect(less.context_tokens as number).toBeLessThan(less.visual_tokens as number);
  });

  it('take both from a form and from an address', async () => {
    const form = new FormData();
    for (const [name, value] of [
      ['model', TINY_NAME],
      ['render', 'reader'],
      ['plan', 'lossless'],
      ['sidecar', '20'],
    ]) {
      form.set(name!, value!);
    }
    form.set('file', new File(['a gate'], 'a.txt'));
    const sent = await server.fetch('/v1/documents', { method: 'POST', body: form });
    expect((await sent.json()).settings).toEqual({
      render: 'reader',
      plan: 'lossless',
      sidecar: 20,
    });
    const query = `model=${TINY_NAME}&plan=lossless&sidecar=20&filename=a.txt`;
    const raw = await server.fetch(`/v1/documents?${query}`, { method: 'POST', body: 'a gate' });
    expect((await raw.json()).settings).toEqual({ plan: 'lossless', sidecar: 20 });
  });

  it.each<[string, object, string, string]>([
    ['an unknown plan', { plan: 'tiny' }, 'GP_PRUNE_PLAN', 'plan'],
    ['a sidecar below nothing', { sidecar: -1 }, 'GP_REQUEST', 'sidecar'],
    ['a sidecar that is no count', { sidecar: '20' }, 'GP_REQUEST', 'sidecar'],
    ['a plan that is a list', { plan: [] }, 'GP_REQUEST', 'plan'],
  ])('are refused by name: %s', async (_, fields, code, param) => {
    const response = await server.fetch('/v1/documents', { json: { text: 'a', ...fields } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code, details: { param } });
  });

  it('are listed', async () => {
    const plans = await (await server.fetch(`/v1/plans?model=${TINY_NAME}`)).json();
    expect(plans.data.map(({ name }: { name: string }) => name)).toContain('stacked-4x');
    for (const { keep } of plans.data) expect(keep).toBeLessThanOrEqual(1);
    const renderings = await (await server.fetch('/v1/renderings')).json();
    expect(Object.keys(renderings.presets)).toContain('reader');
    expect(renderings.keys.dpi).toMatchObject({ kind: 'number', min: 20, max: 600 });
    expect(renderings.keys).not.toHaveProperty('font-path');
    const unknown = await server.fetch('/v1/plans?model=gpt');
    expect([unknown.status, (await unknown.json()).code]).toEqual([404, 'GP_MODEL_UNKNOWN']);
  });
});
