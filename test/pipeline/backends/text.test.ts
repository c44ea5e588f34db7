import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TextBackend } from '../../../src/pipeline/backends/text.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { loadRenderConfig } from '../../../src/render/index.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { glyphpress } from '../../support/cli.js';
import { ROOT } from '../../support/repository.js';

const LLAMA = path.join(ROOT, 'test/fixtures/vlm/llama/model');
const TEXT = 'The keeper writes down which boats lie there.\nOne has no name.\n';
const QUESTION = 'Which boat?';
const scratch = mkdtempSync(path.join(tmpdir(), 'glyphpress-text-'));
const file = path.join(scratch, 'boats.txt');

let model: VisionLanguageModel;
beforeAll(async () => {
  writeFileSync(file, TEXT);
  model = await VisionLanguageModel.open(LLAMA, { threads: 1 });
});
afterAll(async () => {
  await model.close();
  rmSync(scratch, { recursive: true, force: true });
});

const document = decodeDocument(Buffer.from(TEXT), 'boats.txt');
const settings = { renderConfig: loadRenderConfig('default') };

describe('a document read as text', () => {
  it('is answered over its own words, which stand before the question', async () => {
    const opened = await new TextBackend(model).open(document, settings);
    const { answer, usage } = await opened.ask(QUESTION, { maxNewTokens: 8, stopLoops: false });
    const context = await model.prefill([], [], { textAfterImages: `${TEXT.trimEnd()}\n\n` });
    let expected = '';
    const events = model.answer(context, QUESTION, { maxNewTokens: 8, stopLoops: false });
    for await (const { text } of events) expected += text;
    expect(answer).toBe(expected.trim());
    expect(usage.promptTokens).toBeGreaterThan(model.countTokens(TEXT));

    const other = decodeDocument(Buffer.from('Nothing of the kind.'), 'other.txt');
    const elsewhere = await new TextBackend(model).open(other, settings);
    const second = await elsewhere.ask(QUESTION, { maxNewTokens: 8, stopLoops: false });
    expect(second.usage.promptTokens).toBeLessThan(usage.promptTokens);
    await opened.close();
    await elsewhere.close();
  });

  it('is reported as text: no pages, every ratio one', async () => {
    const opened = await new TextBackend(model).open(document, settings);
    expect(opened.report).toMatchObject({
      pages: 0,
      visualTokens: 0,
      renderConfigId: 'text',
      renderRatio: 1,
      stackedRatio: 1,
      textTokens: opened.report.contextTokens,
      characters: TEXT.length,
    });
    expect(opened.report.kvBytes).toBeGreaterThan(opened.report.textKvBytes!);
    await opened.close();
  });

  it('takes no settings of pages', async () => {
    const backend = new TextBackend(model);
    const plan = { decoder: [{ layer: 1, keepRatio: 0.5, method: 'v2drop' as const }] };
    for (const page of [{ plan }, { sidecar: 50 }, { questionFirst: QUESTION }]) {
      await expect(backend.open(document, { ...settings, ...page })).rejects.toMatchObject({
        code: 'GP_USAGE',
        message: expect.stringContaining('no visual tokens'),
      });
    }
  });

  it('is what ask --as text does, and what a text model asks for without it', async () => {
    const env = { GLYPHPRESS_CACHE: path.join(scratch, 'cache') };
    const args = ['ask', file, QUESTION, '--model', LLAMA, '--max-tokens', '4', '--json'];
    const asked = await glyphpress([...args, '--as', 'text'], { env });
    expect(asked.code).toBe(0);
    const { answer, report } = JSON.parse(asked.stdout);
    expect(answer).toEqual(expect.any(String));
    expect(report.renderConfigId).toBe('text');
    const pages = await glyphpress(args, { env });
    expect(pages.code).not.toBe(0);
    expect(pages.stderr + pages.stdout).toContain('--as text');
  });
});
