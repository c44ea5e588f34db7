/** The whole way with real pages: Chromium and a reader. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { parsePrunePlan } from '../../src/prune/index.js';
import { loadRenderConfig } from '../../src/render/index.js';
import { ModelEvaluator } from '../../src/search/model-evaluator.js';
import { searchInFolder } from '../../src/search/run-search.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { temporaryFolder } from '../support/folders.js';
import { LOOK_UP_READER, LOOK_UP_RENDERING } from '../support/models.js';
import { smallSearch, smallTasks } from './small-search.js';

describe('a search with the reader', () => {
  it('draws, probes, asks, goes on, and leaves files that other commands take', async () => {
    const folder = path.join(temporaryFolder(), 'run');
    const model = await VisionLanguageModel.open(LOOK_UP_READER);
    onTestFinished(() => model.close());
    const evaluator = new ModelEvaluator(model, {
      cache: path.join(folder, 'cache'),
      chromium: chromiumOptions,
    });
    const given = smallSearch(
      evaluator,
      smallTasks('bare'),
      ['model', 'glyph-72'],
      LOOK_UP_RENDERING,
    );
    const summary = await searchInFolder(given, folder);
    const log = readFileSync(path.join(folder, 'trials.jsonl'));

    expect(summary.counts.trials).toBe(4);
    expect(summary.counts.failed).toBe(0);
    const named = Object.fromEntries(summary.references.map((one) => [one.name, one]));
    expect(named.model!.characterErrorRate).toBeLessThan(0.1);
    expect(named['glyph-72']!.characterErrorRate).toBeGreaterThan(0.5);
    expect(named['glyph-72']).toMatchObject({ outside: true, heldOut: { questions: 4 } });
    // What is predicted without the model is what the model does.
    for (const { stackedRatio, train } of summary.trials)
      if (train) expect(train.stackedRatio).toBeCloseTo(stackedRatio!, 6);

    const report = readFileSync(path.join(folder, 'report.html'), 'utf8');
    expect(report).toContain('config_en');
    expect(report).not.toMatch(/(src|href)="(?!data:)|<script|url\(/);
    for (const { point } of summary.front) {
      const file = path.join(folder, 'best', `${point}.config.json`);
      loadRenderConfig(file);
      parsePrunePlan(readFileSync(file.replace('config', 'plan'), 'utf8'), { layers: 4 });
      expect(report).toContain(`first page under point ${point}`);
    }

    const spent = { ...evaluator.spent };
    const again = await searchInFolder(given, folder);
    expect(readFileSync(path.join(folder, 'trials.jsonl')).equals(log)).toBe(true);
    expect(evaluator.spent).toEqual(spent);
    expect({ ...again, timings: null }).toEqual({ ...summary, timings: null });
    await expect(searchInFolder({ ...given, seed: 4 }, folder)).rejects.toMatchObject({
      code: 'GP_ARTIFACT_MISMATCH',
    });
  }, 120_000);
});
