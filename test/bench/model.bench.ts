/**
 * What does a document cost the model, and what does a later question cost? Encoding a page,
 * prefilling many pages with and without drops, decoding, and the same question on a fresh and on a
 * stored context.
 *
 * Model: MODEL_DIR, else the reader that ships with glyphpress.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { LocalBackend } from '../../src/pipeline/backends/local.js';
import type { LocalAnswer } from '../../src/pipeline/backends/local-answer.js';
import { decodeDocument } from '../../src/pipeline/read-document.js';
import { type PrunePlan, planFromKeep } from '../../src/prune/index.js';
import { loadRenderConfig } from '../../src/render/index.js';
import { VisionLanguageModel } from '../../src/vlm/index.js';
import { proseText } from './bench-text.js';
import { emit, median } from './measure.js';

const flat = ({ timings, ...answer }: LocalAnswer) => ({ ...answer, ...timings });

const ROUNDS = 5;
const CHARACTERS = 140_000; // 16 pages
const ANSWER_TOKENS = 64;
const MODEL_DIR = process.env.MODEL_DIR ?? new URL('../../models/reader', import.meta.url).pathname;

it('compresses once and answers many times', async () => {
  const document = decodeDocument(Buffer.from(proseText(CHARACTERS)), 'bench.txt');
  const renderConfig = loadRenderConfig('default');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'gp-bench-'));
  const model = await VisionLanguageModel.open(MODEL_DIR);
  const question = 'What is the access code of the north gate?';
  try {
    const round = async (target: string, plan: PrunePlan) => {
      const backend = new LocalBackend(model, { contexts: { locate: () => target } });
      const open = () => backend.open(document, { renderConfig, plan });
      const from = performance.now();
      const fresh = await open();
      const { report } = fresh;
      await fresh.close();
      const compressMs = performance.now() - from;
      const again = performance.now();
      const stored = await open();
      const loadMs = performance.now() - again;
      expect(stored.cached).toBe(true);
      const ask = (maxNewTokens: number) => stored.ask(question, { maxNewTokens });
      const [first, more] = [await ask(1), await ask(ANSWER_TOKENS)];
      await stored.close();
      return { report, compressMs, loadMs, first: flat(first), more: flat(more) };
    };
    const run = async (name: string, plan: PrunePlan) => {
      const rounds: Awaited<ReturnType<typeof round>>[] = [];
      for (let i = 0; i < ROUNDS; i++)
        rounds.push(await round(path.join(folder, `${name}-${i}`), plan));
      const { report } = rounds.at(-1)!;
      const of = (value: (round: (typeof rounds)[number]) => number) => median(rounds.map(value));
      const line = {
        pages: report.pages,
        visualTokens: report.visualTokens,
        contextTokens: report.contextTokens,
        stackedRatio: report.stackedRatio,
        kvBytes: report.kvBytes,
        encodeMsPerPage: of(({ report }) => report.timings.encodeMs / report.pages),
        prefillMs: of(({ report }) => report.timings.prefillMs),
        pruneMs: of(({ report }) => report.timings.pruneMs),
        compressMs: of(({ compressMs }) => compressMs),
        loadStoredMs: of(({ loadMs }) => loadMs),
        firstTokenMs: of(({ first }) => first.firstTokenMs),
        decodeTokensPerSecond: of(({ more }) =>
          more.usage.completionTokens < 2
            ? Number.NaN
            : ((more.usage.completionTokens - 1) / (more.totalMs - more.firstTokenMs)) * 1000,
        ),
      };
      emit({
        bench: 'model',
        plan: name,
        model: path.basename(MODEL_DIR),
        rounds: ROUNDS,
        ...line,
      });
      return line;
    };
    const whole = await run('none', { decoder: [] });
    const half = await run('keep-0.5', planFromKeep(0.5, model.info.layers));
    emit({
      bench: 'model-ratio',
      contextTokens: half.contextTokens / whole.contextTokens,
      prefill: half.prefillMs / whole.prefillMs,
      kvBytes: half.kvBytes! / whole.kvBytes!,
      storedAgainstFresh: whole.loadStoredMs / whole.compressMs,
    });
  } finally {
    await model.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
