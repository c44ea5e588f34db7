import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  EXPANSION_CONDITIONS,
  ExpansionAsker,
  expansionConditions,
  planExpansion,
} from '../../src/eval/expansion-suite.js';
import { makeReport } from '../../src/eval/report.js';
import { reportTable } from '../../src/eval/report-table.js';
import { runPlan } from '../../src/eval/run.js';
import { LocalBackend } from '../../src/pipeline/backends/local.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { sharedFolder, temporaryFolder } from '../support/folders.js';
import { passagesAloneModel, TINY_MODEL } from '../support/models.js';
import { smallConfig } from '../support/rendering.js';

const config = smallConfig({ 'page-size': '280,280' });
const setting = {
  config,
  seed: 3,
  style: 'bare' as const,
  pages: [1],
  samples: 1,
  depths: [0.5],
  conditions: EXPANSION_CONDITIONS,
};

describe('the expansion suite', () => {
  let model: VisionLanguageModel;
  beforeAll(async () => {
    model = await VisionLanguageModel.open(TINY_MODEL, {
      cacheDir: path.join(sharedFolder(), 'cache'),
      threads: 1,
    });
  });
  afterAll(() => model?.close());

  it('asks each question three ways, of one opening, and counts what each took', async () => {
    const whole = await planExpansion(setting, async () => 500, []);
    const plan = { ...whole, documents: whole.documents.slice(0, 3) };
    const conditions = ['pages', 'expanded', 'passages'];
    expect(plan.documents.map(({ group }) => group)).toEqual(
      conditions.map((condition) => `lookup, ${condition}`),
    );
    expect(whole.documents).toHaveLength(15);
    let opened = 0;
    const local = new LocalBackend(model, { browsers: 1 });
    const backend = {
      modelName: local.modelName,
      key: local.key,
      concurrency: 1,
      open: (...given: Parameters<LocalBackend['open']>) => {
        opened++;
        return local.open(...given);
      },
    };
    const countTokens = (text: string) => model.countTokens(text);
    const expand = { method: 'lexical' as const, budget: 60, countTokens };
    const asker = new ExpansionAsker(model, backend, { decoder: [] }, expand, 'none');
    const results = await runPlan(plan, asker, temporaryFolder());
    expect(opened).toBe(1);
    const { table, failed } = makeReport(plan, results, {});
    expect(failed).toBe(0);
    expect(table.map(({ group, questions }) => [group, questions])).toEqual(
      conditions.map((condition) => [`lookup, ${condition}`, 1]),
    );
    const [pages, expanded, passages] = [...results.values()].map((result) =>
      'account' in result ? result.account.contextTokens : 0,
    );
    expect(expanded).toBeGreaterThan(pages!);
    expect(expanded).toBeLessThanOrEqual(pages! + 60);
    expect(passages).toBeLessThanOrEqual(pages! + 60);
    expect(passages).toBeGreaterThan(0);
  });

  it('asks a model that reads passages alone two ways, and says so', async () => {
    const dir = path.join(temporaryFolder(), 'alone');
    const alone = await VisionLanguageModel.open(passagesAloneModel(dir), { threads: 1 });
    onTestFinished(() => alone.close());
    const conditions = expansionConditions(alone.info);
    const whole = await planExpansion({ ...setting, conditions }, async () => 500, []);
    const plan = { ...whole, documents: whole.documents.slice(0, 2) };
    const countTokens = (text: string) => alone.countTokens(text);
    const expand = { method: 'lexical' as const, budget: 60, countTokens };
    const backend = new LocalBackend(alone, { browsers: 1 });
    const asker = new ExpansionAsker(alone, backend, { decoder: [] }, expand, 'none');
    const results = await runPlan(plan, asker, temporaryFolder());
    const report = makeReport(plan, results, {});
    expect(report.failed).toBe(0);
    const [pages, passages] = report.table;
    expect([pages!.group, passages!.group]).toEqual(['lookup, pages', 'lookup, passages']);
    expect([pages!.passages, passages!.passages]).toEqual([null, { answers: 1, withoutPages: 1 }]);
    const read = [...results.values()].flatMap((one) => ('account' in one ? [one.account] : []));
    const { textTokens, contextTokens } = read[1]!;
    expect(contextTokens).toBeLessThanOrEqual(60);
    expect(passages!.stackedRatio).toBe(textTokens / contextTokens);
    // Nothing was pruned for it.
    expect([pages!.pruneRatio, passages!.pruneRatio]).toEqual([1, 0]);
    const text = reportTable(report);
    expect(text).toContain('without the pages, for all 1 of 1 answers');
    expect(text).toContain('are one way, and asked once');
  });
});
