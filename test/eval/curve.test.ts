import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import type { Asker } from '../../src/eval/asker.js';
import { curveChart } from '../../src/eval/curve-chart.js';
import {
  BEYOND_METHODS,
  conditionsNamed,
  curveConditions,
  curveRenderings,
} from '../../src/eval/curve-conditions.js';
import { type CurveReport, makeCurveReport, meanFigure } from '../../src/eval/curve-report.js';
import { CURVE_TASKS, planCurve } from '../../src/eval/curve-tasks.js';
import { curveMarkdown, curveTable } from '../../src/eval/curve-text.js';
import { wilsonInterval } from '../../src/eval/interval.js';
import { measuredPlans, PLANS_FILE, planRecord } from '../../src/eval/measured-plans.js';
import type { ResultLine } from '../../src/eval/results-log.js';
import { runPlan } from '../../src/eval/run.js';
import { contextShare, NAMED_PLANS, parsePrunePlan } from '../../src/prune/index.js';
import { loadRenderConfig, renderConfigId } from '../../src/render/index.js';
import { temporaryFolder } from '../support/folders.js';
import { LOOK_UP_RENDERING } from '../support/models.js';

const base = loadRenderConfig(LOOK_UP_RENDERING, {});
const renderings = curveRenderings(base);
const conditions = curveConditions(renderings, { layers: 4, keeps: [0.75, 0.5], quick: false });
const setting = {
  seeds: [1, 2, 3],
  questions: { lookup: 3, hex: 2, transcribe: 2 },
  characters: 3_000,
  style: 'bare',
} as const;
const plan = planCurve(renderings, conditions, setting);

describe('the conditions', () => {
  it('are ten different renderings, of which one is the model’s own', () => {
    expect(Object.keys(renderings)).toHaveLength(10);
    expect(new Set(Object.values(renderings).map(renderConfigId)).size).toBe(10);
    expect(renderings.base).toBe(base);
  });

  it('hold every kind, each name once, and valid plans', () => {
    const names = conditions.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(conditions.map(({ kind }) => kind))).toEqual(
      new Set(['rendering', 'method', 'control', 'named']),
    );
    for (const { plan } of conditions)
      expect(parsePrunePlan(JSON.stringify(plan), { layers: 4 })).toEqual(plan);
    for (const name of Object.keys(NAMED_PLANS)) expect(names).toContain(name);
  });

  it('keep what they say in the mean over the layers, and their controls keep as much', () => {
    for (const { keep, plan, twin } of conditions) {
      if (keep === null) continue;
      expect(contextShare(4, plan)).toBeCloseTo(keep, 2);
      if (!twin) continue;
      const control = conditions.find(({ name }) => name === twin)!;
      expect(control.kind).toBe('control');
      expect(contextShare(4, control.plan)).toBeCloseTo(contextShare(4, plan), 10);
    }
  });

  it('are fewer in a quick run', () => {
    const quick = curveConditions(renderings, { layers: 4, keeps: [0.75, 0.5], quick: true });
    expect(quick.length).toBeLessThan(conditions.length - 2 * (BEYOND_METHODS.length - 1));
    const plain = quick.filter((one) => one.questionFirstOf === undefined);
    expect(plain.filter(({ kind }) => kind === 'rendering')).toHaveLength(10);
    // Each question of these is a prefill of its own.
    expect(
      quick.filter((one) => one.questionFirstOf !== undefined).map(({ name }) => name),
    ).toEqual([
      'no pruning, question first',
      'V²Drop, question first, 75 %',
      'V²Drop with trail, question first, 75 %',
      'random like V²Drop with trail, question first, 75 %',
      'V²Drop with trail, question first, 50 %',
      'random like V²Drop with trail, question first, 50 %',
    ]);
  });

  it('put the question first for V²Drop and its control, and change nothing else', () => {
    const first = conditions.filter((one) => one.questionFirstOf !== undefined);
    expect(first.map(({ name }) => name)).toEqual([
      'no pruning, question first',
      ...['75 %', '50 %'].flatMap((share) => [
        `V²Drop, question first, ${share}`,
        `random like V²Drop, question first, ${share}`,
        `V²Drop with trail, question first, ${share}`,
        `random like V²Drop with trail, question first, ${share}`,
      ]),
    ]);
    for (const { questionFirstOf, name, series, twin, ...rest } of first) {
      const plain = conditions.find((one) => one.name === questionFirstOf)!;
      expect(plain).toMatchObject(rest);
      expect(plain.questionFirstOf).toBeUndefined();
      expect([name, series]).not.toEqual([plain.name, plain.series]);
      // A control has its question in the same place.
      if (!twin) continue;
      expect(conditions.find((one) => one.name === twin)!.questionFirstOf).toBe(plain.twin);
    }
  });

  it('can be those of some words, with all that they are held against', () => {
    const named = (...words: string[]) =>
      conditionsNamed(conditions, words).map(({ name }) => name);
    expect(named('nothing like it')).toEqual(['no pruning']);
    expect(named('apet-PAPER', 'lossless')).toEqual(['no pruning', 'lossless', 'apet-paper']);
    expect(named('trail, question first, 50 %').sort()).toEqual(
      [
        'no pruning',
        'no pruning, question first',
        'V²Drop with trail, 50 %',
        'V²Drop with trail, question first, 50 %',
        'random like V²Drop with trail, 50 %',
        'random like V²Drop with trail, question first, 50 %',
      ].sort(),
    );
  });

  it('leave out what a model of one layer cannot do', () => {
    const flat = curveConditions(renderings, { layers: 1, keeps: [0.5], quick: true });
    expect(flat.some(({ series }) => series === 'V²Drop')).toBe(false);
    for (const { plan } of flat) expect(plan.decoder).toEqual([]);
  });
});

describe('the documents', () => {
  it('are the same text and questions under every condition of a seed, others for another seed', () => {
    expect(plan.documents).toHaveLength(conditions.length * 3);
    const bySeed = new Map<number, Set<string>>();
    for (const { id, text, questions } of plan.documents) {
      const { seed } = plan.cases.get(id)!;
      const content = JSON.stringify([text, questions.map(({ id: _, ...rest }) => rest)]);
      bySeed.set(seed, (bySeed.get(seed) ?? new Set()).add(content));
    }
    expect([...bySeed.values()].map((contents) => contents.size)).toEqual([1, 1, 1]);
    expect(new Set([...bySeed.values()].flatMap((contents) => [...contents])).size).toBe(3);
  });

  it('ask every task, with ids that no two share', () => {
    const ids = plan.documents.flatMap(({ questions }) => questions.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    const kinds = plan.documents[0]!.questions.map(({ kind }) => kind);
    expect(kinds).toEqual(['lookup', 'lookup', 'lookup', 'hex', 'hex', 'transcribe', 'transcribe']);
    for (const { text, questions } of plan.documents.slice(0, 1))
      for (const { expected } of questions.slice(0, 5)) expect(text).toContain(expected[0]);
    expect(plan.documents[0]!.text.length).toBeLessThanOrEqual(3_000);
  });

  it('follow each other by rendering within a seed, so that pages are drawn once', () => {
    const runs = plan.documents
      .map(({ id, rendering }) => `${plan.cases.get(id)!.seed} ${rendering}`)
      .filter((run, i, all) => run !== all[i - 1]);
    expect(runs).toHaveLength(3 * 10);
  });
});

/** Results as if a condition had answered this share of its questions. */
function resultsOf(shareOf: (name: string) => number | null): Map<string, ResultLine> {
  const results = new Map<string, ResultLine>();
  for (const { id, questions } of plan.documents) {
    const { condition, seed } = plan.cases.get(id)!;
    const share = shareOf(condition.name);
    if (share === null) continue;
    const tokens = { base: 300, 'newline marks': 290 }[condition.rendering] ?? 200;
    const account = {
      pages: 1,
      textTokens: 900,
      visualTokens: tokens,
      contextTokens: tokens * (condition.keep ?? 1),
    };
    questions.forEach((question, i) => {
      // Spread over the questions, differently for each seed.
      const right = ((i * 5 + seed * 3) % 7) / 7 < share;
      results.set(question.id, {
        id: question.id,
        document: id,
        answer: '',
        score: { value: right ? 1 : 0, notFound: false },
        account,
        finishReason: 'stop',
        completionTokens: 1,
        answerMs: 1,
      });
    });
  }
  return results;
}

const about = {
  model: { name: 'm', checkpointHash: 'c'.repeat(64), parameters: 8.6e6, trained: true },
  key: {},
  settings: { seeds: [1, 2, 3] },
};
const reportOf = (shareOf: (name: string) => number | null) =>
  makeCurveReport(plan, resultsOf(shareOf), about);

describe('the report', () => {
  const report = reportOf((name) => {
    if (name === 'V²Drop, 50 %') return 1;
    if (name === 'ApET, 50 %') return 0;
    if (name === 'no pruning') return 1;
    return 0.3;
  });
  const point = (name: string) => report.points.find((one) => one.name === name)!;
  const against = (name: string) =>
    report.verdict.comparisons.find((comparison) => comparison.name === name)!;

  it('has a point for every condition, with its ratios and each task', () => {
    expect(report.points.map(({ name }) => name)).toEqual(conditions.map(({ name }) => name));
    expect(point('no pruning')).toMatchObject({
      visualTokens: 300,
      contextTokens: 300,
      stackedRatio: 3,
      pruneRatio: 1,
      accuracy: { value: 1, questions: 21, failed: 0 },
      bySeed: [1, 1, 1],
    });
    expect(point('V²Drop, 50 %')).toMatchObject({ contextTokens: 150, stackedRatio: 6 });
    for (const task of CURVE_TASKS) expect(point('ApET, 50 %').tasks[task].value).toBe(0);
  });

  it('compares a plan with the best rendering that is at least as dense, on the same questions', () => {
    // At 6× no rendering is as dense; at 4× those of 4.5× are.
    expect(against('V²Drop, 50 %').rendering).toBeNull();
    const { rendering } = against('V²Drop, 75 %');
    expect(rendering!.stackedRatio).toBe(4.5);
    expect(rendering!.outcome).toBe('equal');
    expect(against('V²Drop, 50 %').random).toMatchObject({
      name: 'random like V²Drop, 50 %',
      outcome: 'clearly better',
    });
    expect(against('ApET, 50 %').random!.outcome).toBe('clearly worse');
    expect(report.verdict.readable).toBe(true);
    const words = report.verdict.words.join('\n');
    expect(words).toContain('At no measured stacked ratio is pruning clearly better');
    expect(words).toContain('V²Drop against dropping as many at random: equal at 4.00×');
    expect(words).toContain('clearly better at 6.00× (100.0 % against');
    expect(words).toContain('Denser than every rendering that was tried');
    expect(words).toContain(`the best of ${BEYOND_METHODS.length}, which flatters it`);
  });

  it('says at which ratio pruning wins, if it does', () => {
    const won = reportOf((name) => (/^(no pruning|V²Drop, 75 %)$/.test(name) ? 1 : 0.1));
    expect(won.verdict.words[1]).toMatch(
      /^Pruning is clearly better than a rendering that is at least as dense at stacked ratios of 4\.00×: V²Drop, 75 % at 4\.00× gives 100\.0 % against/,
    );
  });

  it('does not judge a model that reads nothing', () => {
    const blind = reportOf(() => 0);
    expect(blind.verdict).toMatchObject({ readable: false, comparisons: [] });
    expect(blind.verdict.words[0]).toContain('the model reads too little for any comparison');
    const unmeasured = reportOf(() => null);
    expect(unmeasured.verdict.words).toEqual(['Nothing was measured without pruning.']);
    expect(unmeasured.points[0]!.accuracy).toMatchObject({ value: null, questions: 0 });
  });

  it('counts failed questions as wrong', () => {
    const results = resultsOf(() => 1);
    const [first] = plan.documents[0]!.questions;
    results.set(first!.id, {
      id: first!.id,
      document: plan.documents[0]!.id,
      error: { code: 'GP_MODEL_RUNTIME', message: 'no', retryable: false },
    });
    const failed = makeCurveReport(plan, results, about);
    expect(failed.failed).toBe(1);
    expect(failed.points[0]!.tasks.lookup).toMatchObject({ failed: 1, questions: 9 });
    expect(failed.points[0]!.tasks.lookup.value).toBeCloseTo(8 / 9, 10);
  });

  it('holds the question first against the same with the question behind alone', () => {
    const shares: Record<string, number> = {
      'no pruning': 1,
      'no pruning, question first': 0.2,
      'V²Drop, question first, 75 %': 1,
    };
    const { verdict } = reportOf((name) => shares[name] ?? 0.3);
    const [unpruned, dropped] = verdict.questionFirst;
    expect(verdict.questionFirst).toHaveLength(9);
    expect(unpruned).toMatchObject({
      name: 'no pruning, question first',
      behindAlone: { name: 'no pruning', accuracy: 1, outcome: 'clearly worse' },
    });
    expect(dropped).toMatchObject({
      name: 'V²Drop, question first, 75 %',
      accuracy: 1,
      behindAlone: { name: 'V²Drop, 75 %', outcome: 'clearly better' },
    });
    expect(verdict.words.at(-1)).toContain('a context for each question');
    expect(verdict.words.at(-1)).toContain('V²Drop, 75 % clearly better (100.0 % against');
    const control = verdict.comparisons.find(({ name }) => name === dropped!.name)!.random!;
    expect(control.name).toBe('random like V²Drop, question first, 75 %');
    const none = reportOf((name) => (name.includes('question first') ? null : 0.5));
    expect(none.verdict.questionFirst).toEqual([]);
    expect(none.verdict.words.join()).not.toContain('before the pages');
  });

  it('takes no context for one question as a rival of those for all', () => {
    const { verdict } = reportOf((name) => (name === 'no pruning, question first' ? 1 : 0.3));
    expect(verdict.words[0]).not.toContain('question first');
    for (const { rendering } of verdict.comparisons)
      expect(rendering?.name).not.toBe('no pruning, question first');
  });

  it('gives the mean context of questions that have one each', () => {
    const results = resultsOf(() => 1);
    const document = plan.documents.find(({ id }) => id === 'V²Drop, question first, 75 % #1')!;
    document.questions.forEach(({ id }, i) => {
      const line = results.get(id)!;
      if (!('account' in line)) throw new Error('every question was answered');
      results.set(id, { ...line, account: { ...line.account, contextTokens: 225 + i * 21 } });
    });
    const mean = (name: string) =>
      makeCurveReport(plan, results, about).points.find((one) => one.name === name)!.contextTokens;
    // One of three texts, on average three steps more.
    expect(mean('V²Drop, question first, 75 %')).toBeCloseTo(225 + 21, 10);
    expect(mean('V²Drop, 75 %')).toBe(225);
  });

  it('is the same for the same results', () => {
    const again = reportOf((name) => (name === 'no pruning' ? 1 : 0.3));
    expect(reportOf((name) => (name === 'no pruning' ? 1 : 0.3))).toEqual(again);
  });

  it('is a table, a page and charts that name everything that was measured', () => {
    const table = curveTable(report);
    const markdown = curveMarkdown(report, {
      command: 'npx glyphpress eval curve --quick',
      charts: [{ title: 'chart', file: 'pruning-stackedRatio.svg' }],
    });
    for (const { name } of report.points) {
      expect(table).toContain(name);
      expect(markdown).toContain(`| ${name} |`);
    }
    expect(markdown).toContain('![chart](pruning-stackedRatio.svg)');
    expect(markdown).not.toContain('untrained');
    for (const axis of ['stackedRatio', 'contextTokens'] as const) {
      const svg = curveChart(report, axis);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      // A line and its leader for each control.
      const controls = new Set(
        report.points.filter(({ kind }) => kind === 'control').map(({ series }) => series),
      );
      expect(svg.match(/stroke-dasharray/g)).toHaveLength(2 * controls.size);
      const names = new Set(report.points.map(({ series }) => series));
      const labels = [
        ...svg.matchAll(/<text x="[\d.]+" y="([\d.]+)" fill="([^"]+)">([^<]+)<\/text>/g),
      ];
      const ofSeries = labels.filter(([, , , name]) => names.has(name!));
      // Each by its name, in a colour of its own, a row from the next.
      expect(new Set(ofSeries.map(([, , , name]) => name))).toEqual(names);
      expect(new Set(ofSeries.map(([, , colour]) => colour)).size).toBe(names.size);
      const heights = ofSeries.map(([, y]) => Number(y)).sort((a, b) => a - b);
      for (const [i, y] of heights.entries())
        if (i > 0) expect(y - heights[i - 1]!).toBeGreaterThan(17.8);
      for (const tag of ['svg', 'g', 'text', 'title'])
        expect(svg.match(new RegExp(`<${tag}[ >]`, 'g'))?.length).toBe(
          svg.match(new RegExp(`</${tag}>`, 'g'))?.length,
        );
    }
    const empty = curveChart({ ...report, points: [] }, 'stackedRatio');
    expect(empty).not.toMatch(/NaN|Infinity/);
  });

  it('says of figures of an untrained model that they are noise', () => {
    const untrained: CurveReport = { ...report, model: { ...about.model, trained: false } };
    expect(curveMarkdown(untrained, { command: '', charts: [] })).toContain(
      '**untrained: all figures are noise**',
    );
  });
});

describe('meanFigure', () => {
  it('is the mean, and its interval is narrower than those it is made of', () => {
    const figure = (right: number, questions: number) => ({
      questions,
      failed: 0,
      value: right / questions,
      ...wilsonInterval(right, questions),
    });
    const parts = [figure(5, 10), figure(6, 10), figure(7, 10)];
    const mean = meanFigure(parts);
    expect(mean.value).toBeCloseTo(0.6, 10);
    expect(mean.questions).toBe(30);
    for (const { low, high } of parts) expect(mean.high - mean.low).toBeLessThan(high - low);
    expect(meanFigure([figure(0, 3), figure(3, 3)])).toMatchObject({ value: 0.5 });
    expect(meanFigure([]).value).toBeNull();
  });
});

describe('measured plans', () => {
  const report = reportOf((name) => (name === 'no pruning' ? 1 : 0.6));

  it('are those that have a name, beside what the pages give without pruning', () => {
    expect(Object.keys(report.plans).sort()).toEqual(Object.keys(NAMED_PLANS).sort());
    expect(report.plans.lossless).toMatchObject({ questions: 21, unpruned: 1, stackedRatio: 3 });
    expect(reportOf(() => null).plans).toEqual({});
  });

  it('are found in the folder of the model or in a report, for the same weights only', () => {
    const folder = temporaryFolder();
    const other = path.join(temporaryFolder(), 'pruning.json');
    const find = (hash: string) => measuredPlans(folder, hash, [other]);
    expect(find(about.model.checkpointHash)).toBeNull();
    writeFileSync(other, JSON.stringify(report));
    expect(find(about.model.checkpointHash)).toMatchObject({ file: other, plans: report.plans });
    expect(find('d'.repeat(64))).toBeNull();
    const own = path.join(folder, PLANS_FILE);
    writeFileSync(own, JSON.stringify(planRecord(report)));
    expect(find(about.model.checkpointHash)!.file).toBe(own);
    for (const damaged of [
      '',
      '{',
      '[]',
      '{"version":1}',
      '{"version":1,"model":null,"plans":{}}',
    ]) {
      writeFileSync(own, damaged);
      expect(find(about.model.checkpointHash)!.file).toBe(other);
    }
  });
});

it('a run gives the asker the document, and goes on after what failed', async () => {
  const seen: string[] = [];
  const asker: Asker = {
    concurrency: 1,
    key: {},
    open: async (_text, _config, _signal, document) => {
      seen.push(document.id);
      throw new GlyphpressError('GP_MODEL_RUNTIME', { message: 'no', hint: 'no' });
    },
  };
  const few = { ...plan, documents: plan.documents.slice(0, 3) };
  const results = await runPlan(few, asker, path.join(temporaryFolder(), 'run'));
  expect(seen).toEqual(few.documents.map(({ id }) => id));
  expect([...results.values()].every((result) => 'error' in result)).toBe(true);
});
