/** A question that passages of the text answer, before a page of it is drawn. */

import { type AskResult, askResult } from '../pipeline/ask-result.js';
import type { AskOptions, ReadingSettings } from '../pipeline/backend.js';
import type { LocalBackend } from '../pipeline/backends/local.js';
import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import { expansionFor } from '../pipeline/expanding/expansion-choice.js';
import {
  mayAnswerWithoutPages,
  PassagesDocument,
} from '../pipeline/expanding/passages-document.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { ReportSoFar } from '../pipeline/report.js';
import type { ExpandFlags } from './expand-options.js';

/** How a model here reads passages alone. */
export interface PassagesFirst {
  backend: LocalBackend;
  settings: ReadingSettings;
  expand: ExpandSettings;
  /** Pages are laid out for the places that are printed with an answer; else their offsets are enough. */
  mayLayOut: boolean;
}

/** @returns null where the pages are to be read, by the model or because of what is asked for */
export function passagesFirst(
  backend: LocalBackend,
  settings: ReadingSettings,
  flags: ExpandFlags & { questionFirst?: boolean; json?: boolean },
): PassagesFirst | null {
  const { model } = backend;
  const expansion = expansionFor(flags, model.info);
  if (flags.questionFirst || !mayAnswerWithoutPages(model.info, expansion)) return null;
  const expand = { ...expansion, countTokens: (text: string) => model.countTokens(text) };
  return { backend, settings, expand, mayLayOut: flags.json ?? false };
}

/** @returns null where the question has no passages: the pages must be read */
export async function askPassages(
  document: SourceDocument,
  question: string,
  { backend, settings, expand, mayLayOut }: PassagesFirst,
  options: AskOptions,
  extractMs: number,
): Promise<AskResult<ReportSoFar> | null> {
  const start = performance.now();
  const known = await backend.known(document, settings, { extractMs, mayLayOut });
  const opened = new PassagesDocument(backend.model, [known.cited]);
  try {
    const loadMs = extractMs + performance.now() - start;
    const answer = await opened.ask(question, options, expand);
    return answer && askResult(known, answer, { loadMs, questionFirst: false });
  } finally {
    await opened.close();
  }
}
