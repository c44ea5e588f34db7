import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReadingSettings } from '../../../src/pipeline/backend.js';
import { LocalBackend } from '../../../src/pipeline/backends/local.js';
import { ExpandingBackend } from '../../../src/pipeline/expanding/expanding-backend.js';
import { withPassages } from '../../../src/pipeline/expanding/passages-prompt.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { sharedFolder } from '../../support/folders.js';
import { TINY_MODEL } from '../../support/models.js';
import { smallConfig } from '../../support/rendering.js';

const TEXT = [
  'The north gate is oak.',
  'The pump cost 14,250 kroner.',
  'Ferries leave at nine.',
].join('\n\n');
const PUMP = 'The pump cost 14,250 kroner.';
const document = decodeDocument(Buffer.from(TEXT), 'ledger.txt');
const settings: ReadingSettings = { renderConfig: smallConfig() };
const countTokens = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;

let model: VisionLanguageModel;
beforeAll(async () => {
  model = await VisionLanguageModel.open(TINY_MODEL, {
    cacheDir: path.join(sharedFolder(), 'cache'),
    threads: 1,
  });
});
afterAll(() => model?.close());

const expanding = (budget: number) =>
  new ExpandingBackend(new LocalBackend(model), { method: 'lexical', budget, countTokens });

describe('a backend that expands', () => {
  it('asks with the passages that the question is about, and says what they cost', async () => {
    const opened = await expanding(6).open(document, settings);
    const plain = await new LocalBackend(model).open(document, settings);
    try {
      const answer = await opened.ask('What did the pump cost?', { maxNewTokens: 3 });
      const start = TEXT.indexOf(PUMP);
      const { textTokens, contextTokens } = opened.report;
      expect(answer.expansion).toEqual({
        passages: [{ start, end: start + PUMP.length }],
        tokens: 5,
        stackedRatio: textTokens / (contextTokens + 5),
      });
      const said = await plain.ask(withPassages('What did the pump cost?', PUMP), {
        maxNewTokens: 3,
      });
      expect(answer.answer).toBe(said.answer);
      expect(answer.usage).toEqual(said.usage);
    } finally {
      await opened.close();
      await plain.close();
    }
  });

  it('asks as it is where no word of the question stands in the text', async () => {
    const opened = await expanding(50).open(document, settings);
    const plain = await new LocalBackend(model).open(document, settings);
    try {
      const { expansion, usage } = await opened.ask('Zeppelin?', { maxNewTokens: 1 });
      expect(expansion).toMatchObject({ passages: [], tokens: 0 });
      expect(usage).toEqual((await plain.ask('Zeppelin?', { maxNewTokens: 1 })).usage);
    } finally {
      await opened.close();
      await plain.close();
    }
  });

  it('is another backend in keys, for another budget too', () => {
    expect(expanding(5).key).not.toEqual(new LocalBackend(model).key);
    expect(expanding(5).key).not.toEqual(expanding(7).key);
  });

  it('refuses pages that are read with one question in mind', async () => {
    const first = { ...settings, questionFirst: 'Which gate?' };
    await expect(expanding(5).open(document, first)).rejects.toMatchObject({ code: 'GP_USAGE' });
  });
});
