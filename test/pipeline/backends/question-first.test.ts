import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContextLibrary } from '../../../src/pipeline/artifacts/context-library.js';
import { answerQuestion } from '../../../src/pipeline/backends/answer.js';
import { type AskModelOptions, askModel } from '../../../src/pipeline/backends/ask-model.js';
import { withQuestionFirst } from '../../../src/pipeline/backends/question-first.js';
import { chromiumOptions } from '../../../src/pipeline/chromium-options.js';
import {
  type CompressSettings,
  contextKey,
  ensureCompressed,
} from '../../../src/pipeline/compress.js';
import { decodeDocument } from '../../../src/pipeline/read-document.js';
import { planFromKeep } from '../../../src/prune/index.js';
import { differingParts, keyName } from '../../../src/store/artifact-key.js';
import { scratchFolder } from '../../../src/store/scratch-folder.js';
import { VisionLanguageModel } from '../../../src/vlm/index.js';
import { namesIn, sharedFolder, temporaryFolder } from '../../support/folders.js';
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

const hooks = { chromium: chromiumOptions, browsers: 1 };
const noBrowser = {
  chromium: () => {
    throw new Error('no browser is needed here');
  },
};
const settings = (): CompressSettings => ({ model, renderConfig: config, plan: PLAN });

function ask(library: ContextLibrary, more: Partial<AskModelOptions> = {}, question = QUESTION) {
  return askModel({ document, compressed: null }, question, model, {
    ...hooks,
    renderConfig: config,
    plan: PLAN,
    defaultConfig: () => config,
    modelIsGiven: true,
    library,
    generate: { maxNewTokens: 8 },
    ...more,
  });
}

describe('a question first', () => {
  it('has a key of its own, one for each question', () => {
    const plain = contextKey(document, settings());
    const gate = contextKey(document, { ...settings(), questionFirst: QUESTION });
    const rope = contextKey(document, { ...settings(), questionFirst: 'Which rope?' });
    expect(differingParts(plain, gate)).toEqual(['questionFirst']);
    expect(differingParts(rope, gate)).toEqual(['questionFirst']);
    expect(new Set([plain, gate, rope].map(keyName)).size).toBe(3);
  });

  it('is answered beside a stored context, which is neither read nor written', async () => {
    const root = temporaryFolder();
    const library = new ContextLibrary(root);
    const first = await ask(library, { questionFirst: true });
    expect(first).toMatchObject({ cached: false, questionFirst: true });
    expect(namesIn(root)).toEqual([]);

    const stored = await ask(library);
    expect(stored).toMatchObject({ cached: false, questionFirst: false });
    expect(stored.report.questionTokens).toBe(0);
    const names = namesIn(path.join(root, 'contexts'));
    expect(names).toHaveLength(1);

    const again = await ask(library, { questionFirst: true });
    expect(again.cached).toBe(false);
    expect(again.answer).toBe(first.answer);
    expect(namesIn(path.join(root, 'contexts'))).toEqual(names);
    const plain = await ask(library, noBrowser);
    expect(plain).toMatchObject({ cached: true, answer: stored.answer, report: stored.report });
    // Pages are drawn anew for it: nothing that lies anywhere is used.
    await expect(ask(library, { questionFirst: true, ...noBrowser })).rejects.toThrow(
      'no browser is needed here',
    );
    expect(namesIn(scratchFolder()).filter((name) => name.startsWith('question-first'))).toEqual(
      [],
    );
  });

  it('counts the question’s tokens into the context', async () => {
    const plain = await ensureCompressed(document, settings(), path.join(scratch, 'plain'), hooks);
    const own = { ...settings(), questionFirst: QUESTION };
    const folder = path.join(temporaryFolder(), 'once');
    await withQuestionFirst(document, own, folder, hooks, async ({ report, context }) => {
      expect(existsSync(folder)).toBe(true);
      expect(report.questionTokens).toBe(QUESTION.length);
      expect(report.layerTokens).toEqual(plain.report.layerTokens);
      expect(report.contextTokens).toBe(plain.report.contextTokens + QUESTION.length);
      expect(report.finalTokens).toBe(plain.report.finalTokens + QUESTION.length);
      expect(report.pruneRatio).toBe(report.visualTokens / report.contextTokens);
      expect(report.kvBytes).toBeGreaterThan(plain.report.kvBytes!);
      const reply = await answerQuestion(model, context, QUESTION, { maxNewTokens: 4 });
      expect(reply.usage.promptTokens).toBe(context.promptTokens + QUESTION.length + 2);
      await expect(
        answerQuestion(model, context, 'Which rope?', { maxNewTokens: 4 }),
      ).rejects.toMatchObject({ code: 'GP_ARTIFACT_MISMATCH' });
    });
    expect(existsSync(folder)).toBe(false);
  });

  it('leaves nothing behind when it fails, and touches no folder of others', async () => {
    const parent = temporaryFolder();
    const folder = path.join(parent, 'once');
    const own = { ...settings(), questionFirst: QUESTION };
    const failing = withQuestionFirst(document, own, folder, hooks, async () => {
      throw new Error('the answer failed');
    });
    await expect(failing).rejects.toThrow('the answer failed');
    expect(namesIn(parent)).toEqual([]);
    const others = path.join(scratch, 'plain-copy');
    await ensureCompressed(document, settings(), others, hooks);
    await expect(
      withQuestionFirst(document, own, path.dirname(others), hooks, async () => {}),
    ).rejects.toMatchObject({ code: 'GP_OUTPUT_EXISTS' });
    expect(existsSync(others)).toBe(true);
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
      const own = { ...settings(), model: other, questionFirst: QUESTION };
      const folder = path.join(temporaryFolder(), 'once');
      const asked = withQuestionFirst(document, own, folder, noBrowser, async () => {});
      await expect(asked).rejects.toMatchObject({
        code: 'GP_CHECKPOINT',
        hint: expect.stringContaining('behind the pages alone'),
      });
    } finally {
      await other.close();
      variant.remove();
    }
  });
});
