/** Asks the questions of a plan in the folder of their run, with a line of progress. */

import path from 'node:path';
import { cacheFolder } from '../cache-folder.js';
import { type Asker, type EvalPlan, runKey, runPlan } from '../eval/index.js';
import { sha256Hex } from '../sha256.js';
import type { Progress } from './progress.js';

export interface QuestionRunOptions {
  /** As `--out` says; else a folder in the cache, of the same name for the same run. */
  out: string | undefined;
  /** Where in the cache. @defaultValue 'evals' */
  cachedUnder?: 'evals' | 'calibrations';
  progress: Progress;
  signal: AbortSignal;
}

/** @throws {GlyphpressError} as {@link runPlan} */
export async function runQuestions(
  plan: EvalPlan,
  asker: Asker,
  { out, cachedUnder = 'evals', progress, signal }: QuestionRunOptions,
) {
  const key = runKey(plan, asker);
  const name = sha256Hex(JSON.stringify(key)).slice(0, 32);
  const folder = out ?? path.join(cacheFolder(), cachedUnder, name);
  const results = await runPlan(plan, asker, folder, {
    signal,
    onProgress: ({ done, total, before }) => {
      if (before > 0 && done === before)
        process.stderr.write(`${before} of ${total} questions were answered before\n`);
      progress.update({
        stage: 'asked',
        done: done - before,
        total: total - before,
        unit: 'questions',
      });
    },
  });
  progress.stop();
  return { key, folder, results };
}
