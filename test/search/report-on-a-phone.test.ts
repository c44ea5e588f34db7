import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer, { type Browser } from 'puppeteer';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import { axisContributions } from '../../src/search/axis-contributions.js';
import { EvolutionProposer } from '../../src/search/evolution-proposer.js';
import { Journal } from '../../src/search/journal.js';
import { referenceCandidates } from '../../src/search/references.js';
import { searchReport } from '../../src/search/report.js';
import { runSearch } from '../../src/search/search.js';
import { Space } from '../../src/search/space.js';
import { summarise } from '../../src/search/summary.js';
import { sharedFolder } from '../support/folders.js';
import { SyntheticEvaluator, syntheticTasks } from './synthetic.js';

const folder = sharedFolder();
const file = path.join(folder, 'report.html');
let browser: Browser;

/** A whole report: a front, presets, every trial, and a picture as wide as pages are. */
async function report(): Promise<string> {
  const space = new Space(undefined, true);
  const journal = new Journal(path.join(folder, 'trials.jsonl'));
  const outcome = await runSearch(
    {
      space,
      tasks: syntheticTasks(),
      evaluator: new SyntheticEvaluator(),
      proposer: new EvolutionProposer(12),
      references: referenceCandidates(space, null, 4),
      defaultConfig: null,
      seed: 1,
      budget: 24,
      generation: 6,
      patience: 9,
      minRatio: 1,
    },
    journal,
  );
  journal.close();
  const summary = summarise(outcome, {
    key: { model: '0123456789abcdef'.repeat(6) },
    proposer: 'evolution',
    defaultConfig: null,
    seed: 1,
    budget: 24,
    minRatio: 1,
    tasks: 'synthetic',
    timings: { wallMs: 0, renderMs: 0, inferenceMs: 0 },
    concurrency: 1,
    expand: null,
    questionsInAll: 12,
  });
  const page = sharp({ create: { width: 588, height: 840, channels: 3, background: '#fff' } });
  const uri = `data:image/png;base64,${(await page.png().toBuffer()).toString('base64')}`;
  const pictures = [{ point: summary.front[0]!.point, uri, widthPx: 588, heightPx: 840 }];
  return searchReport({
    summary,
    pictures,
    contributions: axisContributions(outcome.records, space),
  });
}

beforeAll(async () => {
  writeFileSync(file, (await report()).replaceAll('<details>', '<details open>'));
  const { executablePath } = chromiumOptions();
  browser = await puppeteer.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
});
afterAll(() => browser?.close());

describe('the report of a search', () => {
  it.each([390, 1400])('%d px wide is no wider than the screen, and can be read', async (width) => {
    const page = await browser.newPage();
    await page.setViewport({ width, height: 844 });
    await page.goto(pathToFileURL(file).href);
    const seen = await page.evaluate(() => {
      const root = document.documentElement;
      const picture = document.querySelector('figure img')!.getBoundingClientRect();
      const label = document.querySelector('svg text')!.getBoundingClientRect();
      return {
        overflow: root.scrollWidth - root.clientWidth,
        shape: picture.width / picture.height,
        labelHeight: label.height,
      };
    });
    expect(seen.overflow).toBe(0);
    // The page as it is, not squeezed.
    expect(seen.shape).toBeCloseTo(588 / 840, 2);
    expect(seen.labelHeight).toBeGreaterThan(9);
  });
});
