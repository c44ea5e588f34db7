import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import { type Asker, ModelAsker, type OpenedDocument } from '../../src/eval/asker.js';
import { madeUpHaystack } from '../../src/eval/haystack.js';
import { heatMap } from '../../src/eval/heat-map.js';
import { charactersPerPage } from '../../src/eval/page-capacity.js';
import type { EvalPlan } from '../../src/eval/plan.js';
import { makeReport } from '../../src/eval/report.js';
import { reportTable } from '../../src/eval/report-table.js';
import { RESULTS_FILE, runKey, runPlan } from '../../src/eval/run.js';
import { planSuites } from '../../src/eval/suites.js';
import type { EvalDocument, EvalQuestion } from '../../src/eval/task.js';
import { chromiumOptions } from '../../src/pipeline/chromium-options.js';
import type { CompressionReport } from '../../src/pipeline/report.js';
import { planFromKeep, planId } from '../../src/prune/index.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';
import { LOOK_UP_READER } from '../support/models.js';
import { smallConfig } from '../support/rendering.js';

const config = smallConfig({ 'page-size': '280,280' });

const planOf = (suites: ['lookup'] | ['absent'] | ['lookup', 'transcribe'], characters = 900) =>
  planSuites(
    'test',
    suites,
    { config, seed: 3, style: 'bare', pages: [1, 2], samples: 2, depths: [0, 0.5, 1] },
    async () => characters,
  );

const report = {
  pages: 1,
  textTokens: 300,
  visualTokens: 100,
  contextTokens: 50,
} as CompressionReport;

/** Knows every answer, unless told to fail. */
class FakeAsker implements Asker {
  readonly concurrency = 1;
  readonly key = { backend: 'fake' };
  asked: string[] = [];
  opened = 0;
  stillOpen = 0;

  constructor(
    readonly answer: (id: string, expected: string[]) => string,
    readonly beforeOpen: (text: string) => void = () => {},
  ) {}

  async open(text: string): Promise<OpenedDocument> {
    this.beforeOpen(text);
    this.opened++;
    this.stillOpen++;
    return {
      ask: async ({ id, expected }) => {
        this.asked.push(id);
        const answer = this.answer(id, expected);
        const usage = { promptTokens: 10, completionTokens: 5 };
        return { answer, finishReason: 'stop', usage, totalMs: 1.5, report };
      },
      close: async () => {
        this.stillOpen--;
      },
    };
  }
}

const knowing = () => new FakeAsker((_, expected) => expected[0] ?? 'not found');

async function reportOf(plan: EvalPlan, asker: Asker, folder: string) {
  return makeReport(plan, await runPlan(plan, asker, folder), runKey(plan, asker));
}

describe('a run', () => {
  it('asks every question, each document opened once', async () => {
    const plan = await planOf(['absent']);
    const asker = knowing();
    const progress: number[] = [];
    const folder = temporaryFolder();
    const results = await runPlan(plan, asker, folder, {
      onProgress: ({ done }) => progress.push(done),
    });
    expect(asker.opened).toBe(4);
    expect(asker.stillOpen).toBe(0);
    expect(results.size).toBe(24);
    expect(progress).toEqual(Array.from({ length: 25 }, (_, i) => i));
    const made = makeReport(plan, results, {});
    expect(made).toMatchObject({ questions: 24, answered: 24, failed: 0 });
    expect(made.table.map(({ label, pages, value }) => [label, pages, value])).toEqual([
      ['absent: lookup', 1, 1],
      ['absent: lookup, false "not found"', 1, 0],
      ['absent', 1, 1],
      ['absent: lookup', 2, 1],
      ['absent: lookup, false "not found"', 2, 0],
      ['absent', 2, 1],
    ]);
    expect(made.renderings[0]).toMatchObject({
      documents: 4,
      renderRatio: 3,
      pruneRatio: 2,
      stackedRatio: 6,
    });
    expect(namesIn(folder)).toEqual(['results.jsonl', 'run.json']);
  });

  it('broken off anywhere goes on there, and gives the same report', async () => {
    const plan = await planOf(['absent']);
    const whole = await reportOf(plan, knowing(), temporaryFolder());
    for (const after of [0, 1, 5, 6, 23]) {
      const folder = temporaryFolder();
      const abort = new AbortController();
      const first = knowing();
      const run = runPlan(plan, first, folder, {
        signal: abort.signal,
        onProgress: ({ done }) => {
          if (done === after) abort.abort();
          abort.signal.throwIfAborted();
        },
      });
      await expect(run).rejects.toMatchObject({ name: 'AbortError' });
      // A kill may leave half a line behind.
      appendFileSync(path.join(folder, RESULTS_FILE), '{"id":"absent/1p/1/1","docu');
      const second = knowing();
      expect(await reportOf(plan, second, folder)).toEqual(whole);
      expect(new Set([...first.asked, ...second.asked]).size).toBe(24);
      expect(second.asked).toHaveLength(24 - after);
    }
  });

  it('that is finished asks nothing again', async () => {
    const plan = await planOf(['lookup']);
    const folder = temporaryFolder();
    await runPlan(plan, knowing(), folder);
    const again = knowing();
    await runPlan(plan, again, folder);
    expect(again.opened).toBe(0);
  });

  it('goes on after a question and a document that fail, and counts them as wrong', async () => {
    const plan = await planOf(['lookup']);
    const tooLong = new GlyphpressError('GP_CONTEXT_LENGTH', { message: 'too long', hint: '' });
    const asker = new FakeAsker(
      (id, expected) => {
        if (id === 'lookup/1p/1/2') throw new Error('odd');
        return expected[0]!;
      },
      (text) => {
        if (text === plan.documents[3]!.text) throw tooLong;
      },
    );
    const made = await reportOf(plan, asker, temporaryFolder());
    expect(made).toMatchObject({
      questions: 12,
      answered: 8,
      failed: 4,
      errors: { GP_INTERNAL: 1, GP_CONTEXT_LENGTH: 3 },
    });
    expect(made.table.map(({ value, failed }) => [value, failed])).toEqual([
      [5 / 6, 1],
      [3 / 6, 3],
    ]);
    expect(reportTable(made)).toContain('errors: GP_CONTEXT_LENGTH (3), GP_INTERNAL (1)');
    expect(reportTable(made)).toMatch(/score ↑ +83\.3 %/);
  });

  it('asks again what failed by chance', async () => {
    const plan = await planOf(['lookup']);
    const folder = temporaryFolder();
    const down = new GlyphpressError('GP_BACKEND_UNAVAILABLE', { message: 'down', hint: '' });
    let calls = 0;
    const shaky = new FakeAsker((_, expected) => {
      if (calls++ === 2) throw down;
      return expected[0]!;
    });
    await runPlan(plan, shaky, folder);
    const later = knowing();
    const made = await reportOf(plan, later, folder);
    expect(later.asked).toHaveLength(1);
    expect(made).toMatchObject({ answered: 12, failed: 0 });
  });

  it('stops when the server is gone', async () => {
    const plan = await planSuites(
      'test',
      ['lookup'],
      { config, seed: 1, style: 'bare', pages: [1], samples: 20, depths: [0.5] },
      async () => 600,
    );
    const asker = new FakeAsker(
      () => '',
      () => {
        throw new GlyphpressError('GP_BACKEND_UNAVAILABLE', { message: 'down', hint: '' });
      },
    );
    const folder = temporaryFolder();
    await expect(runPlan(plan, asker, folder)).rejects.toMatchObject({
      code: 'GP_BACKEND_UNAVAILABLE',
    });
    expect((await reportOf(plan, knowing(), folder)).answered).toBe(20);
  });

  it('will not mix with another', async () => {
    const folder = temporaryFolder();
    await runPlan(await planOf(['lookup']), knowing(), folder);
    await expect(runPlan(await planOf(['absent']), knowing(), folder)).rejects.toMatchObject({
      code: 'GP_ARTIFACT_MISMATCH',
      message: expect.stringContaining('questions'),
    });
  });

  it('leaves other folders alone', async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, 'letter.txt'), 'x');
    await expect(runPlan(await planOf(['lookup']), knowing(), folder)).rejects.toMatchObject({
      code: 'GP_OUTPUT_EXISTS',
    });
    expect(namesIn(folder)).toEqual(['letter.txt']);
  });

  it('names a damaged line', async () => {
    const plan = await planOf(['lookup']);
    const folder = temporaryFolder();
    await runPlan(plan, knowing(), folder);
    const file = path.join(folder, RESULTS_FILE);
    writeFileSync(file, readFileSync(file, 'utf8').replace('"id"', 'id'));
    await expect(runPlan(plan, knowing(), folder)).rejects.toMatchObject({
      code: 'GP_ARTIFACT_DAMAGED',
      details: { line: 1 },
    });
  });
});

describe('the heat map', () => {
  it('has a field for each depth and length, and is XML', async () => {
    const plan = await planOf(['lookup', 'transcribe']);
    const svg = heatMap(await reportOf(plan, knowing(), temporaryFolder()));
    expect(svg).toMatch(/^<svg [^>]*>/);
    expect(svg.match(/<title>/g)).toHaveLength(12);
    expect(svg).toContain('>2 pages</text>');
    expect(svg).toContain('>50 %</text>');
    expect(svg).not.toMatch(/NaN|undefined/);
    for (const tag of ['g', 'text', 'title'])
      expect(svg.match(new RegExp(`<${tag}[ >]`, 'g'))?.length).toBe(
        svg.match(new RegExp(`</${tag}>`, 'g'))?.length,
      );
  });
});

describe('with the reader and Chromium', () => {
  const cache = sharedFolder();
  let model: VisionLanguageModel;
  beforeAll(async () => {
    model = await VisionLanguageModel.open(LOOK_UP_READER, {
      cacheDir: cache,
      threads: 2,
    });
  });
  afterAll(() => model?.close());

  const asker = (keep: number) => {
    const plan = planFromKeep(keep, model.info.layers);
    return new ModelAsker(model, plan, planId(plan), {
      chromium: chromiumOptions,
      browsers: 1,
      maxNewTokens: 4,
    });
  };

  it('a page holds what was measured, and not much more', async () => {
    const perPage = await charactersPerPage(config, madeUpHaystack, {
      chromium: chromiumOptions(),
    });
    const plan = await planOf(['lookup'], perPage);
    const made = await reportOf(plan, asker(1), temporaryFolder());
    expect(made).toMatchObject({ answered: 12, failed: 0 });
    const [rendering] = made.renderings;
    expect(rendering).toMatchObject({ documents: 4, pages: 6, pruneRatio: 1 });
    expect(rendering!.renderRatio).toBeGreaterThan(1);
  });

  it('a document as text is read without a page of it', async () => {
    const question: EvalQuestion = {
      ...{ id: 'gate/1', kind: 'who', question: 'Who?', expected: ['Ann'] },
      ...{ metric: 'namedValue', maxNewTokens: 4 },
    };
    const shared = { rendering: 'page', pages: null, text: 'Ann shut the gate.' };
    const documents: EvalDocument[] = [
      { ...shared, id: 'gate', group: 'pages', questions: [question] },
      {
        ...{ ...shared, id: 'gate#text', group: 'text', as: 'text' },
        questions: [{ ...question, id: 'gate/1#text' }],
      },
    ];
    const plan = { suite: 'x', renderings: { page: config }, documents };
    const results = await runPlan(plan, asker(1), temporaryFolder());
    expect(results.get('gate/1')).toMatchObject({ account: { pages: 1 } });
    expect(results.get('gate/1#text')).toMatchObject({ account: { pages: 0, visualTokens: 0 } });
    // It reads bytes: nobody expects it to read text.
    expect(asker(1).readsText).toBe(false);
  });

  it('a prune plan shows, and a run that was broken off gives the same report', async () => {
    const plan = await planOf(['lookup', 'transcribe']);
    const whole = await reportOf(plan, asker(0.5), temporaryFolder());
    expect(whole.renderings[0]!.pruneRatio).toBeGreaterThan(1.7);
    const folder = temporaryFolder();
    const abort = new AbortController();
    const run = runPlan(plan, asker(0.5), folder, {
      signal: abort.signal,
      onProgress: ({ done }) => done === 7 && abort.abort(),
    });
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    expect(existsSync(path.join(folder, 'work'))).toBe(false);
    const rest = await reportOf(plan, asker(0.5), folder);
    expect(JSON.stringify(rest)).toBe(JSON.stringify(whole));
  });
});
