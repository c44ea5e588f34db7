import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askResult } from '../../../src/pipeline/ask-result.js';
import type { ReadingSettings } from '../../../src/pipeline/backend.js';
import { LocalBackend } from '../../../src/pipeline/backends/local.js';
import { ExpandingBackend } from '../../../src/pipeline/expanding/expanding-backend.js';
import { ExpansionSource } from '../../../src/pipeline/expanding/expansion-source.js';
import { withPassages } from '../../../src/pipeline/expanding/passages-prompt.js';
import { mergeReports } from '../../../src/pipeline/parts/merge-reports.js';
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
      expect(answer.expansion).toMatchObject({ method: 'lexical', tokens: 5 });
      const places = answer.expansion!.expanded;
      expect(places.map(({ start, end }) => TEXT.slice(start, end)).join('')).toBe(PUMP);
      const pages = (await opened.sources[0]!.pages())!;
      for (const { document, page, start, end, rect } of places) {
        expect(document).toBe(0);
        expect(start).toBeGreaterThanOrEqual(pages[page! - 1]!.start);
        expect(end).toBeLessThanOrEqual(pages[page! - 1]!.end);
        expect(rect!.width).toBeGreaterThan(0);
      }
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

  it('asks with places by what words mean to the model that answers', async () => {
    const settingsOf = { method: 'semantic' as const, budget: 6, countTokens };
    const opened = await new ExpandingBackend(new LocalBackend(model), settingsOf).open(
      document,
      settings,
    );
    try {
      const { expansion } = await opened.ask('What did the pump cost?', { maxNewTokens: 1 });
      expect(expansion).toMatchObject({ method: 'semantic', tokens: 5 });
      // Words that do not stand there are near to something all the same.
      const other = await opened.ask('Zeppelin?', { maxNewTokens: 1 });
      expect(other.expansion!.tokens).toBeGreaterThan(0);
    } finally {
      await opened.close();
    }
  });

  it('asks as it is where no word of the question stands in the text', async () => {
    const opened = await expanding(50).open(document, settings);
    const plain = await new LocalBackend(model).open(document, settings);
    try {
      const { expansion, usage } = await opened.ask('Zeppelin?', { maxNewTokens: 1 });
      expect(expansion).toMatchObject({ expanded: [], tokens: 0 });
      expect(usage).toEqual((await plain.ask('Zeppelin?', { maxNewTokens: 1 })).usage);
    } finally {
      await opened.close();
      await plain.close();
    }
  });

  it('counts what was read in the report of the answer', async () => {
    const opened = await expanding(6).open(document, settings);
    try {
      const { report } = opened;
      const answer = await opened.ask('What did the pump cost?', { maxNewTokens: 1 });
      const asked = { loadMs: 0, questionFirst: false };
      const result = askResult(opened, answer, asked);
      expect(result.expanded).toEqual(answer.expansion!.expanded);
      expect(result).not.toHaveProperty('expansion');
      expect(result.report).toMatchObject({
        expandedTokens: 5,
        contextTokens: report.contextTokens + 5,
        finalTokens: report.finalTokens + 5,
        stackedRatio: report.textTokens / (report.contextTokens + 5),
      });
      const two = mergeReports([result.report, result.report], 'both');
      expect([two.expandedTokens, two.contextTokens]).toEqual([10, 2 * (report.contextTokens + 5)]);
      const { expansion: _, ...plain } = answer;
      expect(askResult(opened, plain, asked)).toMatchObject({ expanded: [], report });
    } finally {
      await opened.close();
    }
  });

  it('reads several documents as one, and says in which of them a place stands', async () => {
    const texts = ['The north gate is oak.', 'Boats leave at nine.\n\nThe pump is blue.'];
    const source = await ExpansionSource.of(
      texts.map((text) => ({ text: async () => text, pages: async () => [] })),
    );
    const [best] = source.lexical.find('Which pump?').sort((a, b) => b.score - a.score);
    expect(source.placesOf(best!)).toEqual([
      { document: 1, page: null, start: 22, end: 39, rect: null },
    ]);
    expect(source.rangeOf(1, { start: 22, end: 39 })).toEqual({
      start: best!.start,
      end: best!.end,
    });
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
