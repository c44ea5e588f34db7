/** The texts and questions that a search is given on the command line. */

import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { GlyphpressError } from '../errors.js';
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
import { readDocument } from '../pipeline/read-document.js';
import type { RenderConfig } from '../render/index.js';
import { documentsFor, quickTasks, type SearchTasks, splitTasks } from '../search/index.js';

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
  const files = flags.haystack.flatMap(textFiles);
  const text = files.map((file) => readDocument(file).text).join('\n\n');
  const haystack = files.length > 0 ? haystackFrom(text) : shortParagraphs;
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

/** A file, or the text files of a folder in the order of their names. */
function textFiles(target: string): string[] {
  const info = statSync(target, { throwIfNoEntry: false });
  if (!info?.isDirectory()) return [target];
  const files = readdirSync(target, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(txt|md|text)$/i.test(name))
    .sort()
    .map((name) => path.join(target, name));
  if (files.length > 0) return files;
  throw new GlyphpressError('GP_INPUT_EMPTY', {
    message: `${target} holds no text file (.txt, .md)`,
    hint: 'Give a folder of texts, or one file.',
    details: { folder: target },
  });
}
