/** All questions about one text under one configuration, asked and scored. */

import { scoreAnswer } from '../eval/score.js';
import type { EvalQuestion } from '../eval/task.js';
import type { Backend } from '../pipeline/backend.js';
import { countExpanded } from '../pipeline/expanding/count-expanded.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { CompressionReport } from '../pipeline/report.js';
import { parsedConfig, type Settings } from './settings.js';
import type { DocumentScore } from './trial.js';

export interface ScoreOptions {
  /** Longest answer, in place of what the question says. */
  maxNewTokens?: number;
  signal?: AbortSignal | undefined;
  /** Milliseconds that the model worked for an opening, or an answer. */
  onInference: (ms: number) => void;
}

export async function scoreDocument(
  backend: Backend,
  document: SourceDocument,
  settings: Settings,
  questions: readonly EvalQuestion[],
  { maxNewTokens, signal, onInference }: ScoreOptions,
): Promise<Omit<DocumentScore, 'document'>> {
  const reading = {
    renderConfig: parsedConfig(settings),
    plan: settings.plan,
    sidecar: settings.sidecar,
  };
  const opened = await backend.open(document, reading, { signal });
  try {
    const { textTokens, visualTokens, timings } = opened.report;
    onInference(timings.prefillMs + timings.pruneMs);
    const scores: number[] = [];
    const read: CompressionReport[] = [];
    for (const question of questions) {
      const { answer, timings, expansion } = await opened.ask(question.question, {
        maxNewTokens: maxNewTokens ?? question.maxNewTokens,
        signal,
      });
      onInference(timings.totalMs);
      scores.push(scoreAnswer(question.metric, answer, question).value);
      read.push(expansion ? countExpanded(opened.report, expansion) : opened.report);
    }
    const mean = (field: 'contextTokens' | 'expandedTokens') =>
      read.reduce((sum, report) => sum + (report[field] ?? 0), 0) / read.length;
    const isExpanded = read.some(({ expandedTokens }) => expandedTokens !== undefined);
    return {
      scores,
      textTokens,
      visualTokens,
      ...(isExpanded
        ? { contextTokens: mean('contextTokens'), expandedTokens: mean('expandedTokens') }
        : { contextTokens: opened.report.contextTokens }),
    };
  } finally {
    await opened.close();
  }
}
