/**
 * Does a model know where to look? Heads are chosen on some look-ups; on others, how often the passages that
 * they point to hold the value, beside those that the words of the question point to, by budget.
 *
 * ATTENTION_MODEL names a model folder (the shipped reader), ATTENTION_PAGES the lengths (1,4).
 */
import path from 'node:path';
import { expect, it } from 'vitest';
import { findAttentionHeads } from '../../src/eval/attention-calibration.js';
import { charactersPerPage } from '../../src/eval/page-capacity.js';
import { planSuites } from '../../src/eval/suites.js';
import { LocalBackend } from '../../src/pipeline/backends/local.js';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { attendedPages, attendedPlaces } from '../../src/pipeline/expanding/attended-places.js';
import { expandPlaces } from '../../src/pipeline/expanding/expand-places.js';
import { ExpansionSource } from '../../src/pipeline/expanding/expansion-source.js';
import { decodeDocument } from '../../src/pipeline/read-document.js';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
import { loadRenderConfig, parseRenderConfig } from '../../src/render/index.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { sharedFolder } from '../support/folders.js';
import { ROOT } from '../support/repository.js';
import { emit } from './measure.js';

const DIR = process.env.ATTENTION_MODEL ?? path.join(ROOT, 'models/reader');
const PAGES = (process.env.ATTENTION_PAGES ?? '1,4').split(',').map(Number);
const SAMPLES = Number(process.env.ATTENTION_SAMPLES ?? 3);
const BUDGETS = [50, 100, 200];

it('places that hold the value', { timeout: 3_000_000 }, async () => {
  const model = await VisionLanguageModel.open(DIR, { cacheDir: sharedFolder(), threads: 2 });
  try {
    const { rendering } = model.info;
    const config = rendering ? parseRenderConfig(rendering) : loadRenderConfig('reader');
    const options = { chromium: chromiumOptions, browsers: 1 };
    const plan = (seed: number, pages: readonly number[], samples: number) =>
      planSuites(
        'places',
        ['lookup', 'hex', 'numbers'],
        { config, seed, style: 'bare', depths: [0.1, 0.5, 0.9], pages, samples },
        (one, haystack) => charactersPerPage(one, haystack, { chromium: chromiumOptions() }),
      );
    const found = (await findAttentionHeads(
      model,
      (
        await plan(2_000_003, [1], Math.min(2, SAMPLES))
      ).documents,
      config,
      options,
    ))!;
    emit({ bench: 'attention-heads', model: path.basename(DIR), ...found });
    const held = new Map<string, number[]>();
    const note = (name: string, hit: boolean) =>
      held.set(name, [...(held.get(name) ?? []), Number(hit)]);
    let attendMs = 0;
    let asked = 0;
    for (const document of (await plan(1, PAGES, SAMPLES)).documents) {
      const text = decodeDocument(Buffer.from(document.text), document.id);
      const opened = await new LocalBackend(model, options).open(text, { renderConfig: config });
      const source = await ExpansionSource.of(opened.sources);
      const pages = (await opened.sources[0]!.pages())!;
      const grids = pages.map((page) => model.visualTokenGrid(page));
      for (const { question, expected } of document.questions) {
        const start = performance.now();
        const cells = (await model.attend(opened.context, question, found.heads))!;
        const attended = attendedPlaces(source, attendedPages(cells, grids));
        attendMs += performance.now() - start;
        asked++;
        const ways = { attention: attended, lexical: source.lexical.find(question) };
        for (const [way, places] of Object.entries(ways)) {
          for (const budget of BUDGETS) {
            const { units } = source;
            const read = expandPlaces(source.text, places, {
              budget,
              countTokens: countTextTokens,
              units,
            });
            note(`${way} ${document.pages} ${budget}`, read.text.includes(expected[0]!));
          }
        }
      }
      await opened.close();
    }
    for (const [name, hits] of held) {
      const [way, pages, budget] = name.split(' ');
      const share = hits.reduce((sum, hit) => sum + hit, 0) / hits.length;
      emit({ bench: 'attention-places', way, pages, budget, questions: hits.length, share });
    }
    emit({ bench: 'attention-time', meanMs: attendMs / asked, questions: asked });
    expect(held.size).toBe(2 * PAGES.length * BUDGETS.length);
  } finally {
    await model.close();
  }
});
