import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CurveReport } from '../../src/eval/curve-report.js';
import { glyphpress, startGlyphpress } from '../support/cli.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';
import { untrainedModel } from '../support/models.js';

const env = { GLYPHPRESS_CACHE: sharedFolder() };

describe('glyphpress eval curve', () => {
  it('killed at any time goes on with the same report, page, charts and record', async () => {
    const model = untrainedModel(path.join(temporaryFolder(), 'tiny'));
    const folder = temporaryFolder();
    const args = (run: string) => [
      ...['eval', 'curve', '--quick', '--model', model, '--threads', '1', '--browsers', '1'],
      ...['--pages', '0.02', '--questions', '1', '--seeds', '1', '--keeps', '50', '--record'],
      ...['-o', path.join(folder, run), '--json'],
      ...['--config', 'reader', '--markdown', path.join(folder, 'docs/pruning.md')],
    ];
    const { child, result } = startGlyphpress(args('broken'), { env });
    const results = path.join(folder, 'broken/results.jsonl');
    const answered = () =>
      existsSync(results) ? readFileSync(results, 'utf8').split('\n').length - 1 : 0;
    while (answered() < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(-child.pid!, 'SIGKILL');
    await result;
    expect(existsSync(path.join(folder, 'docs/pruning.md'))).toBe(false);

    const rest = await glyphpress(args('broken'), { env });
    expect(rest.stderr).toContain('untrained');
    expect(rest.code).toBe(0);
    const report = JSON.parse(rest.stdout) as CurveReport;
    expect(report.answered).toBe(report.questions);
    expect(report.questions).toBe(answered());
    expect(report.model.trained).toBe(false);
    expect(namesIn(path.join(folder, 'broken'))).toEqual([
      'contextTokens.svg',
      'report.json',
      'report.txt',
      'results.jsonl',
      'run.json',
      'stackedRatio.svg',
    ]);
    expect(namesIn(path.join(folder, 'docs'))).toEqual([
      'pruning-contextTokens.svg',
      'pruning-stackedRatio.svg',
      'pruning.json',
      'pruning.md',
    ]);
    const page = readFileSync(path.join(folder, 'docs/pruning.md'), 'utf8');
    expect(page).toContain('npx glyphpress eval curve --quick --model');
    expect(page).toContain('untrained: all figures are noise');

    const whole = await glyphpress(args('whole'), { env });
    expect(JSON.parse(whole.stdout)).toEqual(report);

    const point = (name: string) => report.points.find((one) => one.name === name)!;
    const base = point('no pruning');
    expect(base.pruneRatio).toBe(1);
    expect(point('ApET, 50 %').contextTokens).toBe(point('random like ApET, 50 %').contextTokens);
    expect(point('ApET, 50 %').pruneRatio).toBeGreaterThan(1.9);
    // The question costs its tokens where it stands before the pages, and drops no more for it.
    for (const [first, plain] of [
      ['no pruning, question first', 'no pruning'],
      ['V²Drop, question first, 50 %', 'V²Drop, 50 %'],
    ] as const) {
      expect(point(first)).toMatchObject({
        questionFirstOf: plain,
        visualTokens: base.visualTokens,
        accuracy: { failed: 0, questions: point(plain).accuracy.questions },
      });
      expect(point(first).contextTokens).toBeGreaterThan(point(plain).contextTokens + 10);
    }
    expect(point('lossless').contextTokens).toBeLessThanOrEqual(base.contextTokens);
    // What was recorded is what plans tells.
    const plans = await glyphpress(['plans', '--model', model, '--json'], { env });
    const told = JSON.parse(plans.stdout);
    expect(told.measuredIn).toBe(path.join(model, 'plans.json'));
    expect(told.plans[0]).toMatchObject({ name: 'lossless', measured: report.plans.lossless });
  }, 240_000);

  it('asks with passages beside the pages, and counts them', async () => {
    const model = untrainedModel(path.join(temporaryFolder(), 'tiny'));
    const folder = temporaryFolder();
    const { code, stdout } = await glyphpress(
      [
        ...['eval', 'curve', '--quick', '--model', model, '--threads', '1', '--browsers', '1'],
        ...['--pages', '0.02', '--questions', '1', '--seeds', '1', '--keeps', '50'],
        ...['--only', 'V²Drop', '--expand', 'lexical', '--expand-budget', '90'],
        ...['-o', path.join(folder, 'run'), '--config', 'reader', '--json'],
        ...['--markdown', path.join(folder, 'page.md')],
      ],
      { env },
    );
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as CurveReport;
    expect(report.answered).toBe(report.questions);
    expect(report.key.expansion).toMatch(/^lexical 90 /);
    expect(report.settings.expand).toBe('lexical, at most 90 text tokens');
    expect(report.points.some(({ questionFirstOf }) => questionFirstOf)).toBe(false);
    const base = report.points.find(({ name }) => name === 'no pruning')!;
    expect(base.contextTokens).toBeGreaterThan(base.visualTokens + 5);
    expect(base.contextTokens).toBeLessThanOrEqual(base.visualTokens + 90);
    expect(readFileSync(path.join(folder, 'page.md'), 'utf8')).toContain(
      '--expand lexical --expand-budget 90',
    );
  }, 120_000);

  it.each([
    ['--record', '--expand', 'lexical'],
    ['--keeps', '100'],
    ['--keeps', '50,x'],
    ['--pages', '0'],
    ['--seeds', '0'],
    ['--suite', 'quick'],
  ])('%s %s is a mistake', async (...option) => {
    const { code, stdout } = await glyphpress(['eval', 'curve', ...option, '--json'], { env });
    expect(JSON.parse(stdout).error.code).toBe('GP_USAGE');
    expect(code).toBe(2);
  });
});
