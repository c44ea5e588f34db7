import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawPages } from '../../../src/pipeline/artifacts/page-source.js';
import { LocalBackend, type LocalBackendOptions } from '../../../src/pipeline/backends/local.js';
import { chromiumOptions } from '../../../src/pipeline/chromium-options.js';
import { Expander } from '../../../src/pipeline/expanding/expander.js';
import { PassagesFirstBackend } from '../../../src/pipeline/expanding/passages-first.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { sharedFolder, temporaryFolder } from '../../support/folders.js';
import { passagesAloneModel } from '../../support/models.js';
import { smallConfig } from '../../support/rendering.js';

const TEXT = [
  'The north gate is oak.',
  'The pump cost 14,250 kroner.',
  'Ferries leave at nine.',
].join('\n\n');
const document = decodeDocument(Buffer.from(TEXT), 'ledger.txt');
const settings = { renderConfig: smallConfig() };
const countTokens = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;
const PUMP = 'What did the pump cost?';

let model: VisionLanguageModel;
beforeAll(async () => {
  model = await VisionLanguageModel.open(passagesAloneModel(path.join(sharedFolder(), 'alone')), {
    cacheDir: path.join(sharedFolder(), 'cache'),
    threads: 1,
  });
});
afterAll(() => model?.close());

const noBrowser = () => {
  throw new Error('a browser was asked for');
};

function passagesFirst(options: LocalBackendOptions, budget = 6): PassagesFirstBackend {
  const backend = new LocalBackend(model, options);
  return new PassagesFirstBackend(backend, { method: 'lexical', budget, countTokens });
}

/** Drawn as ever, and counted. */
function counted() {
  const draw = drawPages({ chromium: chromiumOptions });
  let opened = 0;
  return {
    openPages: (...args: Parameters<typeof draw>) => {
      opened += 1;
      return draw(...args);
    },
    opened: () => opened,
  };
}

describe('a model that reads passages alone', () => {
  it('answers by them before a page is drawn, and says what was not made', async () => {
    const opened = await passagesFirst({ chromium: noBrowser }).open(document, settings);
    const answer = await opened.ask(PUMP, { maxNewTokens: 3 });
    expect(answer.passagesRead).toBe('alone');
    expect(answer.expansion!.expanded).toEqual([
      { document: 0, page: null, start: 24, end: 52, rect: null },
    ]);
    expect(opened.report).toMatchObject({
      made: 'text',
      characters: TEXT.length,
      textTokens: expect.any(Number),
      pages: null,
      visualTokens: null,
      contextTokens: null,
      kvBytes: null,
      timings: { renderMs: null, encodeMs: null, prefillMs: null },
    });
    expect(opened.cached).toBe(false);
    await opened.close();
    await expect(opened.ask(PUMP)).rejects.toMatchObject({ code: 'GP_USAGE' });
  });

  it('has pages laid out for the places that it cites, and none encoded', async () => {
    const pages = counted();
    const first = await passagesFirst({ openPages: pages.openPages }).open(document, settings);
    const drawn = await new LocalBackend(model).open(document, settings);
    try {
      const laidOut = await first.sources[0]!.pages(true);
      const expected = await drawn.sources[0]!.pages();
      expect(laidOut!.map(({ lines }) => lines)).toEqual(expected!.map(({ lines }) => lines));
      const { expansion } = await first.ask(PUMP, { maxNewTokens: 3, citations: true });
      expect(expansion!.expanded[0]).toMatchObject({ page: expect.any(Number) });
      expect(pages.opened()).toBe(0);
      expect(first.report.made).toBe('text');
    } finally {
      await first.close();
      await drawn.close();
    }
  });

  it('reads the pages for a question without passages, opened once for all that ask', async () => {
    const pages = counted();
    const opened = await passagesFirst({ openPages: pages.openPages }).open(document, settings);
    const plain = await new LocalBackend(model).open(document, settings);
    try {
      const given = new AbortController();
      const asked = ['Zeppelin?', 'Balloon?'].map((question) =>
        opened.ask(question, { maxNewTokens: 1 }),
      );
      const givenUp = opened.ask('Kite?', { maxNewTokens: 1, signal: given.signal });
      given.abort(new Error('given up'));
      await expect(givenUp).rejects.toThrow('given up');
      const [answer] = await Promise.all(asked);
      expect(pages.opened()).toBe(1);
      const same = await plain.ask('Zeppelin?', { maxNewTokens: 1 });
      expect(answer!.usage).toEqual(same.usage);
      expect(answer!.expansion).toMatchObject({ expanded: [], reading: null });
      const { timings: _, ...report } = plain.report;
      expect(opened.report).toMatchObject(report);
      expect(opened.report).not.toHaveProperty('made');
    } finally {
      await opened.close();
      await plain.close();
    }
  });

  it('knows a stored context without reading it', async () => {
    const folder = path.join(temporaryFolder(), 'stored');
    const contexts = { locate: () => folder };
    const stored = await new LocalBackend(model, { contexts }).open(document, settings);
    await stored.close();
    const opened = await passagesFirst({ contexts, chromium: noBrowser }).open(document, settings);
    const answer = await opened.ask(PUMP, { maxNewTokens: 1 });
    expect(opened).toMatchObject({ cached: true, report: { pages: stored.report.pages } });
    expect(answer.expansion!.expanded[0]!.page).toEqual(expect.any(Number));
    await opened.close();
  });
});

describe('a text that fits the budget of passages', () => {
  const asked: string[] = [];
  const expander = (passageReading: 'alone' | 'behind-pages') =>
    new Expander({
      sources: [{ text: async () => `\n${TEXT}\n`, pages: async () => null }],
      passageReading,
      ask: async (_, { passages = '' } = {}) => {
        asked.push(passages);
        return { answer: '', found: true, confidence: null } as never;
      },
    });
  const of = (budget: number, method: 'auto' | 'attention' = 'auto') => ({
    method,
    budget,
    countTokens,
  });

  it('is read whole where nothing else is, whatever words the question has', async () => {
    const { expansion } = await expander('alone').ask('Zeppelin?', {}, of(14));
    expect(asked.pop()).toBe(TEXT);
    expect(expansion).toMatchObject({
      method: 'whole',
      tokens: 14,
      expanded: [{ start: 1, end: 1 + TEXT.length }],
    });
  });

  it('is searched where it is longer, or stands behind the pages', async () => {
    await expander('alone').ask(PUMP, {}, of(13));
    expect(asked.pop()).not.toBe(TEXT);
    const { expansion } = await expander('behind-pages').ask('Zeppelin?', {}, of(14));
    expect(asked.pop()).toBe('');
    expect(expansion).toMatchObject({ method: 'lexical', expanded: [] });
  });
});
