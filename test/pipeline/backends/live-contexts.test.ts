import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keepLastPages } from '../../../src/pipeline/artifacts/page-memory.js';
import { drawPages } from '../../../src/pipeline/artifacts/page-source.js';
import type { ReadingSettings } from '../../../src/pipeline/backend.js';
import { LocalBackend } from '../../../src/pipeline/backends/local.js';
import { chromiumOptions } from '../../../src/pipeline/chromium-options.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { sharedFolder, temporaryFolder } from '../../support/folders.js';
import { openInFolder } from '../../support/local-backend.js';
import { TINY_MODEL } from '../../support/models.js';
import { smallConfig, words } from '../../support/rendering.js';

const document = decodeDocument(Buffer.from(words(60)), 'words.txt');
const settings: ReadingSettings = { renderConfig: smallConfig() };
const openPages = keepLastPages(drawPages({ chromium: chromiumOptions, browsers: 1 }));
const QUESTION = 'Which gate?';

let model: VisionLanguageModel;
beforeAll(async () => {
  model = await VisionLanguageModel.open(TINY_MODEL, {
    cacheDir: path.join(sharedFolder(), 'cache'),
    threads: 1,
  });
});
afterAll(() => model?.close());
beforeEach(async () => expect(await model.contextCount()).toBe(0));

const backend = () => new LocalBackend(model, { openPages });

describe('contexts that the model holds', () => {
  it('are one for each open document that was asked, and none after closing', async () => {
    const open = [];
    for (let round = 1; round <= 5; round++) {
      const opened = await backend().open(document, settings);
      open.push(opened);
      // The prefilled context is gone; the stored form of it comes with the first question.
      expect(await model.contextCount()).toBe(round - 1);
      for (let n = 0; n < 3; n++) await opened.ask(`${QUESTION} ${n}`, { maxNewTokens: 2 });
      expect(await model.contextCount()).toBe(round);
    }
    for (const opened of open) await opened.close();
    expect(await model.contextCount()).toBe(0);
  });

  it('are none after closing, whether the context was fresh, stored or of one question', async () => {
    const folder = path.join(temporaryFolder(), 'doc.gp');
    for (let round = 0; round < 3; round++) {
      const opened = await openInFolder(model, folder, document, settings, { openPages });
      expect(opened.cached).toBe(round > 0);
      await opened.ask(QUESTION, { maxNewTokens: 2 });
      await opened.close();
      const stored = await backend().openStored(folder);
      await stored.ask(QUESTION, { maxNewTokens: 2 });
      await stored.close();
      const own = { ...settings, questionFirst: QUESTION };
      const once = await backend().open(document, own);
      await once.ask(QUESTION, { maxNewTokens: 2 });
      await once.close();
      expect(await model.contextCount()).toBe(0);
    }
  });

  it('are none after an opening that fails, a question that is aborted, or a document never asked', async () => {
    const opening = backend().open(document, settings, {
      onProgress: (stage) => {
        if (stage === 'prefill') throw new Error('no more of this');
      },
    });
    await expect(opening).rejects.toThrow('no more of this');
    expect(await model.contextCount()).toBe(0);

    const opened = await backend().open(document, settings);
    const abort = new AbortController();
    const asking = opened.ask(QUESTION, {
      maxNewTokens: 500,
      stopLoops: false,
      signal: abort.signal,
      onText: () => abort.abort(),
    });
    await expect(asking).rejects.toMatchObject({ name: 'AbortError' });
    await opened.close();

    await (await backend().open(document, settings)).close();
    expect(await model.contextCount()).toBe(0);
  });

  it('are closed behind the answers under way, and only once', async () => {
    const opened = await backend().open(document, settings);
    const asking = [1, 2, 3].map((n) =>
      opened.ask(`${QUESTION} ${n}`, { maxNewTokens: 12, stopLoops: false }),
    );
    await Promise.all([opened.close(), opened.close()]);
    expect(await model.contextCount()).toBe(0);
    for (const { answer } of await Promise.all(asking)) expect(answer).not.toBe('');
    await expect(opened.ask(QUESTION)).rejects.toMatchObject({ code: 'GP_USAGE' });
    expect(await model.contextCount()).toBe(0);
  });

  it('stop where they are told to, which is no failure', async () => {
    const opened = await backend().open(document, settings);
    const stop = new AbortController();
    const answer = await opened.ask(QUESTION, {
      maxNewTokens: 500,
      stopLoops: false,
      stop: stop.signal,
      onText: () => stop.abort(),
    });
    expect(answer.finishReason).toBe('aborted');
    expect(answer.usage.completionTokens).toBeLessThan(500);
    await opened.close();
  });
});
