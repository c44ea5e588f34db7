/** The model that ships, as it lies in models/reader. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { modelCard } from '../../scripts/model-card.mjs';
import { TextBackend } from '../../src/pipeline/backends/text.js';
import { readDocument } from '../../src/pipeline/read-document.js';
import { loadRenderConfig } from '../../src/render/index.js';
import { openCheckpoint } from '../../src/vlm/checkpoint.js';
import { inspectModel, VisionLanguageModel } from '../../src/vlm/index.js';
import { SHIPPED_READER } from '../support/models.js';
import { ROOT } from '../support/repository.js';
import { templateOf } from './prompts.js';

const files = readdirSync(SHIPPED_READER);

describe('the reader that ships', () => {
  it('is small enough for a repository: files below 50 MB, 110 MB together', () => {
    const sizes = files.map((name) => statSync(path.join(SHIPPED_READER, name)).size);
    expect(Math.max(...sizes)).toBeLessThan(50e6);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(110e6);
  });

  it('is run as it is stored, each weight of its decoder as it was trained', () => {
    expect(inspectModel(SHIPPED_READER)).toMatchObject({
      ...{ family: 'lighton_ocr', dtype: 'int4', trained: true, layers: 30 },
      ...{ tokenizerVocabulary: 49_152, maxPositions: 8_192 },
    });
    const checkpoint = openCheckpoint(SHIPPED_READER);
    onTestFinished(() => checkpoint.close());
    const offsets = [...checkpoint.weights.values()].flatMap((weight) =>
      weight.form === 'quantised' && weight.bits === 4 ? [weight.offset.kind] : [],
    );
    expect(offsets).toEqual(Array(210).fill('none'));
  });

  it('is prompted as it was trained: pages, a line break, the question', () => {
    const checkpoint = openCheckpoint(SHIPPED_READER);
    onTestFinished(() => checkpoint.close());
    const template = templateOf(checkpoint);
    const page = '<empty_output>';
    const end = 'Who?<|im_end|>\n<|im_start|>assistant\n';
    expect(template.renderText(2, 'Who?')).toBe(`<|im_start|>user\n${page}${page}\n${end}`);
    expect(template.renderText(0, 'Who?')).toBe(`<|im_start|>user\n${end}`);
    expect(template.renderText(1, 'Who?', true)).toBe(`<|im_start|>user\nWho?\n${page}\n${end}`);
    // <|im_start|>, user, the line break, Who, ?, the line break, and the page.
    expect(template.documentPrefix(1, 'Who?')).toEqual([1, 4093, 198, 10576, 47, 198, 16]);
  });

  it('answers from a text, and says where the text does not', async () => {
    const model = await VisionLanguageModel.open(SHIPPED_READER);
    onTestFinished(() => model.close());
    const document = readDocument(path.join(ROOT, 'samples/museum-letter.txt'));
    const settings = { renderConfig: loadRenderConfig('reader') };
    const opened = await new TextBackend(model).open(document, settings);
    const ask = (question: string) => opened.ask(question, { maxNewTokens: 24 });
    expect(await ask('Who founded the museum?')).toMatchObject({
      answer: expect.stringContaining('Edith Marlow'),
      found: true,
    });
    expect(await ask('What does the bus to Inverness cost?')).toMatchObject({ found: false });
    await opened.close();
  });

  it('has the card that its figures give, its licence, and what was changed', () => {
    const report = path.join(ROOT, 'docs/results/natural.json');
    const passages = path.join(ROOT, 'docs/results/natural-passages.json');
    const card = readFileSync(path.join(SHIPPED_READER, 'README.md'), 'utf8');
    expect(card).toBe(modelCard(SHIPPED_READER, report, passages));
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'NOTICE']));
  });
});
