import { readdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { FileDataCutter } from '../../src/server/file-data-cutter.js';
import { type TestServer, testServer } from '../support/http.js';
import { words } from '../support/rendering.js';
import { cleanUpAtEnd, type TestRedis, TINY_NAME, testRedis } from '../support/service.js';

/** What is left, and the data, of a text that comes in pieces. */
function cut(chunks: readonly Buffer[]) {
  const cutter = new FileDataCutter();
  let json = '';
  const files: string[] = [];
  let open: string | null = null;
  for (const chunk of chunks) {
    for (const piece of cutter.push(chunk)) {
      if ('json' in piece) json += piece.json.toString('latin1');
      else if ('begin' in piece) open = '';
      else if ('data' in piece) open += piece.data.toString('latin1');
      else {
        files.push(open!);
        open = null;
      }
    }
  }
  return { json: Buffer.from(json, 'latin1').toString('utf8'), files, open };
}

const inPieces = (text: string, size: number) => {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
};

describe('file_data', () => {
  it.each([
    ['{"file_data":"QUJD"}', '{"file_data":""}', ['QUJD']],
    ['{ "file_data" :\n "a\\/b=" , "x": 1}', '{ "file_data" :\n "" , "x": 1}', ['a/b=']],
    ['{"file_data":null}', '{"file_data":null}', []],
    ['{"file_data":""}', '{"file_data":""}', ['']],
    ['{"text":"\\"file_data\\":\\"no\\""}', '{"text":"\\"file_data\\":\\"no\\""}', []],
    ['["file_data","QUJD"]', '["file_data","QUJD"]', []],
    ['{"a":"file_data","b":"QUJD"}', '{"a":"file_data","b":"QUJD"}', []],
    ['{"my_file_data":"QUJD"}', '{"my_file_data":"QUJD"}', []],
    ['{"file_data":"a\\u002bb"}', '{"file_data":""}', ['a\\u002bb']],
    ['{"file_data":"open', '{"file_data":"', []],
  ])('of %s leaves %s, in pieces of any size', (text, left, files) => {
    for (const size of [1, 2, 3, 5, 1_000]) {
      const result = cut(inPieces(text, size));
      expect([result.json, result.files]).toEqual([left, files]);
    }
  });

  it('is cut out of any JSON, and nothing else is', () => {
    const emptied = (value: unknown, found: string[]): unknown => {
      if (Array.isArray(value)) return value.map((one) => emptied(one, found));
      if (value === null || typeof value !== 'object') return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, one]) => {
          if (key !== 'file_data' || typeof one !== 'string') return [key, emptied(one, found)];
          found.push(one);
          return [key, ''];
        }),
      );
    };
    const base64 = fc.base64String();
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.constantFrom('file_data', '"file_data":"x"', '\\', null, 1.5, true),
        fc.array(tie('node'), { maxLength: 4 }),
        fc.dictionary(fc.constantFrom('file_data2', 'a', '"', 'ü'), tie('node'), { maxKeys: 4 }),
        fc.record({ file_data: fc.oneof(base64, fc.constant(null), tie('node')), b: tie('node') }),
      ),
    })).node;
    fc.assert(
      fc.property(value, fc.integer({ min: 1, max: 40 }), fc.boolean(), (json, size, isPretty) => {
        const found: string[] = [];
        const wanted = emptied(json, found);
        // Strings that are no base64 stand in JSON with escapes, which stay as they are.
        fc.pre(found.every((one) => /^[ -!#-[\]-~]*$/.test(one)));
        const result = cut(inPieces(JSON.stringify(json, null, isPretty ? 2 : 0), size));
        expect(JSON.parse(result.json)).toEqual(JSON.parse(JSON.stringify(wanted)));
        expect(result.files).toEqual(found);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a file inside a question', () => {
  const cleanUp = cleanUpAtEnd();
  const MB = 1024 ** 2;
  let redis: TestRedis;
  let server: TestServer;
  let client: OpenAI;

  beforeAll(async () => {
    redis = await testRedis(cleanUp);
    // The file is larger than all the JSON that is taken.
    const limits = { documentBytes: MB, jsonBytes: 20_000 };
    server = await testServer(redis, cleanUp, { limits });
    client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 });
  });

  const ask = (file: object, question = 'Which gate is shut?') =>
    client.chat.completions.create({
      model: TINY_NAME,
      max_tokens: 2,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'file', file },
            { type: 'text', text: question },
          ],
        },
      ],
      glyphpress: { wait_seconds: 60 },
    } as OpenAI.ChatCompletionCreateParamsNonStreaming);
  const pdf = (text: string) => {
    const stream = `BT /F1 12 Tf 40 100 Td (${text}) Tj ET`;
    const objects = [
      '<</Type/Catalog/Pages 2 0 R>>',
      '<</Type/Pages/Kids[3 0 R]/Count 1>>',
      '<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>',
      `<</Length ${stream.length}>>stream\n${stream}\nendstream`,
      '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
    ];
    let body = '%PDF-1.4\n';
    const offsets = objects.map((object, n) => {
      const at = body.length;
      body += `${n + 1} 0 obj${object}endobj\n`;
      return at;
    });
    const table = offsets.map((at) => `${String(at).padStart(10, '0')} 00000 n \n`).join('');
    return Buffer.from(
      `${body}xref\n0 6\n0000000000 65535 f \n${table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${body.length}\n%%EOF`,
    );
  };
  const documents = async () =>
    (await (await server.fetch('/v1/documents')).json()).data as {
      id: string;
      bytes: number;
      media_type: string;
    }[];

  it('may be larger than the JSON around it', async () => {
    // White space counts as bytes and makes no pages.
    const text = Buffer.from(`${words(30)}${' '.repeat(300_000)}`);
    const { choices } = await ask({ file_data: text.toString('base64'), filename: 'a.txt' });
    expect(choices[0]!.message.role).toBe('assistant');
    expect((await documents())[0]!.bytes).toBe(text.length);
  });

  it('is known by its bytes where it has neither name nor type', async () => {
    await ask({ file_data: pdf('The north gate is shut').toString('base64') });
    const [first] = await documents();
    const answer = await server.fetch(`/v1/documents/${first!.id}/text`);
    expect(await answer.text()).toContain('The north gate is shut');
  });

  it('may come as a data: address', async () => {
    const data = Buffer.from('<p>The gate</p>').toString('base64');
    await ask({ file_data: `data:text/html;base64,${data}` });
    const [first] = await documents();
    expect(first!.media_type).toBe('text/html');
  });

  it('that is no base64 is refused', async () => {
    for (const file_data of ['QU?D', 'QUJDR', 'QU=D', 'data:text/plain;base64']) {
      const answer = ask({ file_data, filename: 'a.txt' });
      await expect(answer).rejects.toMatchObject({ status: 400 });
    }
  });

  it('that is too large is refused, as is too much beside it', async () => {
    const tooLarge = ask({ file_data: Buffer.alloc(MB + 1, 'a').toString('base64') });
    await expect(tooLarge).rejects.toMatchObject({ status: 413 });
    const talk = ask({ file_data: 'QUJD' }, 'a'.repeat(30_000));
    await expect(talk).rejects.toMatchObject({ status: 413 });
  });

  it('leaves nothing in the folder of uploads', async () => {
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(readdirSync(path.join(redis.dataFolder, 'store', 'uploads'))).toEqual([]);
  });
});
