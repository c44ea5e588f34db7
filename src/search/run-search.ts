/** A whole search in its folder: the journal, the loop, and what is written when it is done. */

import path from 'node:path';
import { sha256Hex } from '../sha256.js';
import { writeWholeSync } from '../store/write-whole.js';
import { axisContributions } from './axis-contributions.js';
import { writeBest } from './best.js';
import { Journal } from './journal.js';
import { pagePictures } from './page-pictures.js';
import { searchReport } from './report.js';
import { RunClock } from './run-clock.js';
import { runSearch, type SearchHooks, type SearchSetting } from './search.js';
import { openSearchFolder, REPORT_FILE, SUMMARY_FILE, TRIALS_FILE } from './search-folder.js';
import { type SearchSummary, summarise } from './summary.js';
import { tasksHash } from './tasks.js';

/** What the trials of a search depend on. */
export function searchKey(setting: SearchSetting): Record<string, string> {
  const { space, tasks, evaluator, proposer, references, defaultConfig: _, ...numbers } = setting;
  return {
    ...evaluator.key,
    tasks: tasksHash(tasks),
    space: sha256Hex(JSON.stringify(space.axes)).slice(0, 16),
    presets: sha256Hex(JSON.stringify(references)).slice(0, 16),
    proposer: proposer.name,
    ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)])),
  };
}

/**
 * Searches, or goes on where a search in this folder was broken off, and writes summary, report and
 * the chosen configurations.
 *
 * @throws {GlyphpressError} as {@link openSearchFolder}, and of the surroundings when nothing works
 */
export async function searchInFolder(
  setting: SearchSetting,
  folder: string,
  hooks: SearchHooks = {},
): Promise<SearchSummary> {
  const key = searchKey(setting);
  openSearchFolder(folder, key);
  const clock = new RunClock(folder, setting.evaluator.spent);
  const journal = new Journal(path.join(folder, TRIALS_FILE));
  try {
    const outcome = await runSearch(setting, journal, {
      ...hooks,
      onProgress: (progress) => {
        if (progress.stage === 'propose') clock.save();
        hooks.onProgress?.(progress);
      },
    });
    clock.save();
    const { tasks, evaluator, proposer, seed, budget, minRatio } = setting;
    const summary = summarise(outcome, {
      key,
      proposer: proposer.name,
      seed,
      budget,
      minRatio,
      tasks: tasks.name,
      defaultConfig: setting.defaultConfig,
      questionsInAll: tasks.train.reduce((sum, { questions }) => sum + questions.length, 0),
      timings: clock.timings,
      concurrency: evaluator.concurrency,
      expand: evaluator.expand
        ? { method: evaluator.expand.method, budget: evaluator.expand.budget }
        : null,
    });
    const pictures = await pagePictures(summary.front, tasks.train[0]!, evaluator, hooks.signal);
    const contributions = axisContributions(outcome.records, setting.space);
    writeBest(folder, summary.front);
    writeWholeSync(path.join(folder, SUMMARY_FILE), `${JSON.stringify(summary, null, 2)}\n`);
    writeWholeSync(
      path.join(folder, REPORT_FILE),
      searchReport({ summary, pictures, contributions }),
    );
    return summary;
  } finally {
    journal.close();
  }
}
