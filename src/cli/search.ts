/** `glyphpress search`: the rendering and the prune plan that suit a model and a kind of text. */

import type { Command } from 'commander';
import {
  type Evaluator,
  type SearchSummary,
  searchInFolder,
  summaryText,
} from '../search/index.js';
import { interruptible } from './interrupt.js';
import { wholeNumber } from './options.js';
import { registerApply } from './search-apply.js';
import { registerCompare } from './search-compare.js';
import {
  cacheOf,
  folderOf,
  proposerOf,
  type SearchFlags,
  searchSettingOf,
  withBench,
  withSearchOptions,
} from './search-options.js';
import { SearchProgressLine } from './search-progress.js';
import { searchTasksOf } from './search-tasks.js';
import { registerSearchWorker } from './search-worker.js';
import { withWorkers } from './search-workers.js';

export function registerSearch(program: Command): void {
  const command = withSearchOptions(
    program
      .command('search')
      .description('search the rendering and the prune plan that suit a model and a kind of text')
      .option('-o, --out <dir>', 'folder of the search; an unfinished one goes on')
      .option(
        '--workers <n>',
        'worker processes, through Redis; the trials are the same',
        wholeNumber(1, 256),
      ),
  )
    .addHelpText(
      'after',
      `
The folder holds trials.jsonl (every step), summary.json, report.html and best/N.config.json with
best/N.plan.json, to be used as --config and --plan. A search that was broken off goes on when the same
command is given again, and makes the same trials.

The proposer llm asks GLYPHPRESS_LLM_MODEL at GLYPHPRESS_LLM_BASE_URL (OpenAI-compatible), with the key
in GLYPHPRESS_LLM_API_KEY; evolution and random need no server.

With --expand every question of every trial is asked with passages of the source beside the pages, and
their text tokens count in all ratios, in --min-ratio too.

Examples:
  $ glyphpress search --suite quick --proposer evolution --budget 24 -o run
  $ glyphpress search --tasks hotpotqa.jsonl --budget 200 --min-ratio 3 --space mono.json -o run
  $ glyphpress search --model models/vlm --expand lexical --expand-budget 100 --budget 60 -o run
  $ glyphpress search --suite lookup --haystack books/ --backend openai \\
      --base-url http://127.0.0.1:8000/v1 --model zai-org/Glyph --proposer llm -o run`,
    )
    .action(async (flags: SearchFlags) => {
      const folder = folderOf(flags);
      const summary = await search(flags, folder);
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(summary, null, 2)}\n`
          : `${summaryText(summary, folder)}\n\nwritten to ${folder}\n`,
      );
    });
  // Options behind a command below are that command's own.
  registerApply(command.enablePositionalOptions());
  registerCompare(command);
  registerSearchWorker(command);
}

function search(flags: SearchFlags, folder: string): Promise<SearchSummary> {
  return withBench(flags, cacheOf(flags, folder), async (bench) => {
    const progress = new SearchProgressLine();
    try {
      return await interruptible(async (signal) => {
        const tasks = await searchTasksOf(flags, bench.defaultConfig, bench.style, signal);
        const proposer = proposerOf(flags.proposer, tasks, folder);
        const setting = searchSettingOf(flags, bench, tasks, proposer);
        const run = (evaluator: Evaluator) =>
          searchInFolder({ ...setting, evaluator }, folder, {
            signal,
            onProgress: (state) => progress.update(state),
          });
        const { workers } = flags;
        return workers === undefined
          ? run(bench.evaluator)
          : withWorkers({ ...flags, workers }, setting, folder, run);
      });
    } finally {
      progress.stop();
    }
  });
}
