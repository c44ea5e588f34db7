import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  CONTEXT_FORM,
  type CompressedBody,
  SIDECAR_FILE,
} from '../../../src/pipeline/artifacts/stored-context.js';
import type { ReadingSettings } from '../../../src/pipeline/backend.js';
import type { LocalDocument } from '../../../src/pipeline/backends/local-document.js';
import { OpenAiBackend } from '../../../src/pipeline/backends/openai.js';
import { ServerBackend } from '../../../src/pipeline/backends/server.js';
import { makeSidecar } from '../../../src/pipeline/exact-values/sidecar.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { countTextTokens } from '../../../src/pipeline/text-tokens.js';
import { parsePrunePlan } from '../../../src/prune/index.js';
import { readManifest } from '../../../src/store/artifact-folder.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { sharedFolder } from '../../support/folders.js';
import { openInFolder } from '../../support/local-backend.js';
import { TINY_MODEL } from '../../support/models.js';
import { smallConfig, words } from '../../support/rendering.js';

const scratch = sharedFolder();
const text = `${words(90)} The access code of the north gate is 7F2A-91. ${words(60, 2)}\n\nPaid on 2026-03-12: $1,250.00.\n`;
const document = decodeDocument(Buffer.from(text), 'note.txt');
const config = smallConfig();

let model: VisionLanguageModel;
beforeAll(async () => {
  model = await VisionLanguageModel.open(TINY_MODEL, {
    cacheDir: path.join(scratch, 'cache'),
    threads: 1,
  });
});
afterAll(() => model?.close());

const compress = (name: string, settings: Partial<ReadingSettings> = {}, of = document) =>
  openInFolder(model, path.join(scratch, name), of, { renderConfig: config, ...settings });

describe('a context with a sidecar', () => {
  it('holds its text behind the pages in every layer, and counts it', async () => {
    const without = await compress('without');
    const { report, context } = await compress('with', { sidecar: 160 });
    const sidecar = makeSidecar(text, 160, (part) => model.countTokens(part));
    expect(sidecar.kept).toBe(3);
    expect(report.sidecarTokens).toBe(sidecar.tokens);
    expect(context.promptTokens).toBe(without.context.promptTokens + sidecar.tokens);
    expect(context.nextPosition).toBe(without.context.nextPosition + sidecar.tokens);
    context.layers.forEach(({ length }, layer) => {
      expect(length).toBe(without.context.layers[layer]!.length + sidecar.tokens);
    });
    expect(report.layerTokens).toEqual(without.report.layerTokens);
    expect(report.contextTokens).toBe(without.report.contextTokens + sidecar.tokens);
    expect(report.pruneRatio).toBeCloseTo(report.visualTokens / report.contextTokens, 10);
    expect(report.kvBytes).toBeGreaterThan(without.report.kvBytes!);

    expect(readFileSync(path.join(scratch, 'with', SIDECAR_FILE), 'utf8')).toBe(sidecar.text);
    const manifest = await readManifest<CompressedBody>(path.join(scratch, 'with'), CONTEXT_FORM);
    expect(manifest!.body.sidecar).toEqual({ ...sidecar, budget: 160 });
  });

  it('reads as if the text stood before the question', async () => {
    const opened = await compress('with', { sidecar: 160 });
    const { text: sidecar } = makeSidecar(text, 160, (part) => model.countTokens(part));
    const plain = await compress('without');
    const ask = async (of: LocalDocument, question: string) =>
      (await of.ask(question, { maxNewTokens: 16 })).answer;
    const beside = await ask(opened, 'Which gate?');
    // The tiny model's template puts nothing between pages and question.
    expect(beside).toBe(await ask(plain, `${sidecar}Which gate?`));
    expect(beside).not.toBe(await ask(plain, 'Which gate?'));
  });

  it('is another context than one without, or with another budget', async () => {
    expect((await compress('with', { sidecar: 160 })).cached).toBe(true);
    const without = await compress('with');
    expect(without).toMatchObject({
      cached: false,
      rebuiltBecause: 'it was made with another sidecar',
    });
    expect(without.report.sidecarTokens).toBe(0);
    const other = await compress('with', { sidecar: 60 });
    expect(other.cached).toBe(false);
    expect(other.report.sidecarTokens).toBeLessThanOrEqual(60);
    expect((await compress('with', { sidecar: 60 })).cached).toBe(true);
  });
});

describe('plans that read pixels', () => {
  it('drop blank cells and repetitions, and the report tells of both', async () => {
    const lines = Array.from({ length: 9 }, (_, i) => `${'x'.repeat(1 + i * 3)}\n\n\n\n`);
    const sparse = decodeDocument(Buffer.from(lines.join('')), 'sparse.txt');
    const whole = await compress('whole', {}, sparse);
    expect(whole.report).toMatchObject({ repeatedTokens: null, pruneRatio: 1 });
    expect(whole.report.blankTokens).toBeGreaterThan(0);
    const plan = parsePrunePlan({ encoder: { method: 'blank', repeats: 'drop' } });
    const { report, context } = await compress('blank', { plan }, sparse);
    expect(report.blankTokens).toBe(whole.report.blankTokens);
    // A page without any ink keeps one.
    const most = report.visualTokens - report.blankTokens! + report.pages;
    expect(report.encodedTokens).toBeLessThanOrEqual(most);
    expect(report.encodedTokens).toBeLessThan(report.visualTokens);
    expect(report.repeatedTokens).toBe(0);
    // Positions are those of the whole pages.
    expect(context.nextPosition).toBe(whole.context.nextPosition);
  });

  it('recognise a page that comes twice', async () => {
    const page = 'The same short notice stands here, word for word, on every page.\n'.repeat(6);
    const twice = decodeDocument(Buffer.from(page.repeat(6)), 'twice.txt');
    const plan = parsePrunePlan({ encoder: { method: 'blank', repeats: 'drop' } });
    const { report } = await compress('twice', { plan }, twice);
    expect(report.pages).toBeGreaterThan(2);
    expect(report.repeatedTokens).toBeGreaterThan(report.visualTokens / 3);
    expect(report.encodedTokens).toBeLessThan(report.visualTokens / 2);
  });
});

it('a server gets the sidecar as a text part of its own, and the report counts it', async () => {
  // biome-ignore lint/suspicious/noExplicitAny: the body is what the test looks into
  const bodies: any[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    bodies.push(JSON.parse(body));
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ choices: [{ message: { content: '7F2A-91' }, finish_reason: 'stop' }] }),
    );
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const backend = new ServerBackend(new OpenAiBackend({ baseUrl, model: 'm' }), { browsers: 1 });
  const ask = async (sidecar = 0) => {
    const opened = await backend.open(document, { renderConfig: config, sidecar });
    await opened.ask('Which code?', { maxNewTokens: 16 });
    await opened.close();
    return opened;
  };
  const plain = await ask();
  const { report } = await ask(80);
  const [first, second] = bodies.map(({ messages }) => messages.at(-1).content);
  const expected = makeSidecar(text, 80, countTextTokens);
  expect(first.at(-1)).toEqual({ type: 'text', text: 'Which code?' });
  expect(second).toHaveLength(first.length + 1);
  expect(second.slice(-2)).toEqual([
    { type: 'text', text: expected.text },
    { type: 'text', text: 'Which code?' },
  ]);
  expect(expected.text).toContain('access code of the north gate is 7F2A-91');
  expect(report.sidecarTokens).toBe(expected.tokens);
  expect(report.contextTokens).toBe(plain.report.contextTokens + expected.tokens);
});
