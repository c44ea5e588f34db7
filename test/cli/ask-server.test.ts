import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';
import { namesIn, sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';
import { words } from '../support/rendering.js';

const KEY = 'sk-0123456789-secret';
const USAGE = { prompt_tokens: 1260, completion_tokens: 3, total_tokens: 1263 };

interface Seen {
  url: string;
  authorization: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: the body is what the tests look into
  body: any;
}

let server: Server;
let baseUrl: string;
let seen: Seen[] = [];
/** 200, or an error that the server answers. */
let status = 200;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    seen.push({ url: request.url!, authorization: request.headers.authorization, body });
    if (status !== 200) {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ error: { message: `no key ${request.headers.authorization}` } }),
      );
    } else if (body.stream) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const content of ['The north', ' gate', '.']) {
        response.write(
          `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`,
        );
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
      const last = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };
      response.write(`data: ${JSON.stringify(last)}\n\n`);
      response.write(`data: ${JSON.stringify({ choices: [], usage: USAGE })}\n\n`);
      response.end('data: [DONE]\n\n');
    } else {
      const message = { role: 'assistant', content: 'The north gate.' };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'stop' }], usage: USAGE }),
      );
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server?.closeAllConnections();
  server?.close();
});
beforeEach(() => {
  seen = [];
  status = 200;
});

const folder = sharedFolder();
const file = path.join(folder, 'book.txt');
writeFileSync(file, words(300));
const cache = path.join(folder, 'cache');
const SMALL = ['--set', 'page-size=196,112'];

const ask = (args: string[], env: Record<string, string> = {}) =>
  glyphpress(
    [
      'ask',
      file,
      'Which gate?',
      '--backend',
      'openai',
      '--base-url',
      baseUrl,
      '--model',
      'glyph',
      ...args,
    ],
    { env: { GLYPHPRESS_CACHE: cache, GLYPHPRESS_API_KEY: KEY, ...env } },
  );

describe('glyphpress ask behind a server', () => {
  it('sends pages and question, and reads answer and usage back', async () => {
    const { code, stdout, stderr } = await ask([...SMALL, '--json', '--max-tokens', '9']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { answer, usage, cached, report, timings, citations, ...rest } = JSON.parse(stdout);
    // A server does not say how sure it is; where the answer stands can be found all the same.
    expect(rest).toMatchObject({ found: true, confidence: null, calibrated: false });
    const text = readFileSync(file, 'utf8');
    expect(citations.length).toBeGreaterThan(0);
    for (const { start, end, text: cited, page, rect } of citations) {
      expect(text.slice(start, end)).toBe(cited);
      expect(cited).toMatch(/north/);
      expect(page).toBeGreaterThanOrEqual(1);
      expect(page).toBeLessThanOrEqual(report.pages);
      expect(rect.x + rect.width).toBeLessThanOrEqual(196);
      expect(rect.y + rect.height).toBeLessThanOrEqual(112);
    }
    expect({ answer, usage, cached }).toEqual({
      answer: 'The north gate.',
      usage: { promptTokens: 1260, completionTokens: 3 },
      cached: false,
    });
    expect(Object.keys(timings)).toEqual(['loadMs', 'firstTokenMs', 'totalMs']);

    const [{ url, authorization, body }] = seen as [Seen];
    expect(url).toBe('/v1/chat/completions');
    expect(authorization).toBe(`Bearer ${KEY}`);
    expect(body).toMatchObject({ model: 'glyph', max_tokens: 9, stream: false });
    const parts = body.messages.at(-1).content;
    const images = parts.filter(({ type }: { type: string }) => type === 'image_url');
    expect(images).toHaveLength(report.pages);
    expect(report.pages).toBeGreaterThan(2);
    let cells = 0;
    for (const { image_url } of images) {
      const [head, data] = image_url.url.split(',');
      expect(head).toBe('data:image/png;base64');
      const png = Buffer.from(data, 'base64');
      const { info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
      expect((await sharp(png).metadata()).format).toBe('png');
      cells += Math.round(info.width / 28) * Math.round(info.height / 28);
    }
    expect(parts.at(-1)).toEqual({ type: 'text', text: 'Which gate?' });

    // Nothing is dropped behind a server, and its cache is not counted.
    expect(report).toMatchObject({
      model: 'glyph',
      prunePlanId: 'none',
      visualTokens: cells,
      contextTokens: cells,
      pruneRatio: 1,
      kvBytes: null,
      textKvBytes: null,
    });
    expect(report.stackedRatio).toBe(report.renderRatio);
  });

  it('sends the passages that the question is about before it with --expand', async () => {
    const { code, stdout } = await ask([...SMALL, '--json', '--expand', 'lexical']);
    expect(code).toBe(0);
    const { expanded, report } = JSON.parse(stdout);
    const text = readFileSync(file, 'utf8');
    const read = expanded.map(({ start, end }: { start: number; end: number }) =>
      text.slice(start, end).trim(),
    );
    expect(read.join(' ')).toMatch(/gate/);
    const asked = seen[0]!.body.messages.at(-1).content.at(-1).text as string;
    for (const passage of read) expect(asked).toContain(passage);
    expect(asked.endsWith('\n\nWhich gate?')).toBe(true);
    expect(report.expandedTokens).toBeGreaterThan(0);
    expect(report.expandedTokens).toBeLessThanOrEqual(300);
    expect(report.contextTokens).toBe(report.visualTokens + report.expandedTokens);
  });

  it('uses the pages again without a browser', async () => {
    await ask([...SMALL]);
    const first = seen[0]!.body;
    const { code, stdout } = await ask([...SMALL, '--json'], { GLYPHPRESS_CHROME: '/nonexistent' });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).cached).toBe(true);
    expect(seen[1]!.body.messages).toEqual(first.messages);
  });

  it('draws damaged pages again', async () => {
    await ask([...SMALL]);
    const stored = path.join(cache, 'pages', namesIn(path.join(cache, 'pages'))[0]!);
    writeFileSync(path.join(stored, 'page-0002.png'), 'no image');
    const { code, stdout } = await ask([...SMALL, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).cached).toBe(false);
    expect(seen[1]!.body.messages).toEqual(seen[0]!.body.messages);
  });

  it('prints the answer as it grows', async () => {
    const { code, stdout, stderr, chunks } = await ask([...SMALL, '--stream']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'The north gate.\n' });
    expect(stderr).toMatch(/^page \d+, characters [\d,]+–[\d,]+(; page [^;]+)*\n$/);
    expect(chunks.length).toBeGreaterThan(2);
    expect(seen[0]!.body.stream).toBe(true);
    const both = await ask([...SMALL, '--stream', '--json']);
    expect(both.stderr).toBe('The north gate.\n');
    expect(JSON.parse(both.stdout)).toMatchObject({
      answer: 'The north gate.',
      usage: { promptTokens: 1260, completionTokens: 3 },
    });
  });

  it('takes the key of the other variable, and goes without one', async () => {
    await ask(SMALL, { GLYPHPRESS_API_KEY: '', OPENAI_API_KEY: 'sk-other' });
    await ask(SMALL, { GLYPHPRESS_API_KEY: '' });
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer sk-other', undefined]);
  });

  it('tells what the server refused, and never the key', async () => {
    status = 401;
    const { code, stdout, stderr } = await ask([...SMALL, '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout).error).toMatchObject({
      code: 'GP_BACKEND_REQUEST',
      retryable: false,
    });
    expect(stderr).toMatch(/^error GP_BACKEND_REQUEST: .*401/);
    expect(stdout + stderr).not.toContain(KEY);
  });

  it('asks about a compressed folder with its own config, or with another', async () => {
    const out = path.join(folder, 'book.gp');
    const env = { GLYPHPRESS_CACHE: cache };
    const made = await glyphpress(
      ['compress', file, '-o', out, '--model', TINY_MODEL, '--json', ...SMALL],
      { env },
    );
    const { renderConfigId } = JSON.parse(made.stdout);
    const remote = ['--backend', 'openai', '--base-url', baseUrl, '--model', 'glyph', '--json'];
    const own = await glyphpress(['ask', out, 'Which gate?', ...remote], { env });
    expect(JSON.parse(own.stdout).report.renderConfigId).toBe(renderConfigId);
    const other = await glyphpress(
      ['ask', out, 'Which gate?', ...remote, '--set', 'page-size=392,112'],
      { env },
    );
    expect(JSON.parse(other.stdout).report.renderConfigId).not.toBe(renderConfigId);
  });
});
