/** Asks everything that a run has not asked yet, and writes each result down as it comes. */

import path from 'node:path';
import { GlyphpressError } from '../errors.js';
import { renderingId } from '../render/index.js';
import { sha256Hex } from '../sha256.js';
import { openRunFolder, type RunForm } from '../store/run-folder.js';
import type { Asker, OpenedDocument } from './asker.js';
import type { EvalPlan } from './plan.js';
import { type ResultLine, ResultsLog } from './results-log.js';
import { scoreAnswer } from './score.js';
import type { EvalDocument, EvalQuestion } from './task.js';

export const RESULTS_FILE = 'results.jsonl';
const FORM: RunForm = { form: 'glyphpress-eval-1', name: 'evaluation', article: 'an', run: 'run' };

/** This many documents in a row that fail with an error of the surroundings: no use to go on. */
const HOPELESS = 5;

export interface RunHooks {
  signal?: AbortSignal | undefined;
  /** `done` and `total` are questions; `before` of them were answered by an earlier run. */
  onProgress?: ((progress: { done: number; total: number; before: number }) => void) | undefined;
}

/** What a run's results depend on. */
export function runKey(plan: EvalPlan, asker: Asker): Record<string, string> {
  const renderings = Object.fromEntries(
    Object.entries(plan.renderings).map(([name, config]) => [name, renderingId(config)]),
  );
  return {
    suite: plan.suite,
    questions: sha256Hex(JSON.stringify(plan.documents)),
    renderings: sha256Hex(JSON.stringify(renderings)),
    ...asker.key,
  };
}

/**
 * @param folder holds the run; one that was begun with the same settings goes on
 * @returns a result for every question
 * @throws {GlyphpressError} GP_ARTIFACT_MISMATCH, GP_OUTPUT_EXISTS, GP_ARTIFACT_DAMAGED for the folder;
 *   the last error when nothing works any more. What one question throws is its result.
 */
export async function runPlan(
  plan: EvalPlan,
  asker: Asker,
  folder: string,
  hooks: RunHooks = {},
): Promise<Map<string, ResultLine>> {
  openRunFolder(folder, FORM, runKey(plan, asker));
  const { log, known } = ResultsLog.open(path.join(folder, RESULTS_FILE));
  const isOpen = ({ id }: EvalQuestion) => {
    const result = known.get(id);
    return !result || ('error' in result && result.error.retryable);
  };
  const waiting = plan.documents
    .map((document) => ({ document, questions: document.questions.filter(isOpen) }))
    .filter(({ questions }) => questions.length > 0);
  const total = plan.documents.reduce((sum, { questions }) => sum + questions.length, 0);
  const before = total - waiting.reduce((sum, { questions }) => sum + questions.length, 0);
  let done = before;
  let hopeless = 0;
  const take = (result: ResultLine) => {
    log.add(result);
    known.set(result.id, result);
    done++;
    hooks.onProgress?.({ done, total, before });
  };

  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const failed = await askDocument(next.document, next.questions, plan, asker, take, hooks);
      hopeless = failed ? hopeless + 1 : 0;
      if (failed && hopeless >= HOPELESS) throw failed;
    }
  };
  try {
    hooks.signal?.throwIfAborted();
    hooks.onProgress?.({ done, total, before });
    const workers = Array.from({ length: asker.concurrency }, work);
    try {
      await Promise.all(workers);
    } finally {
      waiting.length = 0;
      await Promise.allSettled(workers);
    }
    return known;
  } finally {
    log.close();
  }
}

/** @returns the error with which everything failed that may work at another time, else null */
async function askDocument(
  document: EvalDocument,
  questions: readonly EvalQuestion[],
  plan: EvalPlan,
  asker: Asker,
  take: (result: ResultLine) => void,
  { signal }: RunHooks,
): Promise<unknown> {
  let last: unknown = null;
  let failures = 0;
  const fail = (error: unknown, { id }: EvalQuestion) => {
    if (signal?.aborted) throw error;
    const described = describeError(error);
    take({ id, document: document.id, error: described });
    if (described.retryable) {
      last = error;
      failures++;
    }
  };
  let opened: OpenedDocument | null = null;
  try {
    opened = await asker.open(
      document.text,
      plan.renderings[document.rendering]!,
      signal,
      document,
    );
    for (const question of questions) {
      try {
        take(await resultOf(document, question, opened));
      } catch (error) {
        fail(error, question);
      }
    }
  } catch (error) {
    if (opened) throw error;
    for (const question of questions) fail(error, question);
  } finally {
    await opened?.close();
  }
  return failures === questions.length ? last : null;
}

async function resultOf(
  document: EvalDocument,
  question: EvalQuestion,
  opened: OpenedDocument,
): Promise<ResultLine> {
  const { answer, report, finishReason, usage, totalMs, logProb, evidence } =
    await opened.ask(question);
  const { pages, textTokens, visualTokens, contextTokens, passages } = report;
  return {
    id: question.id,
    document: document.id,
    answer,
    score: scoreAnswer(question.metric, answer, question),
    account: {
      pages,
      textTokens,
      visualTokens,
      contextTokens,
      ...(passages && { passages }),
    },
    finishReason,
    completionTokens: usage.completionTokens,
    answerMs: Math.round(totalMs),
    ...(logProb && { logProb }),
    ...(evidence && { evidence }),
  };
}

function describeError(error: unknown) {
  if (error instanceof GlyphpressError)
    return { code: error.code as string, message: error.message, retryable: error.retryable };
  return { code: 'GP_INTERNAL', message: String(error), retryable: false };
}
