/** The texts and questions that a search is given on the command line. */

import path from 'node:path';
import { shortParagraphs } from '../eval/curve-tasks.js';
import {
  charactersPerPage,
  haystackFrom,
  loadTasks,
  type PromptStyle,
  planSuites,
  TASK_SUITES,
  type TaskSuite,
} from '../eval/index.js';
import { chromiumOptions } from '../pipeline/chromium-options.js';
import type { RenderConfig } from '../render/index.js';
import { documentsFor, quickTasks, type SearchTasks, splitTasks } from '../search/index.js';
import { readHaystack } from './input-options.js';

export const SEARCH_SUITES = ['quick', ...TASK_SUITES] as const;
export type SearchSuite = (typeof SEARCH_SUITES)[number];

export interface TaskFlags {
  suite?: SearchSuite;
  tasks?: string;
  haystack: string[];
  samples: number;
  pages: number;
  questions: number;
  limit?: number;
  seed: number;
}

/** @param config a page of it is the length of a text */
export async function searchTasksOf(
  flags: TaskFlags,
  config: RenderConfig,
  style: PromptStyle,
  signal: AbortSignal,
): Promise<SearchTasks> {
  const { seed, samples, questions } = flags;
  if (flags.tasks !== undefined) {
    const limit = flags.limit === undefined ? {} : { limit: flags.limit };
    return splitTasks(
      path.basename(flags.tasks),
      loadTasks(flags.tasks, { style, ...limit }),
      seed,
    );
  }
  const text = await readHaystack(flags.haystack, {}, signal);
  const haystack = flags.haystack.length > 0 ? haystackFrom(text) : shortParagraphs;
  const measure = (config: RenderConfig) =>
    charactersPerPage(config, haystack, { chromium: chromiumOptions(), signal });
  const suite = flags.suite ?? 'quick';
  if (suite === 'quick') {
    const characters = Math.round(flags.pages * (await measure(config)));
    return quickTasks({ seed, style, samples, questions, haystack, characters });
  }
  const depths = Array.from({ length: questions }, (_, i) => (i + 0.5) / questions);
  const { documents } = await planSuites(
    suite,
    [suite satisfies TaskSuite],
    { config, seed, style, haystack, depths, pages: [flags.pages], samples: documentsFor(samples) },
    measure,
  );
  return splitTasks(suite, documents, seed);
}
