/** `glyphpress search compare`: the same search by several proposers and seeds, side by side. */

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import {
  compareSearches,
  comparisonMarkdown,
  type SearchSummary,
  searchInFolder,
} from '../search/index.js';
import { interruptible } from './interrupt.js';
import { numberList } from './options.js';
import {
  folderOf,
  PROPOSERS,
  type ProposerName,
  proposerOf,
  type SearchFlags,
  searchSettingOf,
  withBench,
  withSearchOptions,
} from './search-options.js';
import { SearchProgressLine } from './search-progress.js';
import { searchTasksOf } from './search-tasks.js';

interface Flags extends SearchFlags {
  proposers: ProposerName[];
  seeds: number[];
}

export function registerCompare(search: Command): void {
  withSearchOptions(
    search
      .command('compare')
      .description('run the same search by several proposers and seeds, and compare them')
      .option('--proposers <list>', `of ${PROPOSERS.join(',')}`, proposerNames, [
        'random',
        'evolution',
      ] as ProposerName[])
      .option(
        '--seeds <list>',
        'of the searches; --seed stays that of the texts',
        seedList,
        [1, 2, 3],
      )
      .option('-o, --out <dir>', 'folder for all of them; unfinished ones go on'),
  )
    .addHelpText(
      'after',
      `
All searches share texts, pages and results, and spend the whole budget (--patience is not used); each has a folder of its own below DIR, as search makes it.
comparison.md and comparison.json hold the hypervolumes and the best at 3× against Glyph's config_en.

Examples:
  $ glyphpress search compare --budget 200 -o runs/compare
  $ glyphpress search compare --proposers random,evolution,llm --seeds 1,2,3 --budget 60 -o runs/compare`,
    )
    .action(async (flags: Flags) => {
      const folder = folderOf(flags);
      const comparison = compareSearches(await compare(flags, folder));
      const markdown = comparisonMarkdown(comparison);
      writeFileSync(path.join(folder, 'comparison.md'), markdown);
      writeFileSync(
        path.join(folder, 'comparison.json'),
        `${JSON.stringify(comparison, null, 2)}\n`,
      );
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(comparison, null, 2)}\n`
          : `${markdown}\nwritten to ${folder}\n`,
      );
    });
}

function compare(flags: Flags, folder: string): Promise<SearchSummary[]> {
  const cache = path.resolve(flags.cache ?? path.join(folder, 'cache'));
  return withBench(flags, cache, (bench) =>
    interruptible(async (signal) => {
      const tasks = await searchTasksOf(flags, bench.defaultConfig, bench.style, signal);
      const summaries: SearchSummary[] = [];
      // By seed first: a comparison that is broken off has some of every proposer.
      for (const seed of flags.seeds) {
        for (const name of flags.proposers) {
          const own = path.join(folder, `${name}-${seed}`);
          process.stderr.write(`${name}, seed ${seed}\n`);
          const progress = new SearchProgressLine();
          try {
            const proposer = proposerOf(name, tasks, own);
            // All spend the same budget.
            const patience = flags.budget;
            const given = { ...flags, seed, patience };
            const setting = searchSettingOf(given, bench, tasks, proposer);
            summaries.push(
              await searchInFolder(setting, own, {
                signal,
                onProgress: (state) => progress.update(state),
              }),
            );
          } finally {
            progress.stop();
          }
        }
      }
      return summaries;
    }),
  );
}

const seedList = (text: string) => numberList(text, 0, 2 ** 32 - 1, true);

function proposerNames(text: string): ProposerName[] {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter((name): name is ProposerName =>
    (PROPOSERS as readonly string[]).includes(name),
  );
  if (known.length === names.length) return [...new Set(known)];
  throw new InvalidArgumentError(`Expected a list of ${PROPOSERS.join(',')}.`);
}
