import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContextLibrary } from '../../../src/pipeline/artifacts/context-library.js';
import { contextKey, textKey } from '../../../src/pipeline/artifacts/keys.js';
import type { ReadingSettings } from '../../../src/pipeline/backend.js';
import { LocalBackend, type LocalBackendOptions } from '../../../src/pipeline/backends/local.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { planFromKeep } from '../../../src/prune/index.js';
import { differingParts, keyName } from '../../../src/store/artifact-key.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { namesIn, sharedFolder, temporaryFolder } from '../../support/folders.js';
import { noBrowser } from '../../support/local-backend.js';
import { TINY_MODEL } from '../../support/models.js';
import { smallConfig, words } from '../../support/rendering.js';
import { copyCheckpoint, editTemplate } from '../../vlm/variants.js';

const scratch = sharedFolder();
const cacheDir = path.join(scratch, 'cache');
const config = smallConfig();
const document = decodeDocument(Buffer.from(words(160)), 'words.txt');
const QUESTION = 'Which gate is shut?';
const PLAN = planFromKeep(0.6, 4);

let model: VisionLanguageModel;
beforeAll(async () => {
  model = await VisionLanguageModel.open(TINY_MODEL, { cacheDir, threads: 1 });
});
afterAll(() => model?.close());

const settings = { renderConfig: config, plan: PLAN };
const ofQuestion = { ...settings, questionFirst: QUESTION };

const open = (
  reading: ReadingSettings,
  contexts?: ContextLibrary,
  options: LocalBackendOptions = {},
) => new LocalBackend(model, { browsers: 1, contexts, ...options }).open(document, reading);

async function ask(reading: ReadingSettings, ...more: [ContextLibrary, LocalBackendOptions?]) {
  const opened = await open(reading, ...more);
  const { answer } = await opened.ask(QUESTION, { maxNewTokens: 8 });
  await opened.close();
  return { answer, cached: opened.cached, report: opened.report };
}

describe('a question first', () => {
  it('has a key of its own, one for each question', () => {
    const keyOf = (reading: typeof settings & { questionFirst?: string }) =>
      contextKey(textKey(document), reading, model.info);
    const plain = keyOf(settings);
    const gate = keyOf(ofQuestion);
    const rope = keyOf({ ...settings, questionFirst: 'Which rope?' });
    expect(differingParts(plain, gate)).toEqual(['questionFirst']);
    expect(differingParts(rope, gate)).toEqual(['questionFirst']);
    expect(new Set([plain, gate, rope].map(keyName)).size).toBe(3);
  });

  it('is answered beside a stored context, which is neither read nor written', async () => {
    const root = temporaryFolder();
    const library = new ContextLibrary(root);
    const first = await ask(ofQuestion, library);
    expect(first.cached).toBe(false);
    expect(namesIn(root)).toEqual([]);

    const stored = await ask(settings, library);
    expect(stored.cached).toBe(false);
    expect(stored.report.questionTokens).toBe(0);
    const names = namesIn(path.join(root, 'contexts'));
    expect(names).toHaveLength(1);

    const again = await ask(ofQuestion, library);
    expect(again.cached).toBe(false);
    expect(again.answer).toBe(first.answer);
    expect(namesIn(path.join(root, 'contexts'))).toEqual(names);
    const plain = await ask(settings, library, noBrowser);
    expect(plain).toMatchObject({ cached: true, answer: stored.answer, report: stored.report });
    // Pages are drawn anew for it: nothing that lies anywhere is used.
    await expect(ask(ofQuestion, library, noBrowser)).rejects.toThrow('no browser is needed here');
  });

  it('counts the question’s tokens into the context', async () => {
    const plain = await open(settings);
    const opened = await open(ofQuestion);
    const { report, context } = opened;
    expect(report.questionTokens).toBe(QUESTION.length);
    expect(report.layerTokens).toEqual(plain.report.layerTokens);
    expect(report.contextTokens).toBe(plain.report.contextTokens + QUESTION.length);
    expect(report.finalTokens).toBe(plain.report.finalTokens + QUESTION.length);
    expect(report.pruneRatio).toBe(report.visualTokens / report.contextTokens);
    expect(report.kvBytes).toBeGreaterThan(plain.report.kvBytes!);
    const reply = await opened.ask(QUESTION, { maxNewTokens: 4 });
    expect(reply.usage.promptTokens).toBe(context.promptTokens + QUESTION.length + 2);
    await expect(opened.ask('Which rope?', { maxNewTokens: 4 })).rejects.toMatchObject({
      code: 'GP_ARTIFACT_MISMATCH',
    });
    await Promise.all([plain.close(), opened.close()]);
  });

  it('is refused before anything is drawn where the template puts images first', async () => {
    const variant = copyCheckpoint((dir) =>
      editTemplate(
        dir,
        '<|user|>{% for part in messages[0].content %}{% if part.type == "image" %}<|begin_of_image|><|image|><|end_of_image|>{% endif %}{% endfor %}{{ messages[0].content[-1].text }}<|assistant|>',
      ),
    );
    const other = await VisionLanguageModel.open(variant.dir, { cacheDir, threads: 1 });
    try {
      const opening = new LocalBackend(other, noBrowser).open(document, ofQuestion);
      await expect(opening).rejects.toMatchObject({
        code: 'GP_CHECKPOINT',
        hint: expect.stringContaining('behind the pages alone'),
      });
    } finally {
      await other.close();
      variant.remove();
    }
  });
});
