import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TextBackend } from '../../../src/pipeline/backends/text.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { loadRenderConfig } from '../../../src/render/index.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { ROOT } from '../../support/repository.js';

const LLAMA = path.join(ROOT, 'test/fixtures/vlm/llama/model');
const WHOLE = 'The keeper writes down which boats lie there.\nOne has no name.\n';
const PASSAGES = 'One has no name.';
const ASK = { maxNewTokens: 8, stopLoops: false };
const scratch = mkdtempSync(path.join(tmpdir(), 'glyphpress-passages-'));

function folder(name: string, passages: string): string {
  const dir = path.join(scratch, name);
  cpSync(LLAMA, dir, { recursive: true });
  const file = path.join(dir, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, glyphpress: { passages } }));
  return dir;
}

let alone: VisionLanguageModel;
let behind: VisionLanguageModel;
beforeAll(async () => {
  alone = await VisionLanguageModel.open(folder('alone', 'alone'), { threads: 1 });
  behind = await VisionLanguageModel.open(LLAMA, { threads: 1 });
});
afterAll(async () => {
  await alone.close();
  await behind.close();
  rmSync(scratch, { recursive: true, force: true });
});

const settings = { renderConfig: loadRenderConfig('default') };
const open = (model: VisionLanguageModel, text: string) =>
  new TextBackend(model).open(decodeDocument(Buffer.from(text), 'boats.txt'), settings);

describe('a model that reads passages alone', () => {
  it('answers over them as if they were the document', async () => {
    const document = await open(alone, WHOLE);
    const asked = await document.ask('Which boat?', { ...ASK, passages: PASSAGES });
    const passages = await open(alone, PASSAGES);
    const expected = await passages.ask('Which boat?', ASK);
    expect(asked).toMatchObject({ answer: expected.answer, usage: expected.usage });
    const other = await document.ask('Which boat?', ASK);
    expect(other.usage.promptTokens).toBeGreaterThan(asked.usage.promptTokens);
    await document.close();
    await passages.close();
  });

  it('is one that says so: others read them behind what they have read', async () => {
    const document = await open(behind, WHOLE);
    const asked = await document.ask('Which boat?', { ...ASK, passages: PASSAGES });
    const without = await document.ask('Which boat?', ASK);
    expect(asked.usage.promptTokens).toBeGreaterThan(without.usage.promptTokens);
    await document.close();
  });

  it('is refused where its folder names another way', async () => {
    await expect(
      VisionLanguageModel.open(folder('odd', 'aside'), { threads: 1 }),
    ).rejects.toMatchObject({ code: 'GP_CHECKPOINT' });
  });
});
